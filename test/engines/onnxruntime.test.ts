import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { openData } from '../../src/data/open-data.js'
import { createEngine, evaluate as evaluateSplit } from '../../src/engines/create.js'
import type { Engine, SplitData } from '../../src/engines/engine.js'
import { EngineError } from '../../src/errors.js'
import { readModel } from '../../src/onnx/read.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'

const RUN = 'fixtures/mnist-lenet'

/** The recorded network with its gradient, the weights of one step, and 300 images. */
async function recorded(step: number) {
  const model = await readModel(join(RUN, 'model.onnx'))
  const trajectory = await openTrajectory(join(RUN, 'checkpoints'))
  const checkpoint = trajectory.checkpoints[step]!
  const weights = new Map<string, Float32Array>()
  for (const name of checkpoint.tensors.keys())
    weights.set(name, (await checkpoint.read(name)).data as Float32Array)
  const gradient = differentiate(model, { parameters: [...weights.keys()], loss: { kind: 'cross-entropy' } })
  const inputs = gradient.inputs.map(({ name, dtype, shape }) => ({ name, dtype: dtype!, dims: shape! }))
  const split: SplitData = await openData(
    join(RUN, 'val.npz'),
    { inputs, target: { kind: 'labels', positions: [] } },
    { scale: 'auto' },
  )
  return { gradient, weights, split }
}

function zeros(weights: ReadonlyMap<string, Float32Array>): Map<string, Float64Array> {
  return new Map([...weights].map(([name, values]) => [name, new Float64Array(values.length)]))
}

describe('the ONNX Runtime engine', () => {
  let engine: Engine
  let at: Awaited<ReturnType<typeof recorded>>

  before(async () => {
    at = await recorded(30)
    engine = await createEngine(at.gradient, { threads: 1 })
  })
  after(() => engine.close())

  async function evaluate(size: number, first?: number) {
    const gradients = zeros(at.weights)
    const cut = first === undefined ? { size } : { size, first }
    const { loss } = await evaluateSplit(engine, at.weights, at.split, cut, gradients)
    return { loss, gradients }
  }

  it("gives PyTorch's loss", async () => {
    const { loss } = JSON.parse(readFileSync(join(RUN, 'expected.json'), 'utf8')) as {
      loss: Record<string, number[]>
    }
    expect((await evaluate(300)).loss).to.be.closeTo(loss.val![30]!, 2e-6)
  })

  it('gives the same loss and gradient however the samples are cut', async () => {
    const whole = await evaluate(300)
    for (const [size, first] of [[1], [7], [128], [128, 64]] as const) {
      const cut = await evaluate(size, first)
      expect(cut.loss).to.be.closeTo(whole.loss, 1e-6)
      for (const [name, values] of whole.gradients) {
        const largest = Math.max(...values.map(Math.abs))
        const off = Math.max(...values.map((value, i) => Math.abs(value - cut.gradients.get(name)![i]!)))
        expect(off, name).to.be.below(1e-5 * largest)
      }
    }
  })

  it('agrees with central differences of its own loss along a random direction', async () => {
    const { gradients } = await evaluate(300)
    let state = 12345
    const random = (): number => {
      state = (state * 1103515245 + 12345) % 2 ** 31
      return state / 2 ** 31 - 0.5
    }
    const direction = new Map([...at.weights].map(([name, values]) => [name, Array.from(values, random)]))
    const step = 1e-3
    const moved = async (sign: number): Promise<number> => {
      const weights = new Map(
        [...at.weights].map(([name, values]) => [
          name,
          Float32Array.from(values, (value, i) => value + sign * step * direction.get(name)![i]!),
        ]),
      )
      return (await evaluateSplit(engine, weights, at.split, { size: 300 }, zeros(at.weights))).loss
    }
    const slope = ((await moved(1)) - (await moved(-1))) / (2 * step)
    let product = 0
    for (const [name, values] of gradients)
      values.forEach((value, i) => (product += value * direction.get(name)![i]!))
    expect(product).to.be.closeTo(slope, 0.01 * Math.abs(slope))
  })

  it('names the input for which no data was given', async () => {
    const split = { samples: 300, inputs: new Map(), target: at.split.target }
    const error: unknown = await evaluateSplit(
      engine,
      at.weights,
      split,
      { size: 300 },
      zeros(at.weights),
    ).catch((reason: unknown) => reason)
    expect(error).to.be.instanceOf(EngineError)
    expect((error as Error).message).to.match(/no data was given for the network's input 'input'/)
  })
})
