import { expect } from 'chai'
import type { LayersModel, SymbolicTensor, Tensor } from '@tensorflow/tfjs'
import { parseLoss } from '../../src/autodiff/losses.js'
import type { SampleArray, SplitData } from '../../src/engines/engine.js'
import { TfjsEngine } from '../../src/engines/tfjs/engine.js'
import { loadTfjs } from '../../src/engines/tfjs/load.js'
import type { LoadedTfjs, Tf } from '../../src/engines/tfjs/load.js'
import type { TfjsLossSpec } from '../../src/engines/tfjs/setup.js'
import { openNetwork } from '../../src/engines/tfjs/network.js'
import type { TfjsNetwork } from '../../src/engines/tfjs/network.js'
import { dependsOn } from '../../src/engines/tfjs/trial.js'
import { elementCount } from '../../src/tensor.js'
import { Random } from '../support/random.js'
import { networkFile } from './models.js'
import { describeWithNative } from './native.js'

const SAMPLES = 4
/** Of fourth-order differences, for float32. */
const STEP = 2 ** -6
const TOLERANCE = 1e-3
const FLOOR = 2e-4

interface Case {
  readonly build: (tf: Tf) => LayersModel
  readonly loss?: string
  readonly batchNorm?: 'running' | 'batch'
  /** Sizes of open axes. */
  readonly open?: number
  /** Numbers below this are drawn for inputs that look rows up. */
  readonly tokens?: number
}

const classifier = (tf: Tf, layers: ReturnType<Tf['layers']['dense']>[]): LayersModel =>
  tf.sequential({ layers: layers })

const recurrent =
  (layer: (tf: Tf) => unknown): ((tf: Tf) => LayersModel) =>
  (tf) =>
    classifier(tf, [
      tf.layers.embedding({ inputDim: 7, outputDim: 3, inputLength: 5 }),
      layer(tf) as never,
      tf.layers.dense({ units: 3, activation: 'softmax' }),
    ] as never)

