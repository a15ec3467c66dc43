import { UnsupportedModelError } from '../../errors.js'
import { intAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import type { Dim, Node, Shape } from '../../onnx/graph.js'
import { product, quotient } from '../../onnx/shapes/dims.js'
import { formatShape } from '../../tensor.js'
import { judgedShape } from './terms.js'
import type { LossContext } from './terms.js'

/**
 * A value with the batch as its first axis. One whose positions were flattened into the batch's axis ([N * T, C]) gets
 * its positions back where the graph shows what they were, so that every sample has its own loss.
 *
 * @throws UnsupportedModelError where the first axis is not the batch
 */
export function inSamples(context: LossContext, value: string): string {
  const { builder, batch } = context
  const shape = judgedShape(context, value)
  if (mayBeBatch(shape, batch)) return value
  const whole = shape.length === 2 ? beforeFlattening(builder, value, batch) : undefined
  if (whole === undefined) throw notInSamples(value, shape, batch)
  const sizes = [...judgedShape(context, whole).slice(0, -1), shape[1]!]
  return reshaped(builder, value, whole, sizes)
}

/** Refuses a value whose first axis can't be the batch: of another known size, or a multiple of the batch's symbol. */
export function assertBatchAxis(name: string, shape: Shape, batch: Dim): void {
  if (!mayBeBatch(shape, batch)) throw notInSamples(name, shape, batch)
}

function mayBeBatch([first = 1]: Shape, batch: Dim): boolean {
  if (typeof first === 'number') return first === batch
  const times = quotient(first, batch)
  return typeof batch === 'number' || times === undefined || times === 1
}

function notInSamples(name: string, shape: Shape, batch: Dim): UnsupportedModelError {
  return new UnsupportedModelError(
    `the loss needs one row for each sample, but '${name}' is ${formatShape(shape)} where the batch is ${batch}: ` +
      `keep the batch as the first axis of the network's output`,
  )
}

/**
 * The value [batch, ..., features] that was flattened to rows, of which every row of `value` is a function. Follows
 * operators that treat each row alike.
 */
function beforeFlattening(builder: GraphBuilder, value: string, batch: Dim): string | undefined {
  const node = builder.producer(value)
  const [rows, features] = builder.shapeOf(value) ?? []
  if (node?.domain !== '' || rows === undefined || builder.rank(value) !== 2) return undefined
  if (node.op !== 'Reshape' && node.op !== 'Flatten') {
    const next = rowsOf(builder, node)
    return next === undefined ? undefined : beforeFlattening(builder, next, batch)
  }
  const [from = ''] = node.inputs
  const shape = builder.shapeOf(from)
  if (shape === undefined || shape.length === 2) return undefined
  const kept = shape[0] === batch && shape.at(-1) === features && product(shape.slice(0, -1)) === rows
  return kept ? from : undefined
}

/** The input of which each row of a node's output is a function of the same row, undefined for other operators. */
function rowsOf(builder: GraphBuilder, node: Node): string | undefined {
  const [a = '', b = ''] = node.inputs
  switch (node.op) {
    case 'Identity':
      return a
    case 'Softmax':
    case 'LogSoftmax':
      return [-1, 1].includes(intAttribute(node, 'axis', -1)) ? a : undefined
    case 'Gemm':
      return intAttribute(node, 'transA', 0) === 0 ? a : undefined
    case 'MatMul':
      return builder.rank(b) === 2 ? a : undefined
    case 'Add':
    case 'Mul':
      return (builder.rank(b) ?? 2) < 2 ? a : (builder.rank(a) ?? 2) < 2 ? b : undefined
    default:
      return undefined
  }
}

/** `value` in the given sizes; those that are open are the ones of `like`, axis by axis. */
function reshaped(builder: GraphBuilder, value: string, like: string, sizes: Shape): string {
  if (sizes.filter((dim) => typeof dim === 'string').length <= 1)
    return builder.reshape(
      value,
      sizes.map((dim) => (typeof dim === 'number' ? dim : -1)),
    )
  const axes = sizes.slice(0, -1).map((_, axis) => axis)
  const last = builder.sizes(value, [1])
  return builder.reshapeTo(value, builder.add('Concat', [builder.sizes(like, axes), last], { axis: 0 }))
}
