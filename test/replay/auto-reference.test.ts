import { expect } from 'chai'
import { readdirSync } from 'node:fs'
import { RULES } from '../../src/replay/quadrature/rules.js'
import { describeWithShared } from '../shared.js'
import { readNpz } from '../support/npz.js'
import { intervalOf, intervalsOf, readProjections } from './projections.js'
import type { Projections } from './projections.js'
import { integrateScalars } from './scalar-integration.js'
import type { ScalarIntegral } from './scalar-integration.js'

/** By PyTorch in float64 at nine points of each interval: see fixtures/README.md. */
const FOLDER = 'fixtures/quadrature'
const CASES = ['gpt', 'lenet', 'mnist-fc', 'resnet-bn.batch', 'resnet-bn.running'] as const
const LIMITS = { maxSplits: 8 }

async function integrateAll(
  projections: Projections,
  tolerance: number,
  splits: readonly string[],
): Promise<ScalarIntegral[]> {
  const intervals = Array.from({ length: intervalsOf(projections) }, (_, t) => t)
  return Promise.all(
    intervals.map((t) =>
      integrateScalars(RULES.auto, intervalOf(projections, t, splits), { ...LIMITS, tolerance }),
    ),
  )
}

/** Errors of LCA against PyTorch's exact integrals, by interval: the largest of any split and tensor. */
function largestErrors(
  projections: Projections,
  splits: readonly string[],
  found: readonly ScalarIntegral[],
): number[] {
  return found.map(({ lca }, t) =>
    Math.max(
      ...splits.flatMap((name, split) =>
        projections.splits[name]!.exact[t]!.map((exact, i) => Math.abs(lca[split]![i]! - exact)),
      ),
    ),
  )
}

describe('auto on the reference cases', () => {
  it('has a file for each case', () => {
    expect(readdirSync(FOLDER).toSorted()).to.deep.equal(CASES.map((name) => `${name}.json`))
  })

  for (const name of CASES)
    for (const splits of [['train', 'val'], ['train'], ['val']])
      it(`${name}, ${splits.join(' and ')}: converged intervals are within the tolerance in every tensor`, async () => {
        const projections = readProjections(`${FOLDER}/${name}.json`)
        for (const tolerance of [1e-2, 1e-3, 1e-4]) {
          const found = await integrateAll(projections, tolerance, splits)
          largestErrors(projections, splits, found).forEach((error, t) => {
            if (found[t]!.converged) expect(error, `interval ${t}`).to.be.at.most(tolerance)
            else expect(found[t]!.splits).to.equal(LIMITS.maxSplits)
          })
        }
      })

  it('mnist-fc at 1e-3: all converge, with at most 1.3 gradients per interval and split, the very first included', async () => {
    const projections = readProjections(`${FOLDER}/mnist-fc.json`)
    for (const splits of [['train', 'val'], ['train'], ['val']]) {
      const found = await integrateAll(projections, 1e-3, splits)
      expect(found.every(({ converged }) => converged)).to.equal(true)
      const gradients = 1 + found.reduce((sum, { points }) => sum + 1 + points.length, 0)
      expect(gradients / found.length).to.be.at.most(1.3)
    }
  })

  it('estimates are seldom below the true error of a tensor: at most 2 in 100', async () => {
    for (const name of CASES) {
      const projections = readProjections(`${FOLDER}/${name}.json`)
      const splits = ['train', 'val']
      for (const tolerance of [1e-2, 1e-3, 1e-4]) {
        const found = await integrateAll(projections, tolerance, splits)
        const low = found.flatMap(({ lca, estimates, converged }, t) =>
          splits.flatMap((split, s) =>
            projections.splits[split]!.exact[t]!.map(
              (exact, i) => converged && Math.abs(lca[s]![i]! - exact) > estimates[s]![i]!,
            ),
          ),
        )
        expect(low.filter(Boolean).length / low.length, `${name} at ${tolerance}`).to.be.at.most(0.02)
      }
    }
  })
})

describeWithShared('projections of the reference cases', (shared) => {
  for (const name of CASES)
    it(`${name}: losses, exact and Simpson's LCA and the first-order term are those of expected.npz`, async () => {
      const [folder, mode] = name.split('.')
      const suffix = mode === undefined ? '' : `.${mode}`
      const expected = await readNpz(`${shared}/reference/${folder!}/expected${suffix}.npz`)
      const { splits } = readProjections(`${FOLDER}/${name}.json`)
      for (const [split, { loss, exact, along }] of Object.entries(splits)) {
        const values = along.flat()
        const found = {
          [`loss_${split}`]: loss,
          [`exact/${split}`]: exact.flat(),
          [`first/${split}`]: values.map((f) => f[0]!),
          [`simpson/${split}`]: values.map((f) => (f[0]! + 4 * f[4]! + f[8]!) / 6),
        }
        for (const [array, got] of Object.entries(found)) {
          const wanted = await expected(array)
          expect(got).to.have.length(wanted.length)
          got.forEach((value, i) => {
            expect(value, `${array} ${i}`).to.be.closeTo(wanted[i]!, 1e-11 + 1e-10 * Math.abs(wanted[i]!))
          })
        }
      }
    })
})
