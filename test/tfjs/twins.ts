import type { LayersModel } from '@tensorflow/tfjs'
import type { Tf } from '../../src/engines/tfjs/load.js'
import type { Graph, Node } from '../../src/onnx/graph.js'
import type { AttributeValue } from '../../src/onnx/attributes.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'

/** A network in TensorFlow.js, and the same written down as ONNX: weights under Keras' names, in Keras' layout. */
export interface Twin {
  readonly shape: readonly number[]
  readonly classes: number
  readonly model: (tf: Tf) => LayersModel
  readonly graph: (model: LayersModel) => Graph
}

/** Writes nodes one after the other; the weights are those of a model. */
class Writer {
  private readonly nodes: Node[] = []
  private readonly constants: Record<string, ReturnType<typeof tensor>> = {}

  constructor(
    private readonly model: LayersModel,
    private value = 'x',
  ) {}

  op(
    op: string,
    others: readonly string[] = [],
    values: Readonly<Record<string, AttributeValue>> = {},
  ): this {
    this.value = this.write(op, [this.value, ...others], values)
    return this
  }

  /** x W + b */
  dense(layer: string): this {
    return this.op('MatMul', [`${layer}/kernel`]).op('Add', [`${layer}/bias`])
  }

  /** A kernel [height, width, input, output] as ONNX has it. */
  convolution(layer: string, pads: readonly number[], kernel = 'kernel', bias = true): this {
    const weight = this.write('Transpose', [`${layer}/${kernel}`], { perm: [3, 2, 0, 1] })
    return this.op('Conv', [weight, ...(bias ? [`${layer}/bias`] : [])], { pads })
  }

  /** A kernel [height, width, input, multiplier]: each channel by itself. */
  depthwise(layer: string, channels: number, pads: readonly number[], kernel: string, bias: boolean): this {
    const moved = this.write('Transpose', [`${layer}/${kernel}`], { perm: [2, 3, 0, 1] })
    const shape = this.constant([-1, 1, 3, 3])
    const weight = this.write('Reshape', [moved, shape])
    return this.op('Conv', [weight, ...(bias ? [`${layer}/bias`] : [])], { pads, group: channels })
  }

  normalization(layer: string): this {
    const weights = ['gamma', 'beta', 'moving_mean', 'moving_variance'].map((name) => `${layer}/${name}`)
    return this.op('BatchNormalization', weights, { epsilon: { float: 1e-3 } })
  }

  channelsFirst(): this {
    return this.op('Transpose', [], { perm: [0, 3, 1, 2] })
  }

  constant(values: readonly number[]): string {
    const name = `constant${Object.keys(this.constants).length}`
    this.constants[name] = tensor('int64', [values.length], values)
    return name
  }

  finish(shape: readonly number[]): Graph {
    const weights = this.model.weights.map((weight) => [
      weight.originalName,
      tensor('float32', weight.shape as number[], Array.from(weight.read().dataSync())),
    ])
    return graphOf({
      inputs: [input('x', ['batch', ...shape])],
      outputs: [this.value],
      initializers: { ...this.constants, ...(Object.fromEntries(weights) as typeof this.constants) },
      nodes: this.nodes,
    })
  }

  private write(
    op: string,
    inputs: readonly string[],
    values: Readonly<Record<string, AttributeValue>> = {},
  ): string {
    const output = `value${this.nodes.length}`
    this.nodes.push(node(op, inputs, output, values))
    return output
  }
}

const ONE_AROUND = [1, 1, 1, 1]
const NONE = [0, 0, 0, 0]

export const TWINS: Readonly<Record<'dense' | 'convolutional' | 'BatchNorm', Twin>> = {
  dense: {
    shape: [5],
    classes: 3,
    model: ({ layers, sequential, initializers }) =>
      sequential({
        layers: [
          layers.dense({
            name: 'one',
            inputShape: [5],
            units: 8,
            activation: 'tanh',
            kernelInitializer: initializers.glorotUniform({ seed: 1 }),
          }),
          layers.dense({
            name: 'two',
            units: 3,
            activation: 'softmax',
            kernelInitializer: initializers.glorotUniform({ seed: 2 }),
          }),
        ],
      }),
    graph: (model) => new Writer(model).dense('one').op('Tanh').dense('two').op('Softmax').finish([5]),
  },
  convolutional: {
    shape: [8, 8, 2],
    classes: 3,
    model: ({ layers, sequential, initializers }) => {
      const seeded = (seed: number) => initializers.glorotUniform({ seed })
      return sequential({
        layers: [
          layers.conv2d({
            name: 'conv',
            inputShape: [8, 8, 2],
            filters: 4,
            kernelSize: 3,
            padding: 'same',
            activation: 'relu',
            kernelInitializer: seeded(1),
          }),
          layers.maxPooling2d({ poolSize: 2 }),
          layers.depthwiseConv2d({
            name: 'deep',
            kernelSize: 3,
            padding: 'same',
            depthMultiplier: 2,
            activation: 'elu',
            depthwiseInitializer: seeded(2),
          }),
          layers.separableConv2d({
            name: 'apart',
            kernelSize: 3,
            filters: 5,
            activation: 'tanh',
            depthwiseInitializer: seeded(3),
            pointwiseInitializer: seeded(4),
          }),
          layers.averagePooling2d({ poolSize: 2 }),
          layers.flatten(),
          layers.dense({ name: 'head', units: 3, kernelInitializer: seeded(5) }),
          layers.activation({ activation: 'softmax' }),
        ],
      })
    },
    graph: (model) =>
      new Writer(model)
        .channelsFirst()
        .convolution('conv', ONE_AROUND)
        .op('Relu')
        .op('MaxPool', [], { kernel_shape: [2, 2], strides: [2, 2] })
        .depthwise('deep', 4, ONE_AROUND, 'depthwise_kernel', true)
        .op('Elu')
        .depthwise('apart', 8, NONE, 'depthwise_kernel', false)
        .convolution('apart', NONE, 'pointwise_kernel')
        .op('Tanh')
        .op('AveragePool', [], { kernel_shape: [2, 2], strides: [2, 2] })
        .op('Flatten')
        .dense('head')
        .op('Softmax')
        .finish([8, 8, 2]),
  },
  BatchNorm: {
    shape: [6, 6, 1],
    classes: 3,
    model: ({ layers, sequential, initializers }) => {
      const seeded = (seed: number) => initializers.glorotUniform({ seed })
      return sequential({
        layers: [
          layers.conv2d({
            name: 'conv',
            inputShape: [6, 6, 1],
            filters: 3,
            kernelSize: 3,
            useBias: false,
            kernelInitializer: seeded(1),
          }),
          layers.batchNormalization({ name: 'norm', momentum: 0.7 }),
          layers.activation({ activation: 'tanh' }),
          layers.dropout({ rate: 0.3, seed: 7 }),
          layers.globalAveragePooling2d({ dataFormat: 'channelsLast' }),
          layers.dense({ name: 'middle', units: 4, kernelInitializer: seeded(2) }),
          layers.batchNormalization({ name: 'flat', momentum: 0.7 }),
          layers.dense({ name: 'head', units: 3, activation: 'softmax', kernelInitializer: seeded(3) }),
        ],
      })
    },
    graph: (model) =>
      new Writer(model)
        .channelsFirst()
        .convolution('conv', NONE, 'kernel', false)
        .normalization('norm')
        .op('Tanh')
        .op('GlobalAveragePool')
        .op('Flatten')
        .dense('middle')
        .normalization('flat')
        .dense('head')
        .op('Softmax')
        .finish([6, 6, 1]),
  },
}
