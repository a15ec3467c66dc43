import { expect } from 'chai'
import { QUADRATURES } from '../../src/replay/quadrature/names.js'
import type { QuadratureName } from '../../src/replay/quadrature/names.js'
import type { Level, Rule } from '../../src/replay/quadrature/rule.js'
import { RULES } from '../../src/replay/quadrature/rules.js'
import { integrateScalars } from './scalar-integration.js'
import type { Limits, ScalarIntegral } from './scalar-integration.js'

type Real = (a: number) => number

/** Degree up to which each rule is exact, and the order by which its error falls when parts double. */
const PROPERTIES: Readonly<Record<QuadratureName, { degree: number; order: number }>> = {
  'first-order': { degree: 0, order: 1 },
  trapezoid: { degree: 1, order: 2 },
  midpoint: { degree: 1, order: 2 },
  simpson: { degree: 3, order: 4 },
  boole: { degree: 5, order: 6 },
  'gauss-kronrod': { degree: 23, order: 24 },
  auto: { degree: 1, order: 4 },
}

const FIXED = QUADRATURES.filter((name) => name !== 'auto')

/** All gradients and sums that a level's combinations are of. */
function gathered(rule: Rule, index: number, f: Real): number[] {
  const levels = Array.from({ length: index + 1 }, (_, i) => rule.level(i))
  const sums = levels.flatMap(({ points, sums: count }) =>
    Array.from({ length: count }, (_, sum) => points.reduce((total, p) => total + p.into[sum]! * f(p.a), 0)),
  )
  return [f(0), f(1), ...sums]
}

function combine(coefficients: readonly number[], values: readonly number[]): number {
  expect(coefficients).to.have.length(values.length)
  return values.reduce((sum, value, i) => sum + coefficients[i]! * value, 0)
}

function integral(rule: Rule, index: number, f: Real): number {
  return combine(rule.level(index).integral, gathered(rule, index, f))
}

/** The power of 2a - 1, whose integral over the segment is 1 / (degree + 1), or 0 where the degree is odd. */
const power =
  (degree: number): Real =>
  (a) =>
    (2 * a - 1) ** degree

const powerIntegral = (degree: number): number => (degree % 2 === 1 ? 0 : 1 / (degree + 1))

function integrate(name: QuadratureName, f: Real, change: number, limits: Limits): Promise<ScalarIntegral> {
  return integrateScalars(RULES[name], [{ along: [f], change }], limits)
}

