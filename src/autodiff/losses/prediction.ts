import { UnsupportedModelError } from '../../errors.js'
import { intAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import type { Graph, NamedValue, Node, Shape } from '../../onnx/graph.js'
import { normalizeAxis } from '../../onnx/shapes/dims.js'
import { axisAfterReshape } from './class-axis.js'
import { inSamples } from './samples.js'
import { judgedShape } from './terms.js'
import type { LossContext } from './terms.js'

/** What the network says of its samples, batch axis first. */
export interface Prediction {
  /** The value of the network's graph that the loss is a function of. */
  readonly source: string
  /** The same in the shape that targets are compared with. */
  readonly value: string
  readonly shape: Shape
  readonly notes: readonly string[]
}

/** The network's outputs of real numbers; a loss of its output judges the first. */
export function realOutputs(graph: Graph, builder: GraphBuilder): NamedValue[] {
  return graph.outputs.filter(({ name }) => ['float32', 'float64'].includes(builder.dtype(name)))
}

/**
 * The network's first output of real numbers.
 * @throws UnsupportedModelError where there is none, or its first axis is not the batch
 */
export function prediction(context: LossContext): Prediction {
  const { graph, builder } = context
  const [first, ...others] = realOutputs(graph, builder)
  if (first === undefined)
    throw new UnsupportedModelError(
      `the network has no output of type float32 or float64 (outputs: ${graph.outputs.map(({ name }) => name).join(', ')})`,
    )
  const notes =
    others.length === 0
      ? []
      : [
          `the loss is taken of the first output '${first.name}'; not used: ${others.map(({ name }) => name).join(', ')}`,
        ]
  const value = inSamples(context, first.name)
  return { source: first.name, value, shape: judgedShape(context, value), notes }
}

/** The prediction before an activation at the network's end, in the same shape. */
export function before(context: LossContext, end: FinalActivation, prediction: Prediction): Prediction {
  const value = context.builder.reshapeLike(end.input, prediction.value)
  return { ...prediction, source: end.input, value }
}

/** The seeds of a loss, from its gradient with respect to a prediction. */
export function seedsOf(
  { builder }: LossContext,
  { source, value }: Prediction,
  gradient: string,
): Map<string, string> {
  return new Map([[source, source === value ? gradient : builder.reshapeLike(gradient, source)]])
}

export interface FinalActivation {
  readonly op: 'Softmax' | 'LogSoftmax' | 'Sigmoid'
  /** The value that it is taken of. */
  readonly input: string
  /** The axis of the prediction over which it normalizes; undefined where a reshape cut that up, and for Sigmoid. */
  readonly axis: number | undefined
}

/** Operators that only lay values out anew, or hand them on. */
const PASSING = new Set(['Identity', 'Dropout', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'])

/** The Softmax, LogSoftmax (also as the Log of a Softmax) or Sigmoid that the network ends in. */
export function finalActivation(
  { graph, builder }: LossContext,
  { source, shape }: Prediction,
): FinalActivation | undefined {
  const producer = (value: string): Node | undefined => {
    const node = graph.nodes.find(({ outputs }) => outputs.includes(value))
    if (node?.domain !== '' || !PASSING.has(node.op)) return node
    return producer(node.inputs[0] ?? '')
  }
  const last = producer(source)
  if (last?.domain !== '') return undefined
  const inner = last.op === 'Log' ? producer(last.inputs[0] ?? '') : undefined
  const node = inner?.op === 'Softmax' ? inner : last
  const op = node === inner ? 'LogSoftmax' : node.op
  const input = node.inputs[0] ?? ''
  if (op === 'Sigmoid') return { op, input, axis: undefined }
  if (op !== 'Softmax' && op !== 'LogSoftmax') return undefined
  const own = builder.shapeOf(input)
  const axis = own && axisAfterReshape(own, normalizeAxis(intAttribute(node, 'axis', -1), own.length), shape)
  return { op, input, axis }
}
