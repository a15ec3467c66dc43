import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { expect } from 'chai'
import { UsageError } from '../../src/errors.js'
import { SIMPSON } from '../../src/replay/quadrature/simpson.js'
import { chooseIntervals } from '../../src/verify/choose.js'
import { verdictOf } from '../../src/verify/compare.js'
import { fineDistance } from '../../src/verify/fine.js'
import { finerTask } from '../../src/verify/finer.js'
import { locate } from '../../src/verify/locate.js'
import { useTempFolder } from '../io/temp-folder.js'

const facts = Array.from({ length: 100 }, (_, interval) => ({
  interval,
  residual: interval === 31 ? 5 : 1,
  lca: interval === 77 ? 9 : 2,
}))

describe('the choice of intervals to verify', () => {
  it('has those of the largest residual and the largest LCA, and one of each stretch of the others', () => {
    const chosen = chooseIntervals(facts, { intervals: 12, seed: 3 })
    expect(chosen).to.have.length(12).and.include.members([31, 77])
    const others = facts.map(({ interval }) => interval).filter((one) => one !== 31 && one !== 77)
    const stretch = (interval: number): number => Math.floor((others.indexOf(interval) * 10) / others.length)
    expect(chosen.filter((one) => one !== 31 && one !== 77).map(stretch)).to.deep.equal([
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
    ])
  })

  it('follows from the seed', () => {
    const by = (seed: number): number[] => chooseIntervals(facts, { intervals: 12, seed })
    expect(by(3)).to.deep.equal(by(3))
    expect(by(3)).not.to.deep.equal(by(4))
  })

  it('takes all where there are no more than asked for, and those that are named', () => {
    expect(chooseIntervals(facts.slice(0, 3), { intervals: 3 })).to.deep.equal([0, 1, 2])
    expect(chooseIntervals(facts, { intervals: 'all' })).to.have.length(100)
    expect(chooseIntervals(facts, { intervals: [9, 4, 9] })).to.deep.equal([4, 9])
    expect(chooseIntervals(facts, { intervals: 1 })).to.deep.equal([31])
    expect(() => chooseIntervals(facts, { intervals: [100] })).to.throw(UsageError, /intervals 0 to 99/)
    expect(() => chooseIntervals(facts, { intervals: 0 })).to.throw(UsageError)
  })

  it('does without residuals where LCA is restricted', () => {
    const restricted = facts.map((one) => ({ ...one, residual: NaN }))
    expect(chooseIntervals(restricted, { intervals: 1 })).to.deep.equal([77])
  })
})

describe('a verification', () => {
  it('cuts into four times the parts at least, however small the residual is', async () => {
    const { rule, tolerance, maxSplits } = finerTask(0, 2, { tolerance: 1e-3 })
    const judge = async (index: number) => {
      const splits = [{ tensors: [[1], [1]], residual: 0 }]
      const noiseFloor = () => Promise.resolve(1)
      return rule.judge({ index, splits, tolerance, restricted: false, noiseFloor })
    }
    expect({ tolerance, maxSplits }).to.deep.equal({ tolerance: 1e-5, maxSplits: 64 })
    const enough = [0, 1, 2].map((index) => SIMPSON.level(index).splits >= 8)
    expect(enough).to.deep.equal([false, false, true])
    for (const index of [0, 1, 2]) {
      const { converged, stop } = await judge(index)
      expect(converged || stop).to.equal(enough[index])
    }
    expect(finerTask(0, 32, { tolerance: 1e-3 }).maxSplits).to.equal(64)
  })

  it('tells what the residuals allow from what they do not', () => {
    const stated = { stored: 0.04, recomputed: 0.01 }
    expect([0.001, 0.05, 0.051].map((distance) => verdictOf(distance, 0.001, stated))).to.deep.equal([
      'agrees',
      'imprecise',
      'differs',
    ])
    expect(verdictOf(Infinity, 0.001, stated)).to.equal('differs')
  })

  it('correlates values of all tensors, and finds the largest difference, also where one is no number', () => {
    const names = new Map([
      ['a', 'x'],
      ['b', 'y'],
    ])
    const stored = new Map([
      ['a', [1, 2]],
      ['b', [4]],
    ])
    const recomputed = new Map([
      ['x', [1, 3]],
      ['y', [8]],
    ])
    const { values, correlation, largest } = fineDistance(stored, recomputed, names, 'units')
    // Pearson's r of (1, 1), (2, 3), (4, 8) by hand: 11 / sqrt(14 / 3 * 26)
    expect(correlation).to.be.closeTo(11 / Math.sqrt((14 / 3) * 26), 1e-12)
    expect({ values, largest }).to.deep.equal({
      values: 3,
      largest: { tensor: 'b', index: 0, stored: 4, recomputed: 8 },
    })
    const broken = fineDistance(
      new Map([
        ['a', [NaN, 2]],
        ['b', [9]],
      ]),
      recomputed,
      names,
      'units',
    )
    expect(broken.largest).to.deep.include({ tensor: 'a', index: 0, recomputed: 1 })
    expect(() => fineDistance(new Map([['a', [1]]]), recomputed, names, 'units')).to.throw(
      /1 values of a instead of 2/,
    )
  })
})

describe('where the files of a run are now', () => {
  const path = useTempFolder()

  it('is looked for from here, then from the results and the folders above them', () => {
    mkdirSync(join(path('project'), 'runs', 'results'), { recursive: true })
    writeFileSync(join(path('project'), 'model.onnx'), 'here')
    const results = join(path('project'), 'runs', 'results')
    expect(locate(undefined, 'model.onnx', { results, option: '--model' })).to.equal(
      join(path('project'), 'model.onnx'),
    )
    const direct = relative('.', join(path('project'), 'model.onnx'))
    expect(locate(undefined, direct, { results, option: '--model' })).to.equal(direct)
    expect(locate('elsewhere', 'model.onnx', { results, option: '--model' })).to.equal('elsewhere')
    expect(() => locate(undefined, 'none.npz', { results, option: '--train' })).to.throw(
      UsageError,
      /none\.npz.*not there any more.*--train/,
    )
  })
})
