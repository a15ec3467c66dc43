import { expect } from 'chai'
import { RULES } from '../../src/replay/quadrature/rules.js'
import { Random } from '../support/random.js'
import { integrateScalars } from './scalar-integration.js'
import type { Limits, ScalarIntegral, ScalarSplit } from './scalar-integration.js'

type Real = (a: number) => number

/** A tensor whose movement times gradient is known along the segment, and its integral. */
interface Known {
  readonly along: Real
  readonly lca: number
}

const exponential = (scale: number, rate: number): Known => ({
  along: (a) => scale * Math.exp(rate * a),
  lca: (scale * (Math.exp(rate) - 1)) / rate,
})

/** Where a ReLU switches on at `place`, the gradient jumps. */
const jump = (scale: number, place: number): Known => ({
  along: (a) => (a > place ? scale : 0),
  lca: scale * (1 - place),
})

const wave = (scale: number, frequency: number): Known => ({
  along: (a) => scale * Math.sin(frequency * a),
  lca: (scale * (1 - Math.cos(frequency))) / frequency,
})

/** A steady gradient and forty jumps at random places. */
function jumps(random: Random, size: number): Known {
  const all = Array.from({ length: 40 }, () => jump(size * (2 * random.next() - 1), random.next()))
  return {
    along: (a) => all.reduce((sum, { along }) => sum + along(a), size),
    lca: all.reduce((sum, { lca }) => sum + lca, size),
  }
}

function split(tensors: readonly Known[]): ScalarSplit {
  return { along: tensors.map(({ along }) => along), change: tensors.reduce((sum, { lca }) => sum + lca, 0) }
}

function auto(
  tensors: readonly Known[],
  tolerance: number,
  limits: Partial<Limits> = {},
): Promise<ScalarIntegral> {
  return integrateScalars(RULES.auto, [split(tensors)], { tolerance, maxSplits: 32, ...limits })
}

function largestError(tensors: readonly Known[], { lca }: ScalarIntegral): number {
  return Math.max(...tensors.map((tensor, i) => Math.abs(lca[0]![i]! - tensor.lca)))
}

describe('auto', () => {
  it('is content with the gradients at the checkpoints where these and the residual say little is missing', async () => {
    const tensors = [exponential(-1e-2, 0.1), exponential(-3e-3, -0.2)]
    const found = await auto(tensors, 1e-3)
    expect([found.splits, found.points, found.converged]).to.deep.equal([1, [], true])
    expect(largestError(tensors, found)).to.be.at.most(found.estimate)
  })

  it('knows from one gradient more that a loss is quadratic', async () => {
    const slope = { along: (a: number) => a - 1, lca: -1 / 2 }
    const found = await auto([slope], 1e-9)
    expect([found.splits, found.points, found.estimate]).to.deep.equal([2, [0.5], 0])
  })

  it('stays at the checkpoints where nothing moved, whatever the tolerance', async () => {
    const found = await auto([{ along: () => 0, lca: 0 }], 0)
    expect([found.splits, found.converged, found.estimate]).to.deep.equal([1, true, 0])
  })

  it('is not deceived by errors that cancel in the residual', async () => {
    for (const tolerance of [1e-2, 1e-3, 1e-4, 1e-5, 1e-6]) {
      const tensors = [exponential(1, 1.5), exponential(-1, 1.5), wave(0.3, 3), wave(-0.3, 3)]
      const found = await auto(tensors, tolerance)
      expect(found.converged, `tolerance ${tolerance}`).to.equal(true)
      expect(largestError(tensors, found), `tolerance ${tolerance}`).to.be.at.most(tolerance)
    }
  })

  it('stays within the tolerance per tensor on smooth gradients', async () => {
    for (const tolerance of [1e-2, 1e-3, 1e-4, 1e-5, 1e-6])
      for (const p of [0.13, 0.31, 0.47, 0.61, 0.83]) {
        const tensors = [exponential(0.2 * p, 2 * p), wave(0.1, 5 * p), exponential(-0.1, -p)]
        const found = await auto(tensors, tolerance)
        expect(found.converged, `${p} at ${tolerance}`).to.equal(true)
        expect(largestError(tensors, found), `${p} at ${tolerance}`).to.be.at.most(tolerance)
      }
  })

  it("where tensors' errors know nothing of each other lets pass a quarter of what Simpson's residual lets pass", async () => {
    const random = new Random('jumps')
    const trials = Array.from({ length: 200 }, () => [0.02, 0.01, 0.005].map((size) => jumps(random, size)))
    const outside = async (name: 'auto' | 'simpson', tolerance: number): Promise<number> => {
      const found = await Promise.all(
        trials.map((tensors) =>
          integrateScalars(RULES[name], [split(tensors)], { tolerance, maxSplits: 32 }),
        ),
      )
      const wrong = found.filter((one, t) => one.converged && largestError(trials[t]!, one) > tolerance)
      return wrong.length
    }
    for (const tolerance of [3e-3, 1e-3])
      expect(await outside('auto', tolerance)).to.be.at.most((await outside('simpson', tolerance)) / 4)
  })

  it('refines all splits of the data while any is not good enough', async () => {
    const [small, large] = [split([exponential(1e-4, 1)]), split([exponential(1, 1)])]
    const limits = { tolerance: 1e-3, maxSplits: 32 }
    const alone = await integrateScalars(RULES.auto, [small], limits)
    const both = await integrateScalars(RULES.auto, [small, large], limits)
    const dear = await integrateScalars(RULES.auto, [large], limits)
    expect(alone.splits).to.equal(1)
    expect(both.splits).to.equal(dear.splits).and.greaterThan(1)
  })

  it('without a residual goes by how much LCA changed last, of each tensor and of the sum', async () => {
    const tensors = [exponential(1, 1.5), exponential(-1, 1.5), wave(0.3, 3)]
    for (const tolerance of [1e-2, 1e-3, 1e-4, 1e-5]) {
      const found = await auto(tensors, tolerance, { restricted: true })
      expect(found.converged).to.equal(true)
      expect(largestError(tensors, found)).to.be.at.most(tolerance)
    }
    const many = Array.from({ length: 40 }, () => exponential(1, 1))
    const [one, all] = [
      await auto([many[0]!], 1e-3, { restricted: true }),
      await auto(many, 1e-3, { restricted: true }),
    ]
    expect(one.splits).to.be.lessThan(all.splits)
    expect(all.error).to.be.greaterThan(all.estimate)
  })

  it('stops at the noise floor', async () => {
    const found = await auto([jump(0.01, 0.4)], 1e-9, { noiseFloor: 1e-3 })
    expect([found.converged, found.stop]).to.deep.equal([false, true])
    expect(found.estimate).to.be.at.most(1e-3)
  })

  it('sees nothing of what happens between its points and cancels in the sum, as no estimate could', async () => {
    const bump = (a: number): number => (a > 0.1 && a < 0.4 ? 1 : 0)
    const tensors = [
      { along: bump, lca: 0.3 },
      { along: (a: number) => -bump(a), lca: -0.3 },
    ]
    const found = await auto(tensors, 1e-3)
    expect([found.converged, found.estimate]).to.deep.equal([true, 0])
    expect(largestError(tensors, found)).to.equal(0.3)
  })
})
