import { intAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import type { Graph, Node } from '../../onnx/graph.js'
import { normalizeAxis, sameShape, staticShape } from '../../onnx/shapes/dims.js'
import { elementCount } from '../../tensor.js'
import { readersOf } from '../readers.js'
import { unary } from '../rule.js'
import type { Vjp, VjpContext } from '../rule.js'

export const REDUCTION = {
  // every summed element gets the sum's cotangent (ReduceSum 13)
  ReduceSum: unary((c) => c.builder.expandLike(reduced(c).kept(c.g), c.x(0))),
  // ... divided by their number (ReduceMean 18)
  ReduceMean: unary((c) => {
    const over = reduced(c)
    return c.builder.expandLike(over.kept(over.perElement(c.g)), c.x(0))
  }),
  // the elements that attain the extreme share the cotangent equally, as PyTorch's amax and amin
  ReduceMax: unary(extreme),
  ReduceMin: unary(extreme),
  // d softmax: y (g - sum(g y)) (Softmax 13)
  Softmax: unary((c) => {
    const { builder } = c
    const y = isGuarded(c.graph, c.y()) ? zeroForNaN(builder, c.y()) : c.y()
    const weighted = throughProduct(c) ?? builder.sum(builder.mul(c.g, y), [softmaxAxis(c)], true)
    return builder.mul(y, builder.add('Sub', [c.g, weighted]))
  }),
  // d log softmax: g - softmax(x) sum(g) (LogSoftmax 13)
  LogSoftmax: unary((c) => {
    const { builder } = c
    const total = builder.sum(c.g, [softmaxAxis(c)], true)
    return builder.add('Sub', [c.g, builder.mul(builder.add('Exp', [c.y()]), total)])
  }),
} as const satisfies Record<string, Vjp>

/**
 * Whether the network chooses between a value's elements and others, as attention does where a query is masked from
 * every key and its softmax is NaN: the cotangent is 0 there, and 0 times NaN must stay 0.
 */
function isGuarded(graph: Graph, value: string): boolean {
  return graph.nodes.some(({ op, inputs, outputs }) => {
    if (!inputs.includes(value)) return false
    return op === 'Where' || ((op === 'Cast' || op === 'Identity') && isGuarded(graph, outputs[0]!))
  })
}

function zeroForNaN(builder: GraphBuilder, value: string): string {
  return builder.add('Where', [builder.add('IsNaN', [value]), builder.scalar(0, builder.dtype(value)), value])
}

/**
 * sum(g y) of weights y that nothing but a product o = y v reads, as in attention: g = do v^T, so that it is the sum of
 * o do, which have fewer columns (Dao et al. 2022, FlashAttention, section 3.1). Undefined elsewhere.
 */
function throughProduct(c: VjpContext): string | undefined {
  const { builder, graph } = c
  const rank = c.shape(0).length
  const reader = readersOf(graph, c.y()) === 1 ? onlyReader(graph, c.y()) : undefined
  const back = builder.producer(c.g)
  if (reader?.op !== 'MatMul' || reader.inputs[0] !== c.y() || back?.op !== 'MatMul') return undefined
  const [v, o] = [reader.inputs[1]!, reader.outputs[0]!]
  const [keys, columns] = builder.shapeOf(v)?.slice(-2) ?? []
  const narrower = typeof keys === 'number' && typeof columns === 'number' && columns < keys
  if (softmaxAxis(c) !== rank - 1 || builder.rank(v) !== rank || rank < 3 || !narrower) return undefined
  const cotangent = back.inputs[0]!
  if (back.inputs[1] !== exchanged(builder, v, rank)) return undefined
  if (!sameShape(builder.shapeOf(cotangent), builder.shapeOf(o))) return undefined
  return builder.sum(builder.mul(cotangent, o), [rank - 1], true)
}

function onlyReader(graph: Graph, value: string): Node | undefined {
  return graph.nodes.find(({ inputs }) => inputs.includes(value))
}

/** The last two axes exchanged. */
function exchanged(builder: GraphBuilder, value: string, rank: number): string {
  const axes = Array.from({ length: rank }, (_, axis) => axis)
  return builder.transpose(value, [...axes.slice(0, -2), rank - 1, rank - 2])
}

function softmaxAxis(c: VjpContext): number {
  return normalizeAxis(intAttribute(c.node, 'axis', -1), c.shape(0).length)
}

/** What a reduction (opset 18: axes as an input) did with the axes of its input. */
export interface Reduced {
  /** A value of the reduction's output shape with the reduced axes kept as size 1, so that it broadcasts. */
  kept(value: string): string
  /** The sum of a value of the input's shape over the same axes, which are kept. */
  sum(value: string): string
  /** A value divided by the number of elements that were reduced to one. */
  perElement(value: string): string
}

/** Where the axes or the rank come out only when the graph runs, the node's own input says them there too. */
export function reduced(c: VjpContext): Reduced {
  const axes = reducedAxes(c)
  return axes === undefined ? reducedAtRun(c) : reducedOver(c, axes)
}

/** The axes that were reduced, counted from 0; undefined where they are not known. */
function reducedAxes(c: VjpContext): number[] | undefined {
  const rank = c.builder.rank(c.x(0))
  const given = c.x(1) === '' ? [] : c.builder.constantsOf(c.x(1))
  if (rank === undefined || given === undefined) return undefined
  if (given.length > 0) return given.map((axis) => normalizeAxis(axis, rank))
  return keepsAll(c) ? [] : Array.from({ length: rank }, (_, axis) => axis)
}

function keepsAll(c: VjpContext): boolean {
  return intAttribute(c.node, 'noop_with_empty_axes', 0) === 1
}

function keepsDims(c: VjpContext): boolean {
  return intAttribute(c.node, 'keepdims', 1) === 1
}

function reducedOver(c: VjpContext, axes: readonly number[]): Reduced {
  const { builder } = c
  return {
    kept: (value) =>
      keepsDims(c) || axes.length === 0 ? value : builder.add('Unsqueeze', [value, builder.integers(axes)]),
    sum: (value) => builder.sum(value, axes, true),
    perElement: (value) => {
      const sizes = staticShape(builder.shapeOf(c.x(0))?.filter((_, axis) => axes.includes(axis)))
      if (sizes !== undefined) return builder.scale(value, 1 / elementCount(sizes))
      return builder.add('Div', [value, elementsAlong(builder, c.x(0), axes)])
    },
  }
}

function reducedAtRun(c: VjpContext): Reduced {
  const { builder } = c
  const [x, axes] = [c.x(0), c.x(1)]
  return {
    // a reduction over all axes for want of a list gives a scalar, which broadcasts as it is
    kept: (value) => (keepsDims(c) || axes === '' ? value : builder.add('Unsqueeze', [value, axes])),
    sum: (value) =>
      builder.add('ReduceSum', axes === '' ? [value] : [value, axes], {
        keepdims: 1,
        noop_with_empty_axes: keepsAll(c) ? 1 : 0,
      }),
    perElement: (value) => {
      const count = builder.add('Div', [builder.add('Size', [x]), builder.add('Size', [c.y()])])
      return builder.add('Div', [value, builder.cast(count, builder.dtype(value))])
    },
  }
}

/** How many elements a value has along some axes, as a number of its type without axes. */
export function elementsAlong(builder: GraphBuilder, value: string, axes: readonly number[]): string {
  const shape = builder.shapeOf(value)
  const sizes = staticShape(shape && axes.map((axis) => shape[axis]!))
  if (sizes !== undefined) return builder.scalar(elementCount(sizes), builder.dtype(value))
  const count = builder.add('ReduceProd', [builder.sizes(value, axes)], { keepdims: 0 })
  return builder.cast(count, builder.dtype(value))
}

function extreme(c: VjpContext): string {
  const { builder } = c
  const over = reduced(c)
  const attains = builder.cast(builder.add('Equal', [c.x(0), over.kept(c.y())]), builder.dtype(c.g))
  return builder.mul(attains, builder.add('Div', [over.kept(c.g), over.sum(attains)]))
}
