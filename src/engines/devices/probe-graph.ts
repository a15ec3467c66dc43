import { differentiate } from '../../autodiff/differentiate.js'
import type { Forms } from '../../autodiff/rule.js'
import { onnxCode } from '../../onnx/dtypes.js'
import { constantOf } from '../../onnx/from-proto.js'
import type { Graph } from '../../onnx/graph.js'
import { plainNode } from '../../onnx/plain-node.js'
import { encodeModel } from '../../onnx/write.js'
import { Random } from '../../random.js'
import { elementCount } from '../../tensor.js'
import type { SplitData } from '../engine.js'
import { programOf } from '../program.js'
import type { GradientProgram } from '../program.js'

const SAMPLES = 8
const [CHANNELS, SIDE, FILTERS, HIDDEN, CLASSES] = [2, 8, 4, 16, 5]

/** Shapes of the network's weights. */
const WEIGHTS = {
  filters: [FILTERS, CHANNELS, 3, 3],
  offsets: [FILTERS],
  first: [FILTERS * SIDE * SIDE, HIDDEN],
  shift: [HIDDEN],
  last: [HIDDEN, CLASSES],
} as const

/** A gradient graph with all that it reads. */
export interface ProbeGraph {
  readonly model: Uint8Array
  readonly program: GradientProgram
  /** Values by the parameter's name, row-major. */
  readonly parameters: ReadonlyMap<string, Float32Array>
  readonly split: SplitData
}

/**
 * A small classifier with the operators that networks spend their time in (convolution, matrix products, softmax), and
 * its gradient, on a batch of fixed size. The numbers are the same every time.
 */
export function probeGraph(forms: Forms): ProbeGraph {
  const random = Random.ofSeed(1)
  const numbers = (shape: readonly number[], scale: number): Float32Array =>
    Float32Array.from({ length: elementCount(shape) }, () => scale * (random.next() / 2 ** 31 - 1))
  const parameters = new Map(
    Object.entries(WEIGHTS).map(([name, shape]) => [name, numbers(shape, 1 / Math.sqrt(shape[0]))]),
  )
  const shape = [SAMPLES, CHANNELS, SIDE, SIDE]
  const gradient = differentiate(network(parameters, shape), {
    parameters: [...parameters.keys()],
    loss: { kind: 'cross-entropy' },
    forms,
  })
  return {
    model: encodeModel(gradient.graph),
    program: programOf(gradient),
    parameters,
    split: {
      samples: SAMPLES,
      inputs: new Map([
        ['images', { dtype: 'float32', sampleShape: shape.slice(1), data: numbers(shape, 1) }],
      ]),
      target: {
        dtype: 'int64',
        sampleShape: [],
        data: BigInt64Array.from({ length: SAMPLES }, () => BigInt(random.below(CLASSES))),
      },
    },
  }
}

function network(parameters: ReadonlyMap<string, Float32Array>, shape: readonly number[]): Graph {
  const initializers = [...parameters].map(([name, { buffer }]): [string, ReturnType<typeof constantOf>] => [
    name,
    constantOf(WEIGHTS[name as keyof typeof WEIGHTS], onnxCode('float32'), new Uint8Array(buffer)),
  ])
  return {
    name: 'probe',
    irVersion: 8,
    opsets: new Map([['', 18]]),
    inputs: [{ name: 'images', dtype: 'float32', shape }],
    outputs: [{ name: 'logits', dtype: 'float32', shape: [SAMPLES, CLASSES] }],
    initializers: new Map(initializers),
    nodes: [
      plainNode('Conv', ['images', 'filters', 'offsets'], 'maps', { pads: [1, 1, 1, 1] }),
      plainNode('Relu', ['maps'], 'active'),
      plainNode('Flatten', ['active'], 'row'),
      plainNode('MatMul', ['row', 'first'], 'product'),
      plainNode('Add', ['product', 'shift'], 'sum'),
      plainNode('Tanh', ['sum'], 'hidden'),
      plainNode('MatMul', ['hidden', 'last'], 'logits'),
    ],
    functions: [],
  }
}
