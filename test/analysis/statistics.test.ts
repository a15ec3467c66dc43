import { expect } from 'chai'
import { BlockBootstrap, tendencyTest } from '../../src/analysis/statistics/blocks.js'
import { holm } from '../../src/analysis/statistics/holm.js'
import { quantile } from '../../src/analysis/statistics/quantile.js'
import { signedRanks } from '../../src/analysis/statistics/signed-ranks.js'
import { spearman } from '../../src/analysis/statistics/spearman.js'
import { studentQuantile, studentTwoSided } from '../../src/analysis/statistics/student.js'
import { Random } from '../support/random.js'
import { normals, range } from './made-run.js'

describe("Student's t", () => {
  // scipy.stats.t.sf(t, freedom) * 2, SciPy
  for (const [t, freedom, p] of [
    [0, 5, 1],
    [1, 1, 0.5],
    [2.5, 3, 0.08770664700806556],
    [12.706204736432095, 1, 0.05],
    [2.2281388519649385, 10, 0.05],
    [-4.5, 21, 0.00019661984151202316],
    [8, 63, 3.5679286547882944e-11],
    [1.97, 200, 0.05021860451812482],
  ] as const) {
    it(`is at least as far from zero as ${t} with the chance ${p}, of ${freedom} degrees of freedom`, () => {
      expect(studentTwoSided(t, freedom)).to.be.closeTo(p, 1e-10 * p)
    })
  }

  it('has its quantiles', () => {
    expect(studentQuantile(0.05, 10)).to.be.closeTo(2.2281388519649385, 1e-9)
    expect(studentQuantile(0.05, 1)).to.be.closeTo(12.706204736432095, 1e-7)
  })

  it('is as far as infinity with no chance, and NaN of NaN', () => {
    expect(studentTwoSided(Infinity, 4)).to.equal(0)
    expect(studentTwoSided(NaN, 4)).to.be.NaN
  })
})

describe('tests of the mean of a series', () => {
  for (const memory of [0, 0.5, -0.6]) {
    it(`reject as seldom as they say where each value keeps ${memory} of the one before`, () => {
      const random = new Random(`autoregressive ${memory}`)
      let [rejected, covered] = [0, 0]
      const bootstrap = new BlockBootstrap()
      for (let run = 0; run < 600; run += 1) {
        const series = autoregressive(random, 200, memory)
        rejected += Number(tendencyTest(series) < 0.05)
        const { low, high } = bootstrap.sum(series)
        covered += Number(low <= 0 && high >= 0)
      }
      // 600 runs at 5 %: 30, and three standard deviations are 16
      expect(rejected).to.be.at.most(46)
      expect(600 - covered).to.be.at.most(50)
    })
  }

  it('find a mean of half a standard deviation', () => {
    const series = autoregressive(new Random('half'), 200, 0).map((value) => value + 0.5)
    expect(tendencyTest(series)).to.be.below(1e-3)
    expect(tendencyTest(series, 0.5)).to.be.above(0.01)
    const { value, low, high } = new BlockBootstrap().mean(series)
    expect(low).to.be.within(0.2, value)
    expect(high).to.be.within(value, 0.8)
  })

  it('say nothing of series that are short, constant or have a NaN', () => {
    const long = autoregressive(new Random('short'), 19, 0)
    expect(tendencyTest(long)).to.be.NaN
    expect(new BlockBootstrap().sum(long).low).to.be.NaN
    expect(tendencyTest(new Float64Array(100).fill(1))).to.be.NaN
    expect(tendencyTest(Float64Array.from({ length: 100 }, (_, i) => (i === 7 ? NaN : i % 5)))).to.be.NaN
  })

  it('give the same interval every time', () => {
    const series = autoregressive(new Random('same'), 90, 0.3)
    expect(new BlockBootstrap().sum(series)).to.deep.equal(new BlockBootstrap().sum(series))
  })
})

describe("Holm's correction", () => {
  it('is that of the published procedure', () => {
    // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    expect(holm([0.01, 0.04, 0.03, 0.005])).to.deep.equal([0.03, 0.06, 0.06, 0.02])
  })

  it('leaves NaN out, shares the threshold between families and stops at 1', () => {
    expect(holm([NaN, 0.25, 0.5], 2)).to.deep.equal([NaN, 1, 1])
    expect(holm([0.01], 3)).to.deep.equal([0.03])
  })
})

describe("Spearman's rank correlation", () => {
  it('gives equal values the mean of their ranks', () => {
    // scipy.stats.spearmanr([1, 2, 2, 4, 9], [3, 1, 5, 5, 8])
    expect(spearman([1, 2, 2, 4, 9], [3, 1, 5, 5, 8])).to.be.closeTo(0.7631578947368421, 1e-12)
  })

  it('is 1 for any rising function and -1 for a falling one', () => {
    const x = [0.1, 5, 2, 7, 3]
    expect(spearman(x, x.map(Math.exp))).to.equal(1)
    expect(
      spearman(
        x,
        x.map((value) => -(value ** 3)),
      ),
    ).to.equal(-1)
  })

  it('leaves out what is NaN, and is NaN of too few or constant values', () => {
    expect(spearman([1, NaN, 2, 3], [1, 0, 2, 3])).to.equal(1)
    expect(spearman([1, 2], [1, 2])).to.be.NaN
    expect(spearman([1, 2, 3], [4, 4, 4])).to.be.NaN
  })
})

describe('quantiles', () => {
  it('lie between neighbours on a straight line', () => {
    const sorted = Float64Array.of(1, 2, 4, 8)
    expect([0, 0.25, 0.5, 1].map((share) => quantile(sorted, share))).to.deep.equal([1, 1.75, 3, 8])
    expect(quantile(new Float64Array(0), 0.5)).to.be.NaN
  })
})

function autoregressive(random: Random, length: number, memory: number): Float64Array {
  let last = 0
  const values = normals(random, length + 50).map((value) => (last = memory * last + value))
  return Float64Array.from(range(length), (i) => values[i + 50]!)
}

describe("Wilcoxon's signed ranks", () => {
  // scipy.stats.wilcoxon(values, method='exact')
  for (const [values, p] of [
    [[1, 2, 3, 4, 5, 6], 0.03125],
    [[-1, 2, 3, 4, 5, 6], 0.0625],
    [[0.5, -1.5, 2.5, -3.5, 4.5, 5.5, 6.5, -0.25], 0.25],
    [[-9, 8, -7, 6, -5, 4, -3, 2, -1], 0.8203125],
  ] as const) {
    it(`of ${values.join(', ')} have the p-value ${p}`, () => {
      expect(signedRanks(Float64Array.from(values)).p).to.be.closeTo(p, 1e-12)
    })
  }

  it('leave zeros out and share ranks', () => {
    expect(signedRanks(Float64Array.of(0, 0, 0))).to.deep.equal({ p: 1, side: 0 })
    expect(signedRanks(Float64Array.of(1, -1, 0))).to.deep.equal({ p: 1, side: 0 })
    expect(signedRanks(Float64Array.of(3, 3, -1)).side).to.equal(4)
  })
})
