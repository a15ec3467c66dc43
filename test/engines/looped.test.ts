import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { DifferentiateOptions, GradientGraph } from '../../src/autodiff/differentiate.js'
import { GROUP, loopedGradient } from '../../src/autodiff/looped.js'
import { openData } from '../../src/data/open-data.js'
import { createEngine } from '../../src/engines/create.js'
import type { Engine, MicroBatch, Parameters, SplitData } from '../../src/engines/engine.js'
import { openLoopedEngine } from '../../src/engines/looped.js'
import { stretches } from '../../src/engines/micro-batches.js'
import { programOf } from '../../src/engines/program.js'
import { QuickerEngine, sumOneByOne } from '../../src/engines/quicker.js'
import { EngineError } from '../../src/errors.js'
import { readModel } from '../../src/onnx/read.js'
import { encodeModel } from '../../src/onnx/write.js'
import { normalized } from '../cli/normalized.js'
import { removeFolders } from '../cli/command.js'
import { describeWithShared } from '../shared.js'
import { rejection } from '../support/rejection.js'

type Choices = Partial<Pick<DifferentiateOptions, 'batchNorm' | 'wanted'>>

/** A network's gradient, its weights as its file has them, and samples. */
async function recorded(path: string, data: string, choices: Choices = {}) {
  const model = await readModel(path)
  const weights = [...model.initializers].filter(([, { dtype, literal }]) => dtype === 'float32' && !literal)
  const parameters = weights.map(([name]) => name)
  const gradient = differentiate(model, { parameters, loss: { kind: 'cross-entropy' }, ...choices })
  return { gradient, parameters: valuesOf(weights), split: await samplesOf(gradient, data) }
}

function valuesOf(weights: [string, { read: () => Uint8Array }][]): Parameters {
  return new Map(weights.map(([name, { read }]) => [name, new Float32Array(Uint8Array.from(read()).buffer)]))
}

function samplesOf({ inputs, target }: GradientGraph, path: string): Promise<SplitData> {
  const specs = inputs.map(({ name, dtype, shape }) => ({ name, dtype: dtype!, dims: shape! }))
  const positions = target!.input.shape!.slice(1)
  return openData(path, { inputs: specs, target: { kind: 'labels', positions } }, { scale: 'auto' })
}

function inRow(count: number, size: number): MicroBatch[] {
  return Array.from({ length: count }, (_, i) => ({ start: i * size, count: size, size }))
}

function loopOf(gradient: GradientGraph): Promise<Engine> {
  return openLoopedEngine(encodeModel(loopedGradient(gradient)), programOf(gradient), { threads: 1 })
}

/** Sums of micro-batches in one run against those of a run for each, which are added up here. */
async function expectSameSums(
  { gradient, parameters, split }: Awaited<ReturnType<typeof recorded>>,
  batches: readonly MicroBatch[],
): Promise<void> {
  const engines = [await createEngine(gradient, { threads: 1 }), await loopOf(gradient)] as const
  const [each, looped] = engines
  const expected = await sumOneByOne(each, parameters, split, batches)
  const sum = await looped.sum!(parameters, split, batches)
  expect(sum.numerator).to.be.closeTo(expected.numerator, 1e-12 * Math.abs(expected.numerator))
  expect(sum.denominator).to.equal(expected.denominator)
  expect(gradient.gradients.size).to.be.greaterThan(0)
  for (const name of gradient.gradients.keys()) {
    const [values, wanted] = [sum.gradient(name)!, expected.gradient(name)!]
    expect(values, name).to.be.instanceOf(Float64Array)
    expect(
      wanted.some((value) => value !== 0),
      name,
    ).to.equal(true)
    expect(distance(values, wanted), name).to.be.lessThan(1e-12)
  }
  for (const engine of engines) await engine.close()
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [difference, norm] = [0, 0]
  for (let i = 0; i < b.length; i += 1) {
    difference += (a[i]! - b[i]!) ** 2
    norm += b[i]! ** 2
  }
  return Math.sqrt(difference / norm)
}

const LENET = 'fixtures/mnist-lenet'

