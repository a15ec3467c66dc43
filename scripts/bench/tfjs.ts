import type { LayersModel } from '@tensorflow/tfjs'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { createEngine } from '../../src/engines/create.js'
import type { Engine, Parameters, SplitData } from '../../src/engines/engine.js'
import { TfjsEngine } from '../../src/engines/tfjs/engine.js'
import { loadTfjs } from '../../src/engines/tfjs/load.js'
import type { Tf } from '../../src/engines/tfjs/load.js'
import { openNetwork } from '../../src/engines/tfjs/network.js'
import { installedVersion, TFJS_BACKENDS, TFJS_PACKAGES } from '../../src/engines/tfjs/packages.js'
import { MissingKernelError } from '../../src/engines/tfjs/engine.js'
import type { Graph } from '../../src/onnx/graph.js'
import { elementCount } from '../../src/tensor.js'
import { networkFile } from '../../test/tfjs/models.js'
import { Writer } from '../../test/tfjs/twins.js'
import { Random } from '../../test/support/random.js'
import { median } from './common.js'

const ROUNDS = 7

interface Network {
  readonly batch: number
  readonly shape: readonly number[]
  readonly build: (tf: Tf) => LayersModel
  readonly graph: (model: LayersModel) => Graph
}

export const TFJS_NETWORKS: Readonly<Record<string, Network>> = {
  FC: {
    batch: 250,
    shape: [784],
    build: ({ sequential, layers }) =>
      sequential({
        layers: [
          layers.dense({ name: 'a', inputShape: [784], units: 100, activation: 'relu' }),
          layers.dense({ name: 'b', units: 50, activation: 'relu' }),
          layers.dense({ name: 'c', units: 10 }),
        ],
      }),
    graph: (model) => new Writer(model).dense('a').op('Relu').dense('b').op('Relu').dense('c').finish([784]),
  },
  LeNet: {
    batch: 50,
    shape: [28, 28, 1],
    build: ({ sequential, layers }) =>
      sequential({
        layers: [
          layers.conv2d({
            name: 'a',
            inputShape: [28, 28, 1],
            filters: 6,
            kernelSize: 5,
            activation: 'relu',
          }),
          layers.maxPooling2d({ poolSize: 2 }),
          layers.conv2d({ name: 'b', filters: 16, kernelSize: 5, activation: 'relu' }),
          layers.maxPooling2d({ poolSize: 2 }),
          layers.flatten(),
          layers.dense({ name: 'c', units: 120, activation: 'relu' }),
          layers.dense({ name: 'd', units: 84, activation: 'relu' }),
          layers.dense({ name: 'e', units: 10 }),
        ],
      }),
    graph: (model) =>
      new Writer(model)
        .channelsFirst()
        .convolution('a', [0, 0, 0, 0])
        .op('Relu')
        .op('MaxPool', [], { kernel_shape: [2, 2], strides: [2, 2] })
        .convolution('b', [0, 0, 0, 0])
        .op('Relu')
        .op('MaxPool', [], { kernel_shape: [2, 2], strides: [2, 2] })
        .op('Transpose', [], { perm: [0, 2, 3, 1] })
        .op('Flatten')
        .dense('c')
        .op('Relu')
        .dense('d')
        .op('Relu')
        .dense('e')
        .finish([28, 28, 1]),
  },
}

/** Times one gradient of a batch on one thread: ONNX Runtime, and every backend of TensorFlow.js that loads here. */
export async function benchTfjs(name: string): Promise<void> {
  const network = TFJS_NETWORKS[name]
  if (network === undefined)
    throw new Error(`no network ${name}; networks: ${Object.keys(TFJS_NETWORKS).join(' ')}`)
  const { tf } = await loadTfjs('js', 1)
  const model = network.build(tf)
  const file = await networkFile(tf, model)
  const names = file.weights.map((weight) => weight.name)
  const parameters = new Map(
    model.weights.map((weight) => [weight.originalName, weight.read().dataSync<'float32'>().slice()]),
  )
  const loss = { kind: 'cross-entropy' } as const
  const own = await createEngine(differentiate(network.graph(model), { parameters: names, loss }), {
    threads: 1,
  })
  const first = await time(own, parameters, data(network, 'x'))
  console.log(`${name}, batch ${network.batch}: onnxruntime ${first.toFixed(1)} ms`)
  for (const backend of TFJS_BACKENDS) {
    if (installedVersion(TFJS_PACKAGES[backend].package) === undefined) continue
    const loaded = await loadTfjs(backend, 1)
    const opened = await openNetwork(loaded.tf, file, { loss, batchNorm: 'running' })
    const engine = new TfjsEngine(loaded, opened, {
      parameters: Object.fromEntries(names.map((one) => [one, one])),
      wanted: names,
    })
    try {
      const took = await time(engine, parameters, data(network, opened.inputs[0]!.name))
      console.log(`  ${backend} ${took.toFixed(1)} ms, ${(took / first).toFixed(1)} times`)
    } catch (error) {
      if (!(error instanceof MissingKernelError)) throw error
      console.log(`  ${backend} has no ${error.kernel}`)
    }
  }
}

function data({ batch, shape }: Network, input: string): SplitData {
  const random = new Random('bench tfjs')
  const x = Float32Array.from(random.uniform(batch * elementCount(shape), 0, 1))
  const y = BigInt64Array.from({ length: batch }, () => BigInt(Math.floor(random.next() * 10)))
  return {
    samples: batch,
    inputs: new Map([[input, { dtype: 'float32', sampleShape: shape, data: x }]]),
    target: { dtype: 'int64', sampleShape: [], data: y },
  }
}

/** The median of some runs after two that warm up, in milliseconds. */
async function time(engine: Engine, parameters: Parameters, split: SplitData): Promise<number> {
  const batch = { start: 0, count: split.samples, size: split.samples }
  const took: number[] = []
  for (let round = -2; round < ROUNDS; round += 1) {
    const start = performance.now()
    await engine.run(parameters, split, batch)
    if (round >= 0) took.push(performance.now() - start)
  }
  return median(took)
}
