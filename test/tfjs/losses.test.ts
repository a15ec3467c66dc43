import { expect } from 'chai'
import type { LayersModel } from '@tensorflow/tfjs'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { parseLoss } from '../../src/autodiff/losses.js'
import type { LossChoices } from '../../src/autodiff/losses.js'
import { createEngine } from '../../src/engines/create.js'
import type { MicroBatchResult, SplitData } from '../../src/engines/engine.js'
import { TfjsEngine } from '../../src/engines/tfjs/engine.js'
import { loadTfjs } from '../../src/engines/tfjs/load.js'
import type { LoadedTfjs, Tf } from '../../src/engines/tfjs/load.js'
import type { TfjsLossSpec } from '../../src/engines/tfjs/setup.js'
import { openNetwork } from '../../src/engines/tfjs/network.js'
import { UnsupportedModelError, UsageError } from '../../src/errors.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { Random } from '../support/random.js'
import { rejection } from '../support/rejection.js'
import { networkFile } from './models.js'

const SAMPLES = 6
const POSITIONS = 4
const CLASSES = 3
const WIDTH = 2

type Activation = 'linear' | 'softmax' | 'sigmoid'

/** Positions x width -> positions x classes, so that labels have positions. */
function build({ layers, sequential }: Tf, activation: Activation): LayersModel {
  const dense = layers.dense({ name: 'dense', inputShape: [POSITIONS, WIDTH], units: CLASSES, activation })
  return sequential({ layers: [dense] })
}

/** The same as ONNX. */
function graph(activation: Activation) {
  const end = { linear: 'Identity', softmax: 'Softmax', sigmoid: 'Sigmoid' }[activation]
  return graphOf({
    inputs: [input('dense_input', ['batch', POSITIONS, WIDTH])],
    outputs: ['y'],
    initializers: {
      'dense/kernel': tensor('float32', [WIDTH, CLASSES], new Array<number>(WIDTH * CLASSES).fill(0)),
      'dense/bias': tensor('float32', [CLASSES], new Array<number>(CLASSES).fill(0)),
    },
    nodes: [
      node('MatMul', ['dense_input', 'dense/kernel'], 'a'),
      node('Add', ['a', 'dense/bias'], 'z'),
      node(end, ['z'], 'y'),
    ],
  })
}

type Target = 'labels' | 'probabilities' | 'bits' | 'numbers' | 'none'

function data(target: Target): SplitData {
  const random = new Random('losses')
  const x = Float32Array.from(random.uniform(SAMPLES * POSITIONS * WIDTH, -3, 3))
  const inputs = new Map([
    ['dense_input', { dtype: 'float32' as const, sampleShape: [POSITIONS, WIDTH], data: x }],
  ])
  const labels = Array.from({ length: SAMPLES * POSITIONS }, () => Math.floor(random.next() * CLASSES))
  const reals = random.uniform(SAMPLES * POSITIONS * CLASSES, 0, 1)
  const values = (numbers: readonly number[]): SplitData => ({
    samples: SAMPLES,
    inputs,
    target: { dtype: 'float32', sampleShape: [POSITIONS, CLASSES], data: Float32Array.from(numbers) },
  })
  switch (target) {
    case 'none':
      return { samples: SAMPLES, inputs }
    case 'labels': {
      // two that don't count: PyTorch's number for them, and a class
      labels[1] = -100
      const whole = BigInt64Array.from(labels, BigInt)
      return { samples: SAMPLES, inputs, target: { dtype: 'int64', sampleShape: [POSITIONS], data: whole } }
    }
    case 'bits':
      return values(reals.map((value) => (value < 0.4 ? 1 : 0)))
    case 'numbers':
      return values(reals)
    case 'probabilities':
      return values(
        reals.map((value, i) => value / sumOf(reals.slice(i - (i % CLASSES), i - (i % CLASSES) + CLASSES))),
      )
  }
}

function sumOf(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0)
}