describe('a gradient graph that loops over micro-batches', () => {
  after(removeFolders)

  it('gives the sums of a run for each of them', async () => {
    await expectSameSums(await recorded(`${LENET}/model.onnx`, `${LENET}/val.npz`), inRow(5, 32))
  })

  it('keeps the statistics of each micro-batch apart', async () => {
    const run = await recorded(await normalized(), `${LENET}/val.npz`, { batchNorm: 'batch' })
    expect(run.gradient.coupledBy).to.equal('BatchNormalization')
    await expectSameSums(run, inRow(4, 16))
  })

  it('computes in front of the loop what depends on the parameters alone', async () => {
    const { gradient } = await recorded(await normalized(), `${LENET}/val.npz`)
    const looped = loopedGradient(gradient)
    const scan = looped.nodes.at(-1)!
    expect(scan.op).to.equal('Scan')
    const front = looped.nodes.slice(0, -1).map(({ op }) => op)
    // 1 / sqrt(variance + epsilon) of the recorded statistics
    expect(front).to.include.members(['Sqrt', 'Div'])
    expect(front).not.to.include('Conv')
  })

  it('has the parameters and the data as inputs, and gradients under their names', async () => {
    const { gradient } = await recorded(`${LENET}/model.onnx`, `${LENET}/val.npz`)
    const looped = loopedGradient(gradient)
    const names = gradient.graph.inputs.map(({ name }) => name)
    const data = [
      ...gradient.inputs.map(({ name }) => name),
      gradient.target!.input.name,
      gradient.weight.name,
    ]
    expect(looped.inputs.map(({ name }) => name)).to.have.members(
      names.map((name) => (data.includes(name) ? GROUP + name : name)),
    )
    expect(looped.outputs.map(({ name }) => name)).to.include.members([...gradient.gradients.values()])
  })

  it('takes one micro-batch, padded or not, and refuses those that do not lie side by side', async () => {
    const { gradient, parameters, split } = await recorded(`${LENET}/model.onnx`, `${LENET}/val.npz`)
    const [each, looped] = [await createEngine(gradient, { threads: 1 }), await loopOf(gradient)]
    for (const batch of [
      { start: 3, count: 5, size: 5 },
      { start: 296, count: 4, size: 16 },
    ]) {
      const [a, b] = [await each.run(parameters, split, batch), await looped.run(parameters, split, batch)]
      expect(b.denominator).to.equal(batch.count)
      expect(b.numerator).to.be.closeTo(a.numerator, 1e-12 * a.numerator)
      expect(distance(b.gradient('fc2.bias')!, a.gradient('fc2.bias')!)).to.be.lessThan(1e-12)
    }
    const apart = [inRow(1, 8)[0]!, { start: 16, count: 8, size: 8 }]
    expect(await rejection(looped.sum!(parameters, split, apart))).to.be.instanceOf(EngineError)
    await each.close()
    await looped.close()
  })
})

describeWithShared('a gradient graph that loops over micro-batches, of the reference networks', (shared) => {
  for (const [name, batchNorm] of [
    ['mnist-fc', 'running'],
    ['gpt', 'running'],
    ['resnet-bn', 'running'],
    ['resnet-bn', 'batch'],
  ] as const)
    it(`gives the same sums: ${name}, BatchNorm ${batchNorm}`, async () => {
      const folder = `${shared}/reference/${name}`
      const run = await recorded(`${folder}/model.onnx`, `${folder}/train.npz`, { batchNorm })
      await expectSameSums(run, inRow(3, 16))
    })
})

describe('stretches of micro-batches', () => {
  const lengths = (batches: readonly MicroBatch[], bytes: number, most?: number) =>
    stretches(batches, bytes, most).map(({ length }) => length)

  it('hold neighbours of one size, as many as their data may take', () => {
    expect(lengths(inRow(7, 10), 1)).to.deep.equal([7])
    expect(lengths(inRow(7, 10), 4, 120)).to.deep.equal([3, 3, 1])
    expect(lengths(inRow(3, 10), 1000, 120)).to.deep.equal([1, 1, 1])
  })

  it('leave a shorter one, a padded one and one that lies elsewhere alone', () => {
    const batches = inRow(3, 10)
    expect(lengths([...batches, { start: 30, count: 4, size: 4 }], 1)).to.deep.equal([3, 1])
    expect(lengths([...batches, { start: 30, count: 4, size: 10 }], 1)).to.deep.equal([3, 1])
    expect(lengths([{ start: 0, count: 4, size: 10 }, ...inRow(2, 10)], 1)).to.deep.equal([1, 2])
    expect(lengths([...batches, { start: 60, count: 10, size: 10 }], 1)).to.deep.equal([3, 1])
  })
})