/** Every kind of layer that holds weights, and the ways in which models are put together. */
const CASES: Readonly<Record<string, Case>> = {
  'convolutions of one and three dimensions': {
    build: (tf) => {
      const x = tf.input({ shape: [6, 6, 6] })
      const rows = tf.layers.reshape({ targetShape: [36, 6] }).apply(x)
      const one = tf.layers.conv1d({ filters: 3, kernelSize: 3, activation: 'tanh' }).apply(rows)
      const flat = tf.layers.globalAveragePooling1d({}).apply(one)
      const cube = tf.layers.reshape({ targetShape: [6, 6, 6, 1] }).apply(x)
      const three = tf.layers.conv3d({ filters: 2, kernelSize: 3, activation: 'tanh' }).apply(cube)
      const both = tf.layers.concatenate().apply([flat, tf.layers.flatten().apply(three)] as SymbolicTensor[])
      return tf.model({
        inputs: x,
        outputs: tf.layers.dense({ units: 3, activation: 'softmax' }).apply(both) as SymbolicTensor,
      })
    },
  },
  'a transposed and a separable convolution, PReLU': {
    build: (tf) =>
      classifier(tf, [
        // on the data themselves, so that no step crosses the kink
        tf.layers.prelu({ inputShape: [4, 4, 2], alphaInitializer: 'randomUniform' }),
        tf.layers.conv2dTranspose({ filters: 3, kernelSize: 3, strides: 2, activation: 'tanh' }),
        tf.layers.separableConv2d({ filters: 4, kernelSize: 3, activation: 'softplus' }),
        tf.layers.depthwiseConv2d({ kernelSize: 3, activation: 'tanh' }),
        tf.layers.flatten(),
        tf.layers.dense({ units: 3 }),
        tf.layers.softmax(),
      ] as never),
  },
  'BatchNormalization on moving statistics, which have gradients': {
    build: (tf) =>
      classifier(tf, [
        tf.layers.conv2d({ inputShape: [4, 4, 2], filters: 3, kernelSize: 3 }),
        tf.layers.batchNormalization({}),
        tf.layers.activation({ activation: 'tanh' }),
        tf.layers.flatten(),
        tf.layers.batchNormalization({ scale: false }),
        tf.layers.batchNormalization({ center: false }),
        tf.layers.batchNormalization({ scale: false, center: false }),
        tf.layers.dense({ units: 3, activation: 'softmax' }),
      ] as never),
  },
  'BatchNormalization on statistics of the batch, without scale or centre, along other axes': {
    batchNorm: 'batch',
    build: (tf) =>
      classifier(tf, [
        tf.layers.conv2d({ inputShape: [4, 4, 2], filters: 3, kernelSize: 3 }),
        tf.layers.batchNormalization({ axis: 1 }),
        tf.layers.activation({ activation: 'tanh' }),
        tf.layers.dropout({ rate: 0.5 }),
        tf.layers.flatten(),
        tf.layers.batchNormalization({ scale: false, center: false }),
        tf.layers.dense({ units: 3, activation: 'softmax' }),
      ] as never),
  },
  'what TensorFlow.js computes and does not differentiate: dilated convolutions, ThresholdedReLU': {
    build: (tf) => {
      const x = tf.input({ shape: [7, 7, 2] })
      const dilated = { kernelSize: 3, dilationRate: 2, activation: 'tanh' } as const
      const two = tf.layers.conv2d({ ...dilated, filters: 2 }).apply(x)
      const apart = tf.layers.separableConv2d({ ...dilated, filters: 2 }).apply(x)
      const rows = tf.layers.reshape({ targetShape: [49, 2] }).apply(x)
      const one = tf.layers.conv1d({ ...dilated, filters: 2, dilationRate: 5, padding: 'same' }).apply(rows)
      const kinked = tf.layers.thresholdedReLU({ theta: 0.9 }).apply(rows)
      const flat = [two, apart, one, kinked].map(
        (value) => tf.layers.flatten().apply(value) as SymbolicTensor,
      )
      const all = tf.layers.concatenate().apply(flat)
      return tf.model({
        inputs: x,
        outputs: tf.layers.dense({ units: 3, activation: 'softmax' }).apply(all) as SymbolicTensor,
      })
    },
  },
  'a transposed convolution of three dimensions, and a dilated one': {
    build: (tf) =>
      classifier(tf, [
        tf.layers.conv3dTranspose({
          inputShape: [2, 2, 2, 2],
          filters: 2,
          kernelSize: 2,
          strides: 2,
          activation: 'tanh',
        }),
        tf.layers.conv3d({ filters: 2, kernelSize: 2, dilationRate: 2, activation: 'tanh' }),
        tf.layers.flatten(),
        tf.layers.dense({ units: 3, activation: 'softmax' }),
      ] as never),
  },
  'sequences of several lengths: masks of Embedding and Masking': {
    tokens: 7,
    build: (tf) => {
      const x = tf.input({ shape: [5] })
      const embedded = tf.layers.embedding({ inputDim: 7, outputDim: 3, maskZero: true }).apply(x)
      const gates = tf.layers.lstm({ units: 2, returnSequences: true }).apply(embedded)
      const both = tf.layers.bidirectional({ layer: tf.layers.gru({ units: 2 }), mergeMode: 'concat' })
      const end = both.apply(tf.layers.masking({ maskValue: 0 }).apply(gates))
      return tf.model({
        inputs: x,
        outputs: tf.layers.dense({ units: 3, activation: 'softmax' }).apply(end) as SymbolicTensor,
      })
    },
  },
  LayerNormalization: {
    build: (tf) =>
      classifier(tf, [
        tf.layers.dense({ inputShape: [5], units: 4, activation: 'selu' }),
        tf.layers.layerNormalization({}),
        tf.layers.dense({ units: 3, activation: 'softmax' }),
      ] as never),
  },
  LSTM: { tokens: 7, build: recurrent((tf) => tf.layers.lstm({ units: 3 })) },
  'GRU, reset before': { tokens: 7, build: recurrent((tf) => tf.layers.gru({ units: 3 })) },
  SimpleRNN: { tokens: 7, build: recurrent((tf) => tf.layers.simpleRNN({ units: 3 })) },
  Bidirectional: {
    tokens: 7,
    build: recurrent((tf) =>
      tf.layers.bidirectional({ layer: tf.layers.lstm({ units: 2 }), mergeMode: 'concat' }),
    ),
  },
  'TimeDistributed ending in softmax, open length': {
    tokens: 7,
    open: 5,
    build: (tf) =>
      classifier(tf, [
        tf.layers.embedding({ inputDim: 7, outputDim: 3 }),
        tf.layers.gru({ units: 4, returnSequences: true }),
        tf.layers.timeDistributed({ layer: tf.layers.dense({ units: 3, activation: 'softmax' }) }),
      ] as never),
  },
  'two inputs, a layer used twice, a nested model': {
    loss: 'bce-with-logits',
    build: (tf) => {
      const [a, b] = [tf.input({ shape: [4], name: 'left' }), tf.input({ shape: [4], name: 'right' })]
      const inner = tf.sequential({
        name: 'inner',
        layers: [tf.layers.dense({ inputShape: [4], units: 4, activation: 'tanh', name: 'shared' })],
      })
      const sum = tf.layers.add().apply([inner.apply(a), inner.apply(b)] as SymbolicTensor[])
      const product = tf.layers.multiply().apply([sum, a] as SymbolicTensor[])
      const head = tf.sequential({
        name: 'head',
        layers: [tf.layers.dense({ inputShape: [4], units: 2, activation: 'sigmoid', name: 'last' })],
      })
      return tf.model({ inputs: [a, b], outputs: head.apply(product) as SymbolicTensor })
    },
  },
}