/** Weights away from 0, and 0: the bias' first entry, where relu and |z| have kinks. */
const POINT = new Map([
  ['dense/kernel', Float32Array.from([0.5, -1, 2, -0.25, 1.5, -2])],
  ['dense/bias', Float32Array.from([0, 0.5, -1])],
])
const WANTED = [...POINT.keys()]
/** One sample of padding. */
const BATCH = { start: 1, count: 4, size: 5 }

async function byTfjs(loaded: LoadedTfjs, loss: TfjsLossSpec, activation: Activation, split: SplitData) {
  const model = build(loaded.tf, activation)
  const file = await networkFile(loaded.tf, model)
  model.dispose()
  const network = await openNetwork(loaded.tf, file, { loss, batchNorm: 'running' })
  const parameters = Object.fromEntries(WANTED.map((name) => [name, name]))
  const engine = new TfjsEngine(loaded, network, { parameters, wanted: WANTED })
  const result = await engine.run(POINT, split, BATCH)
  await engine.close()
  return { result, network }
}

async function byOnnx(
  loss: TfjsLossSpec,
  activation: Activation,
  split: SplitData,
): Promise<MicroBatchResult> {
  const gradient = differentiate(graph(activation), { parameters: WANTED, loss })
  const engine = await createEngine(gradient)
  return engine.run(POINT, split, BATCH)
}

function closeTo(got: number, want: number, what: string): void {
  expect(got, what).to.be.closeTo(want, 2e-5 * Math.max(1, Math.abs(want)))
}