describe('the engine that takes the quicker way', () => {
  /** Engines of a loss that is the number of samples, each way taking so many milliseconds for a micro-batch. */
  function engines(each: number, looped: number, fails?: string, atFirst = 0) {
    const clock = { ms: 0 }
    const calls: string[] = []
    const result = (batches: readonly MicroBatch[]) => {
      const count = batches.reduce((sum, batch) => sum + batch.count, 0)
      const values = Float64Array.of(count)
      return Promise.resolve({ numerator: count, denominator: count, gradient: () => values })
    }
    const made = (name: string, ms: number, runs = { left: 2 }): Engine => ({
      description: name,
      precision: 'float32',
      fixedBatch: false,
      run: (_, __, batch) => {
        calls.push('run')
        clock.ms += ms + (runs.left > 0 ? atFirst : 0)
        runs.left -= 1
        return result([batch])
      },
      ...(name === 'looped' && {
        sum: (_: Parameters, __: SplitData, batches: readonly MicroBatch[]) => {
          calls.push('sum')
          if (fails !== undefined) return Promise.reject(new EngineError(fails))
          clock.ms += ms * batches.length + (runs.left > 0 ? atFirst : 0)
          runs.left -= 1
          return result(batches)
        },
      }),
      close: () => {
        calls.push(`close ${name}`)
        return Promise.resolve()
      },
    })
    const open = (name: string, ms: number) => () => {
      calls.push(`open ${name}`)
      return Promise.resolve(made(name, ms))
    }
    const engine = QuickerEngine.of(open('each', each), open('looped', looped), () => clock.ms)
    return { engine, calls }
  }

  const parameters = new Map([['w', Float32Array.of(1)]])
  const split: SplitData = { samples: 60, inputs: new Map() }

  for (const [title, looped, fails, loops] of [
    ['loops where that is quicker', 1, undefined, true],
    ['runs one by one where that is quicker', 9, undefined, false],
    ['runs one by one where the device can not loop', 1, 'no kernel for Scan', false],
    ['runs one by one where the loop has no memory', 1, 'CUDA failure 2: out of memory', false],
  ] as const)
    it(title, async () => {
      const made = engines(5, looped, fails)
      const engine = await made.engine
      expect(engine.sum).to.equal(undefined)
      for (let time = 0; time < 2; time += 1) {
        await engine.settle!(parameters, split, inRow(6, 10))
        const { sum } = engine
        const { numerator, gradient } = sum
          ? await sum(parameters, split, inRow(6, 10))
          : await sumOneByOne(engine, parameters, split, inRow(6, 10))
        expect([numerator, gradient('w')![0]]).to.deep.equal([60, 60])
      }
      expect(engine.sum !== undefined).to.equal(loops)
      expect(engine.loops).to.equal(loops)
      await engine.close()
      const opened = made.calls.filter((call) => /open|close/.test(call))
      expect(opened).to.deep.equal([
        'open each',
        'close each',
        'open looped',
        ...(loops ? [] : ['close looped', 'open each']),
        `close ${loops ? 'looped' : 'each'}`,
      ])
      expect(made.calls.filter((call) => call === 'run').length).to.equal(loops ? 6 : 6 + 12)
    })

  it('is not settled by what the first runs take longer, on either way', async () => {
    // of a session's runs the first two are profiled
    for (const [each, looped, loops] of [
      [5, 1, true],
      [1, 5, false],
    ] as const) {
      const engine = await engines(each, looped, undefined, 1000).engine
      await engine.settle!(parameters, split, inRow(6, 10))
      expect(engine.loops).to.equal(loops)
    }
  })

  it('passes want of memory on that is not the loop\u2019s', async () => {
    const { engine, calls } = engines(5, 1)
    const made = await engine
    made.run = () => Promise.reject(new EngineError('CUDA failure 2: out of memory'))
    const wanted = await rejection(
      QuickerEngine.of(
        () => Promise.resolve(made),
        () => Promise.resolve(made),
      ).then((one) => one.settle!(parameters, split, inRow(6, 10))),
    )
    expect(wanted.message).to.match(/out of memory/)
    expect(calls).to.deep.equal(['open each'])
  })
})