interface Opened {
  readonly network: TfjsNetwork
  readonly engine: TfjsEngine
  readonly point: Map<string, Float32Array>
  readonly split: SplitData
  readonly reached: ReadonlySet<string>
}

async function open(loaded: LoadedTfjs, name: string): Promise<Opened> {
  const { build, batchNorm = 'running', loss = 'cross-entropy', open: size = 1, tokens = 1 } = CASES[name]!
  const { tf } = loaded
  const model = build(tf)
  const file = await networkFile(tf, model)
  model.dispose()
  const network = await openNetwork(tf, file, { loss: parseLoss(loss) as TfjsLossSpec, batchNorm })
  const names = file.weights.map((weight) => weight.name)
  const parameters = Object.fromEntries(names.map((one) => [one, one]))
  const reached = dependsOn(new TfjsEngine(loaded, network, { parameters, wanted: names }), network)
  const engine = new TfjsEngine(loaded, network, { parameters, wanted: [...reached] })
  const random = new Random(name)
  const point = new Map(
    file.weights.map(({ name: one, shape }) => {
      const positive = /variance/.test(one)
      return [
        one,
        Float32Array.from(random.uniform(elementCount(shape), positive ? 0.5 : -0.7, positive ? 1.5 : 0.7)),
      ]
    }),
  )
  return { network, engine, point, split: drawn(network, random, size, tokens), reached }
}

function drawn({ inputs, target }: TfjsNetwork, random: Random, open: number, tokens: number): SplitData {
  const sizes = (shape: readonly (number | string)[] = []): number[] =>
    shape.slice(1).map((dim) => (typeof dim === 'number' ? dim : open))
  const array = (name: string, shape: readonly number[], whole: boolean): [string, SampleArray] => {
    const count = SAMPLES * elementCount(shape)
    const data = whole
      ? Int32Array.from({ length: count }, () => Math.floor(random.next() * tokens))
      : Float32Array.from(random.uniform(count, -1, 1))
    return [name, { dtype: whole ? 'int32' : 'float32', sampleShape: shape, data }]
  }
  const given = inputs.map(({ name, shape, dtype }) => array(name, sizes(shape), dtype === 'int32'))
  const shape = sizes(target!.input.shape)
  const count = SAMPLES * elementCount(shape)
  const judged: SampleArray =
    target!.kind === 'labels'
      ? {
          dtype: 'int64',
          sampleShape: shape,
          data: BigInt64Array.from({ length: count }, () => BigInt(Math.floor(random.next() * 3))),
        }
      : { dtype: 'float32', sampleShape: shape, data: Float32Array.from(random.uniform(count, 0, 1)) }
  return { samples: SAMPLES, inputs: new Map(given), target: judged }
}

const BATCH = { start: 0, count: SAMPLES, size: SAMPLES }

/** (8 (L(h) - L(-h)) - (L(2h) - L(-2h))) / 12h along a direction of one parameter. */
async function difference(opened: Opened, name: string, direction: readonly number[]): Promise<number> {
  const at = async (steps: number): Promise<number> => {
    const moved = opened.point.get(name)!.map((value, i) => value + steps * STEP * direction[i]!)
    return (await opened.engine.run(new Map(opened.point).set(name, moved), opened.split, BATCH)).numerator
  }
  return (8 * ((await at(1)) - (await at(-1))) - ((await at(2)) - (await at(-2)))) / (12 * STEP)
}

type Gradients = ReadonlyMap<string, readonly number[]>

async function gradientsOf({ engine, point, split, reached }: Opened): Promise<Gradients> {
  const { gradient } = await engine.run(point, split, BATCH)
  return new Map([...reached].map((one) => [one, [...gradient(one)!]]))
}