describe('quadrature rules', () => {
  for (const name of QUADRATURES) {
    const { degree } = PROPERTIES[name]

    it(`${name} is exact for polynomials of degree ${degree}, and not of the next`, () => {
      for (const index of [0, 1, 2]) {
        for (let d = 0; d <= degree; d += 1)
          expect(integral(RULES[name], index, power(d)), `degree ${d}`).to.be.closeTo(powerIntegral(d), 2e-15)
      }
      const next = (a: number): number => a ** (degree + 1)
      const tooFar = name === 'gauss-kronrod' ? power(degree + 1) : next
      const exact = name === 'gauss-kronrod' ? powerIntegral(degree + 1) : 1 / (degree + 2)
      expect(Math.abs(integral(RULES[name], 0, tooFar) - exact)).to.be.greaterThan(1e-9)
    })

    it(`${name} asks for no point twice, in ascending order within a level, and never for the ends`, () => {
      const levels = Array.from({ length: 5 }, (_, index) => RULES[name].level(index))
      for (const { points } of levels) {
        const places = points.map(({ a }) => a)
        expect(places).to.deep.equal(places.toSorted((a, b) => a - b))
      }
      const all = levels.flatMap(({ points }) => points.map(({ a }) => a))
      expect(new Set(all).size).to.equal(all.length)
      expect(Math.min(...all)).to.be.greaterThan(0)
      expect(Math.max(...all)).to.be.lessThan(1)
    })

    it(`${name} gives each new point a weight for every new sum, and each combination a weight for every sum`, () => {
      let sums = 0
      for (let index = 0; index < 5; index += 1) {
        const level = RULES[name].level(index)
        sums += level.sums
        for (const { into } of level.points) expect(into).to.have.length(level.sums)
        for (const coefficients of [level.integral, ...level.compared])
          expect(coefficients).to.have.length(2 + sums)
      }
    })
  }

  for (const name of QUADRATURES.filter((one) => one !== 'gauss-kronrod')) {
    const { order } = PROPERTIES[name]

    it(`${name}'s error falls by 2^${order} when parts double`, () => {
      const error = (index: number): number => Math.abs(integral(RULES[name], index, Math.exp) - (Math.E - 1))
      const index = name === 'boole' ? 0 : 3
      expect(Math.log2(error(index) / error(index + 1))).to.be.closeTo(order, 0.05)
    })
  }

  it('counts parts from what each rule starts with', () => {
    const parts = (name: QuadratureName): number[] =>
      [0, 1, 2].map((index) => RULES[name].level(index).splits)
    expect(parts('simpson')).to.deep.equal([2, 4, 8])
    expect(parts('boole')).to.deep.equal([4, 8, 16])
    for (const name of ['first-order', 'trapezoid', 'midpoint', 'gauss-kronrod', 'auto'] as const)
      expect(parts(name), name).to.deep.equal([1, 2, 4])
  })

  it('simpson with two parts is the rule of the paper (Lan et al. 2019, section 3.1)', () => {
    const { points, integral: weights } = RULES.simpson.level(0)
    expect(points).to.deep.equal([{ a: 1 / 2, into: [1] }])
    const paper = [1 / 6, 1 / 6, 4 / 6]
    weights.forEach((weight, i) => {
      expect(weight).to.be.closeTo(paper[i]!, 1e-16)
    })
  })

  it('simpson, boole and the trapezoid have the weights of the textbook (Abramowitz and Stegun 25.4)', () => {
    expect(weightsAt('simpson', 1, 4)).to.deep.equal([1, 4, 2, 4, 1].map((weight) => weight / 12))
    const boole = [7, 32, 12, 32, 14, 32, 12, 32, 7].map((weight) => (2 * weight) / (45 * 8))
    weightsAt('boole', 1, 8).forEach((weight, i) => {
      expect(weight).to.be.closeTo(boole[i]!, 1e-16)
    })
    expect(weightsAt('trapezoid', 2, 4)).to.deep.equal([1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8])
  })

  /** A rule's weights at the multiples of 1 / parts, by what it makes of functions that are 1 at one of them. */
  function weightsAt(name: QuadratureName, index: number, parts: number): number[] {
    return Array.from({ length: parts + 1 }, (_, k) =>
      integral(RULES[name], index, (a) => (a === k / parts ? 1 : 0)),
    )
  }

  it('midpoint and gauss-kronrod start anew at each level: earlier sums and the ends count nothing', () => {
    for (const name of ['midpoint', 'gauss-kronrod'] as const) {
      const { integral: weights, sums }: Level = RULES[name].level(3)
      expect(weights.slice(0, -sums).every((weight) => weight === 0)).to.equal(true)
    }
  })

  it("Gauss's 7 points among Kronrod's 15 are exact to degree 13, and not to 14", () => {
    const { compared } = RULES['gauss-kronrod'].level(0)
    const gauss = (f: Real): number => combine(compared[0]!, gathered(RULES['gauss-kronrod'], 0, f))
    for (let d = 0; d <= 13; d += 1) expect(gauss(power(d))).to.be.closeTo(powerIntegral(d), 1e-15)
    expect(Math.abs(gauss(power(14)) - 1 / 15)).to.be.greaterThan(1e-5)
  })
})

