import { expect } from 'chai'
import {
  largestDifference,
  MEASURED,
  ratiosOf,
  replayRecorded,
  replayScaled,
} from '../../scripts/reparametrisation/experiment.js'
import type { Extent, Measured, Replayed } from '../../scripts/reparametrisation/experiment.js'
import { newFolder, removeFolders } from '../cli/command.js'

/** Four of the recorded steps, on few images. */
const EXTENT: Extent = {
  data: 'fixtures/mnist-lenet/val.npz',
  steps: { from: 28, to: 32, stride: 1 },
  fisherSamples: 50,
}
const scalingBy = (by: number) => ({ up: 'fc1', down: 'fc2', by })

/** relu(c z) = c relu(z): weights and biases of fc1 times c, weights of fc2 times 1/c are the same network. */
describe('a ReLU layer scaled up and the next one down', function () {
  this.timeout(120_000)
  let recorded: Replayed
  /** By a power of two, which floating-point numbers take without rounding. */
  let exact: Replayed
  let rounded: Replayed

  before(async () => {
    const folder = newFolder()
    recorded = await replayRecorded(folder, EXTENT)
    exact = await replayScaled(folder, EXTENT, scalingBy(4))
    rounded = await replayScaled(folder, EXTENT, scalingBy(10))
  })
  after(removeFolders)

  it('leaves LCA of every parameter as it is: every bit, or to the rounding of float32', () => {
    expect(exact.lca).to.deep.equal(recorded.lca)
    expect(Math.max(...recorded.lca.map(Math.abs))).to.be.above(1e-3)
    expect(largestDifference(recorded, rounded)).to.be.above(0).and.below(1e-5)
  })

  it('divides Fisher information of every parameter by the square of what it is multiplied with', () => {
    const factors: Readonly<Record<string, number>> = { 'fc1.weight': 4, 'fc1.bias': 4, 'fc2.weight': 1 / 4 }
    const expected = recorded.fisher.map((value, i) => value / (factors[recorded.tensorOf[i]!] ?? 1) ** 2)
    expect(exact.fisher).to.deep.equal(expected)
    expect(Math.max(...expected)).to.be.above(0)
  })

  for (const measured of MEASURED.filter(({ power }) => power !== null))
    it(`multiplies ${measured.name} of a tensor by its factor to the power of ${measured.power}`, () => {
      for (const [scaled, by, error] of [
        [exact, 4, 1e-12],
        [rounded, 10, 2e-4],
      ] as const)
        for (const { tensor, factor, ratio } of ratiosOf(measured, recorded, scaled, scalingBy(by)))
          expect(ratio / factor ** measured.power!, `${tensor} by ${factor}`).to.be.closeTo(1, error)
    })

  it('changes Synaptic Intelligence, by no power of the factor', () => {
    const importance = MEASURED.find(({ power }) => power === null) as Measured
    for (const { factor, ratio } of ratiosOf(importance, recorded, exact, scalingBy(4)))
      if (factor === 1) expect(ratio).to.equal(1)
      else for (const power of [0, -1, -2]) expect(Math.abs(ratio / factor ** power - 1)).to.be.above(0.01)
  })

  it('changes how other measures rank parameters, and the cosine over all of them', () => {
    const byName = (run: Replayed, name: string) => run.measures.find(({ measure }) => measure === name)!
    for (const name of ['path length', 'distance', 'Synaptic Intelligence', 'empirical Fisher'] as const)
      expect(byName(rounded, name).parameters, name).to.not.be.closeTo(
        byName(recorded, name).parameters,
        1e-3,
      )
    expect(Math.abs(exact.cosine - recorded.cosine)).to.be.above(0.01)
  })
})