describe('gradients of the engine tfjs in pure JavaScript', () => {
  for (const name of Object.keys(CASES))
    it(`are the loss' slope: ${name}`, async () => {
      const opened = await open(await loadTfjs('js'), name)
      const random = new Random(`along ${name}`)
      for (const [parameter, gradient] of await gradientsOf(opened)) {
        const direction = random.uniform(gradient.length, -1, 1)
        const terms = gradient.map((value, i) => value * direction[i]!)
        const slope = terms.reduce((a, b) => a + b, 0)
        const size = terms.reduce((a, b) => a + Math.abs(b), 0)
        expect(await difference(opened, parameter, direction), parameter).to.be.closeTo(
          slope,
          FLOOR + TOLERANCE * size,
        )
      }
      const statistics = [...opened.point.keys()].filter((one) => one.includes('moving_'))
      const without = [...opened.point.keys()].filter((one) => !opened.reached.has(one))
      expect(without).to.have.members(CASES[name]!.batchNorm === 'batch' ? statistics : [])
      await opened.engine.close()
    })
})

describeWithNative('gradients of the engine tfjs in the native library', () => {
  for (const name of Object.keys(CASES))
    it(`are those of pure JavaScript: ${name}`, async () => {
      const both: Gradients[] = []
      for (const backend of ['js', 'tfjs-node'] as const) {
        const opened = await open(await loadTfjs(backend), name)
        both.push(await gradientsOf(opened))
        await opened.engine.close()
      }
      // layers are numbered anew each time that they are made
      const [want, got] = both.map((one) => [...one.values()]) as [number[][], number[][]]
      expect(got.map(({ length }) => length)).to.deep.equal(want.map(({ length }) => length))
      for (const [parameter, values] of want.entries()) {
        const scale = Math.max(...values.map(Math.abs))
        values.forEach((value, i) => {
          expect(got[parameter]![i], `${parameter}[${i}]`).to.be.closeTo(value, 1e-4 * scale + 1e-7)
        })
      }
    })
})

describe('the engine tfjs', () => {
  for (const name of Object.keys(CASES).filter((one) => /dilated/.test(one)))
    it(`computes what the network computes: ${name}`, async () => {
      const { tf } = await loadTfjs('js')
      const model = CASES[name]!.build(tf)
      const file = await networkFile(tf, model)
      const { predict, variables } = await openNetwork(tf, file, {
        loss: { kind: 'mse' },
        batchNorm: 'running',
      })
      for (const weight of model.weights) variables.get(weight.originalName)!.assign(weight.read())
      const x = tf.randomUniform([2, ...(model.inputs[0]!.shape.slice(1) as number[])], -1, 1, 'float32', 1)
      const [want, got] = [model.predict(x) as Tensor, predict([x])]
      expect(want.sub(got).abs().max().dataSync()[0]).to.be.below(1e-6)
    })

  it('knows inputs that an Embedding in a nested model takes, of several inputs too', async () => {
    const { tf } = await loadTfjs('js')
    const { layers } = tf
    const [a, b] = [tf.input({ shape: [3], name: 'tokens' }), tf.input({ shape: [3], name: 'numbers' })]
    const rows = layers.flatten().apply(layers.embedding({ inputDim: 5, outputDim: 2 }).apply(a))
    const sum = layers.concatenate().apply([rows, layers.dense({ units: 2 }).apply(b)] as SymbolicTensor[])
    const inner = tf.model({ inputs: [a, b], outputs: sum as SymbolicTensor })
    const [x, y] = [tf.input({ shape: [3], name: 'words' }), tf.input({ shape: [3], name: 'values' })]
    const model = tf.model({ inputs: [x, y], outputs: inner.apply([x, y]) as SymbolicTensor })
    const file = await networkFile(tf, model)
    const { inputs } = await openNetwork(tf, file, { loss: { kind: 'mse' }, batchNorm: 'running' })
    expect(inputs.map(({ name, dtype }) => [name, dtype])).to.deep.equal([
      ['words', 'int32'],
      ['values', 'float32'],
    ])
  })

  it('keeps nothing from one run to the next', async () => {
    const loaded = await loadTfjs('js')
    const opened = await open(loaded, 'LayerNormalization')
    await opened.engine.run(opened.point, opened.split, BATCH)
    const before = loaded.tf.memory()
    for (let i = 0; i < 200; i += 1) await opened.engine.run(opened.point, opened.split, BATCH)
    const after = loaded.tf.memory()
    expect([after.numTensors, after.numBytes]).to.deep.equal([before.numTensors, before.numBytes])
    await opened.engine.close()
  })
})
