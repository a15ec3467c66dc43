import { expect } from 'chai'
import {
  binsOf,
  cumulative,
  farthest,
  inBins,
  linePlaces,
  quantile,
  short,
  sum,
} from '../../src/report/reduce.js'

describe('reducing series to what a figure shows', () => {
  const steps = Array.from({ length: 1001 }, (_, t) => 10 * t)

  it('joins neighbouring intervals to bins that cover the run without gaps', () => {
    const bins = binsOf(steps, 300)
    expect(bins.from).to.have.length(300)
    expect(bins.from[0]).to.equal(0)
    expect(bins.to.at(-1)).to.equal(10_000)
    expect(bins.from.slice(1)).to.deep.equal(bins.to.slice(0, -1))
    const sizes = bins.starts.slice(1).map((end, bin) => end - bins.starts[bin]!)
    expect([...new Set(sizes)].sort()).to.deep.equal([3, 4])
    expect(bins.joined).to.equal(true)
  })

  it('leaves short runs as they are', () => {
    const bins = binsOf([0, 5, 7], 300)
    expect(bins).to.deep.equal({ starts: [0, 1, 2], from: [0, 5], to: [5, 7], joined: false })
  })

  it('sums in bins to the sum of all', () => {
    const values = steps.slice(1).map((step) => Math.sin(step))
    expect(sum(inBins(binsOf(steps, 300), values, sum))).to.be.closeTo(sum(values), 1e-9)
  })

  it('keeps the value that is farthest from zero, with its sign', () => {
    expect(farthest([1, -3, 2])).to.equal(-3)
    expect(farthest([NaN, -3, 2])).to.equal(-3)
    expect(farthest([NaN])).to.be.NaN
  })

  it('keeps the spikes of a line, and its ends', () => {
    const values = Float64Array.from({ length: 5000 }, (_, t) => (t === 2468 ? 100 : t === 4001 ? -100 : 0))
    const places = linePlaces(values, 400)
    expect(places).to.include.members([0, 2468, 4001, 4999])
    expect(places.length).to.be.at.most(601)
    expect(places).to.deep.equal([...places].sort((a, b) => a - b))
    expect(linePlaces(values.subarray(0, 9), 400)).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7, 8])
  })

  it('adds up, finds quantiles and rounds', () => {
    expect([...cumulative([1, 2], 10)]).to.deep.equal([10, 11, 13])
    expect(quantile([4, NaN, 1, 2, 3], 0.5)).to.equal(3)
    expect(quantile([], 0.5)).to.be.NaN
    expect(short(1.23456789e-7)).to.equal(1.2346e-7)
    expect(short(NaN)).to.equal(null)
  })
})
