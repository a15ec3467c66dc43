import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { expect } from 'chai'
import { UsageError } from '../../src/errors.js'
import type { QuadratureName } from '../../src/replay/quadrature/names.js'
import { chooseIntervals } from '../../src/verify/choose.js'
import { badSums, fineDistance } from '../../src/verify/fine.js'
import { finerTask } from '../../src/verify/finer.js'
import { locate } from '../../src/verify/locate.js'
import { verdictOf } from '../../src/verify/verdict.js'
import { useTempFolder } from '../io/temp-folder.js'

const facts = Array.from({ length: 100 }, (_, interval) => ({
  interval,
  residual: interval === 31 ? 5 : 1,
  lca: interval === 77 ? 9 : 2,
}))

/** A rule in equal parts as textbooks have it, part by part. */
function byHand(rule: QuadratureName, parts: number, f: (a: number) => number): number {
  const at = (part: number, share: number): number => f((part + share) / parts)
  const of: Partial<Record<QuadratureName, (part: number) => number>> = {
    'first-order': (part) => at(part, 0),
    trapezoid: (part) => (at(part, 0) + at(part, 1)) / 2,
    midpoint: (part) => at(part, 0.5),
  }
  // over pairs of parts, and over fours
  const panel = (weights: readonly number[], divisor: number): number => {
    const width = weights.length - 1
    return Array.from({ length: parts / width }, (_, i) =>
      weights.reduce((sum, weight, k) => sum + (weight / divisor) * at(i * width + k, 0), 0),
    ).reduce((sum, value) => sum + value * width, 0)
  }
  const total = (each: (part: number) => number): number =>
    Array.from({ length: parts }, (_, part) => each(part)).reduce((sum, value) => sum + value, 0)
  if (rule === 'boole') return panel([7, 32, 12, 32, 7], 90) / parts
  const simple = of[rule === 'auto' && parts === 1 ? 'trapezoid' : rule]
  return (simple === undefined ? panel([1, 4, 1], 6) : total(simple)) / parts
}

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
    const own = { quadrature: 'simpson', parts: 2, onOwn: () => undefined } as const
    const { rule, tolerance, maxSplits } = finerTask(0, own, { tolerance: 1e-3 })
    expect({ tolerance, maxSplits }).to.deep.equal({ tolerance: 1e-5, maxSplits: 64 })
    const enough = [0, 1, 2].map((index) => rule.level(index).splits >= 8)
    expect(enough).to.deep.equal([false, false, true])
    for (const index of [0, 1, 2]) {
      const tensors = [
        [1],
        [1],
        ...rule
          .level(index)
          .compared.slice(1)
          .map(() => [1]),
      ]
      const noiseFloor = () => Promise.resolve(1)
      const question = { index, splits: [{ tensors, residual: 0 }], tolerance, restricted: false, noiseFloor }
      const { converged, stop } = await rule.judge(question)
      expect(converged || stop).to.equal(enough[index])
    }
    expect(finerTask(0, { ...own, parts: 32 }, { tolerance: 1e-3 }).maxSplits).to.equal(64)
  })

  const RULES_AND_PARTS = [
    ['first-order', 1],
    ['trapezoid', 1],
    ['trapezoid', 8],
    ['midpoint', 1],
    ['midpoint', 4],
    ['simpson', 2],
    ['simpson', 16],
    ['boole', 4],
    ['boole', 8],
    ['auto', 1],
    ['auto', 4],
  ] as const
  for (const [quadrature, parts] of RULES_AND_PARTS)
    it(`does what the run did again on its way: ${quadrature} in ${parts}`, async () => {
      let own: number | undefined
      const onOwn = (lca: readonly (readonly number[])[]): void => {
        own = lca[0]![0]
      }
      const { rule } = finerTask(0, { quadrature, parts, onOwn }, { tolerance: 1e-3 })
      // the integral of e^3a over a single parameter that moves by 1
      const gradient = (a: number): number => Math.exp(3 * a)
      const sums: number[] = []
      for (let index = 0; own === undefined; index += 1) {
        const level = rule.level(index)
        sums.push(level.points.reduce((sum, { a }) => sum + gradient(a), 0))
        const combine = (coefficients: readonly number[]): number =>
          [gradient(0), gradient(1), ...sums].reduce(
            (sum, value, i) => sum + value * (coefficients[i] ?? 0),
            0,
          )
        const tensors = [level.integral, ...level.compared].map((coefficients) => [combine(coefficients)])
        const question = { index, tolerance: 1, restricted: false, noiseFloor: () => Promise.resolve(0) }
        await rule.judge({ ...question, splits: [{ tensors, residual: 1 }] })
      }
      expect(own).to.be.closeTo(byHand(quadrature, parts, gradient), 1e-12)
    })

  it('tells an integral that needs finer parts from numbers that the run does not give', () => {
    const evidence = { tolerance: 1e-3, rounding: 1e-5, residuals: 0.01, reproduced: 1e-6 }
    const verdict = (changes: object): string => verdictOf({ ...evidence, distance: 0.02, ...changes })
    expect(verdict({ distance: 1e-3 })).to.equal('agrees')
    expect(verdict({})).to.equal('imprecise')
    expect(verdict({ reproduced: 1e-4 })).to.equal('differs')
    expect(verdict({ reproduced: Infinity })).to.equal('differs')
    expect(verdict({ reproduced: NaN })).to.equal('imprecise')
    expect(verdict({ reproduced: NaN, distance: 0.021 })).to.equal('differs')
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

describe('sums of units and parameters', () => {
  it('are those of their tensors, but for rounding', () => {
    const values = new Map([['a', Float32Array.of(0.1, -0.3)]])
    expect(badSums('parameters', values, new Map([['a', 0.1 - 0.3]]))).to.deep.equal([])
    expect(badSums('units', values, new Map([['a', 0.1 - 0.3]]))).to.deep.equal(['a'])
    expect(badSums('parameters', values, new Map([['a', -0.2001]]))).to.deep.equal(['a'])
    expect(badSums('parameters', values, new Map())).to.deep.equal(['a'])
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