describe('losses of the engine tfjs', () => {
  let loaded: LoadedTfjs
  before(async () => {
    loaded = await loadTfjs('js')
  })

  const cases: readonly [string, Activation, Target, LossChoices?][] = [
    ['cross-entropy', 'linear', 'labels', { classAxis: -1 }],
    ['cross-entropy', 'softmax', 'labels'],
    ['cross-entropy', 'sigmoid', 'labels', { classAxis: 2 }],
    ['cross-entropy', 'softmax', 'labels', { labelSmoothing: 0.1 }],
    ['cross-entropy', 'softmax', 'labels', { classWeights: [1, 2.5, 0.5], labelSmoothing: 0.2 }],
    ['cross-entropy', 'softmax', 'labels', { classWeights: [0, 2, 1] }],
    ['cross-entropy', 'softmax', 'probabilities', { softLabels: true }],
    [
      'cross-entropy',
      'softmax',
      'probabilities',
      { softLabels: true, labelSmoothing: 0.1, classWeights: [1, 2, 3] },
    ],
    ['nll', 'softmax', 'labels', { classWeights: [1, 2, 3] }],
    ['nll', 'linear', 'labels', { classAxis: -1, classWeights: [1, 2, 3] }],
    ['bce-with-logits', 'linear', 'bits'],
    ['bce-with-logits', 'sigmoid', 'bits'],
    ['bce-with-logits', 'sigmoid', 'numbers', { positiveWeights: [3] }],
    ['bce-with-logits', 'linear', 'bits', { positiveWeights: [3, 0.5, 1], classAxis: -1 }],
    ['mse', 'sigmoid', 'numbers'],
  ]
  for (const [name, activation, target, choices] of cases)
    it(`${name} ${JSON.stringify(choices ?? {})} after ${activation} is the first engine's`, async () => {
      const loss = parseLoss(name, choices) as TfjsLossSpec
      const split = data(target)
      const { result: own } = await byTfjs(loaded, loss, activation, split)
      const other = await byOnnx(loss, activation, split)
      closeTo(own.numerator, other.numerator, 'numerator')
      closeTo(own.denominator, other.denominator, 'denominator')
      for (const parameter of WANTED) {
        const want = [...other.gradient(parameter)!]
        expect(Math.max(...want.map(Math.abs))).to.be.above(1e-2)
        const got = own.gradient(parameter)!
        want.forEach((value, i) => {
          closeTo(got[i]!, value, `${parameter}[${i}]`)
        })
      }
    })

  it('ignores the label that is named', async () => {
    const split = data('labels')
    const loss = parseLoss('cross-entropy', { ignoreIndex: 2 }) as TfjsLossSpec
    // without the padding label, which is no class then
    split.target && 'data' in split.target && (split.target.data[1] = 0n)
    const { result } = await byTfjs(loaded, loss, 'softmax', split)
    const other = await byOnnx(loss, 'softmax', split)
    closeTo(result.numerator, other.numerator, 'numerator')
    expect(result.denominator)
      .to.equal(other.denominator)
      .and.be.below(4 * POSITIONS)
  })

  it('output:NAME averages what a layer gives', async () => {
    const loss = parseLoss('output:dense') as TfjsLossSpec
    const { result } = await byTfjs(loaded, loss, 'sigmoid', data('none'))
    const other = await byOnnx(parseLoss('output:y') as TfjsLossSpec, 'sigmoid', data('none'))
    closeTo(result.numerator, other.numerator, 'numerator')
    expect(result.denominator).to.equal(4 * POSITIONS * CLASSES)
  })

  it('is exact for probabilities that have vanished: logits of 200', async () => {
    const far = new Map(POINT).set('dense/bias', Float32Array.from([200, 0, -200]))
    const loss = parseLoss('cross-entropy') as TfjsLossSpec
    const model = build(loaded.tf, 'softmax')
    const network = await openNetwork(loaded.tf, await networkFile(loaded.tf, model), {
      loss,
      batchNorm: 'running',
    })
    const parameters = Object.fromEntries(WANTED.map((name) => [name, name]))
    const engine = new TfjsEngine(loaded, network, { parameters, wanted: WANTED })
    const x = new Float32Array(POSITIONS * WIDTH)
    const split: SplitData = {
      samples: 1,
      inputs: new Map([['dense_input', { dtype: 'float32', sampleShape: [POSITIONS, WIDTH], data: x }]]),
      target: { dtype: 'int64', sampleShape: [POSITIONS], data: BigInt64Array.of(0n, 1n, 2n, 2n) },
    }
    const { numerator, gradient } = await engine.run(far, split, { start: 0, count: 1, size: 1 })
    expect(numerator).to.equal(0 + 200 + 400 + 400)
    expect([...gradient('dense/bias')!]).to.deep.equal([3, -1, -2])
  })

  const wrong = async (
    name: string,
    choices: LossChoices,
    activation: Activation = 'linear',
  ): Promise<Error> =>
    rejection(byTfjs(loaded, parseLoss(name, choices) as TfjsLossSpec, activation, data('labels')))

  it('refuses what does not fit the output, naming it', async () => {
    const count = await wrong('cross-entropy', { classWeights: [1, 2] })
    expect(count).to.be.instanceOf(UsageError)
    expect(count.message).to.match(/--class-weights: 2 numbers for 3 classes; 'dense' is batch x 4 x 3/)
    expect((await wrong('cross-entropy', { classAxis: 5 })).message).to.match(/--class-axis 5: 'dense' is/)
    expect((await wrong('bce-with-logits', { positiveWeights: [1, 2] })).message).to.match(
      /--pos-weight: 2 numbers/,
    )
    const output = await wrong('output:nothing', {})
    expect(output).to.be.instanceOf(UsageError)
    expect(output.message).to.match(/no output 'nothing'.*outputs are dense/)
  })

  it('refuses a final softmax that is used elsewhere too', async () => {
    const { tf } = loaded
    const x = tf.input({ shape: [3] })
    const softmax = tf.layers.softmax({ name: 'both' })
    const inner = softmax.apply(x)
    const model = tf.model({ inputs: x, outputs: softmax.apply(inner) as typeof x })
    const file = await networkFile(tf, model)
    const loss = parseLoss('cross-entropy') as TfjsLossSpec
    const error = await rejection(openNetwork(tf, file, { loss, batchNorm: 'running' }))
    expect(error).to.be.instanceOf(UnsupportedModelError)
    expect(error.message).to.match(/layer 'both', whose Softmax ends the network, is used elsewhere/)
  })
})