describe('estimates of quadrature rules', () => {
  /** For a power one above what a rule integrates exactly its error falls by the order exactly, so the formula is exact. */
  const EXACT: readonly (readonly [QuadratureName, power: number, splits: number])[] = [
    ['first-order', 1, 1],
    ['first-order', 1, 8],
    ['trapezoid', 2, 2],
    ['trapezoid', 2, 16],
    ['midpoint', 2, 1],
    ['midpoint', 2, 8],
    ['simpson', 4, 4],
    ['simpson', 4, 16],
    ['boole', 6, 8],
  ]
  for (const [name, d, splits] of EXACT)
    it(`${name} with ${splits} parts: the error of a^${d} is what is estimated`, async () => {
      const f = (a: number): number => a ** d
      const found = await integrate(name, f, 1 / (d + 1), { tolerance: 0, maxSplits: splits })
      expect(found.splits).to.equal(splits)
      const error = Math.abs(found.lca[0]![0]! - 1 / (d + 1))
      expect(found.estimate).to.be.closeTo(error, 1e-6 * error + 1e-17)
      expect(found.estimates).to.deep.equal([[found.estimate]])
    })

  it('first levels estimate by the error of the rule of lower order, which is larger', async () => {
    const trapezoid = (1 + Math.E) / 2
    const simpson = (1 + 4 * Math.sqrt(Math.E) + Math.E) / 6
    for (const [name, estimate, lca] of [
      ['trapezoid', trapezoid - 1, trapezoid],
      ['simpson', trapezoid - simpson, simpson],
    ] as const) {
      const found = await integrate(name, Math.exp, Math.E - 1, { tolerance: 10, maxSplits: 4 })
      expect(found.estimate).to.be.closeTo(estimate, 1e-15)
      expect(found.estimate).to.be.greaterThan(10 ** -2 + Math.abs(lca - (Math.E - 1)))
    }
  })

  it("gauss-kronrod estimates by Gauss's error, which is far above its own", async () => {
    const f = (a: number): number => 1 / (1 + 4 * a * a)
    const exact = Math.atan(2) / 2
    const found = await integrate('gauss-kronrod', f, exact, { tolerance: 1, maxSplits: 1 })
    const error = Math.abs(found.lca[0]![0]! - exact)
    expect(found.estimate).to.be.within(10 * error, 1e-5)
  })

  it('are by tensor, where the residual is of their sum', async () => {
    const along = [(a: number) => a ** 4, (a: number) => -3 * a ** 4, () => 1]
    const limits = { tolerance: 0, maxSplits: 4 }
    const found = await integrateScalars(RULES.simpson, [{ along, change: 1 / 5 - 3 / 5 + 1 }], limits)
    const error = 24 / (180 * 4 ** 4)
    const expected = [error, 3 * error, 0]
    found.estimates[0]!.forEach((estimate, tensor) => {
      expect(estimate).to.be.closeTo(expected[tensor]!, 1e-15)
    })
    expect(found.estimate).to.be.closeTo(3 * error, 1e-15)
    expect(found.error).to.be.closeTo(2 * error, 1e-15)
  })
})

describe('convergence of fixed rules', () => {
  for (const name of FIXED)
    it(`${name} converges by the residual`, async () => {
      const residual = (index: number): number =>
        Math.abs(integral(RULES[name], index, Math.exp) - (Math.E - 1))
      const tolerance = Math.max(residual(1), 1e-12) * 1.01
      const found = await integrate(name, Math.exp, Math.E - 1, { tolerance, maxSplits: 32 })
      expect(found.converged).to.equal(true)
      expect(found.error).to.be.at.most(tolerance)
      const index = name === 'gauss-kronrod' ? 0 : 1
      expect(found.splits).to.equal(RULES[name].level(index).splits)
    })

  it('is of all splits together', async () => {
    const smooth = { along: [() => 1], change: 1 }
    const steep = { along: [(a: number) => a ** 6], change: 1 / 7 }
    const found = await integrateScalars(RULES.simpson, [smooth, steep], { tolerance: 1e-3, maxSplits: 32 })
    expect([found.splits, found.converged]).to.deep.equal([8, true])
  })

  it('where LCA is restricted to some tensors, is by |S(2n) - S(n)| / 15 of their sum', async () => {
    const along = [
      (a: number) => Math.exp(2 * a),
      (a: number) => Math.exp(2 * a),
      (a: number) => -Math.exp(2 * a),
    ]
    const simpson = (index: number): number => integral(RULES.simpson, index, (a) => Math.exp(2 * a))
    for (const index of [1, 2, 3]) {
      const tolerance = (Math.abs(simpson(index) - simpson(index - 1)) / 15) * 1.001
      const limits = { tolerance, maxSplits: 32, restricted: true }
      const found = await integrateScalars(RULES.simpson, [{ along, change: NaN }], limits)
      expect(found.splits).to.equal(2 ** (index + 1))
      expect(found.error).to.be.closeTo(tolerance / 1.001, 1e-12)
    }
  })

  it('stops where the error is below the noise floor, which is asked for only then', async () => {
    const f = (a: number): number => a ** 6
    const noisy = await integrate('simpson', f, 1 / 7, { tolerance: 1e-9, maxSplits: 32, noiseFloor: 1e-2 })
    expect([noisy.splits, noisy.stop, noisy.converged]).to.deep.equal([4, true, false])
    const tensors = [[1], [1]]
    const question = { index: 0, splits: [{ tensors, residual: 0 }], tolerance: 1e-3, restricted: false }
    const noiseFloor = (): never => {
      throw new Error('asked for in vain')
    }
    expect((await RULES.simpson.judge({ ...question, noiseFloor })).converged).to.equal(true)
  })

  it('has an end at the largest number of splits', async () => {
    const found = await integrate('simpson', (a) => a ** 6, 1 / 7, { tolerance: 0, maxSplits: 8 })
    expect([found.splits, found.converged, found.stop]).to.deep.equal([8, false, false])
    expect(found.points).to.have.length(7)
  })
})
