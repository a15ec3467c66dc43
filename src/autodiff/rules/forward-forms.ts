import { intsAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import { normalizeAxis } from '../../onnx/shapes/dims.js'
import { Integers } from '../integers.js'
import type { Integer } from '../integers.js'
import type { Rewrite, RewriteContext } from '../rule.js'
import { isSlowTranspose } from './quick-forms.js'

/**
 * Operators of a network that are brought into other terms before it is differentiated, because the CPU provider is
 * quicker with those forward and backward.
 */
export const FORWARD_FORMS: ReadonlyMap<string, Rewrite> = new Map<string, Rewrite>([
  ['Add', intoGemm],
  ['Slice', slicedFirst],
  ['Squeeze', squeezedFirst],
  ['CastLike', castToKnown],
])

/**
 * A product with a matrix and the vector that is added to it are one Gemm over all rows, which adds it while it
 * multiplies: a linear layer, as exporters write it for inputs of more than two axes.
 */
function intoGemm(c: RewriteContext): string[] | undefined {
  const at = [0, 1].find((input) => isOwnProduct(c, c.x(input)))
  if (at === undefined) return undefined
  const { builder } = c
  const bias = c.x(1 - at)
  const [a, b] = builder.producer(c.x(at))!.inputs as [string, string]
  const [rank, matrix, vector] = [builder.rank(a), builder.shapeOf(b), builder.shapeOf(bias)]
  if (rank === undefined || rank < 2 || matrix?.length !== 2 || vector?.length !== 1) return undefined
  const [inner, columns] = matrix
  if (typeof inner !== 'number' || typeof columns !== 'number' || vector[0] !== columns) return undefined
  const types = [a, b, bias].map((value) => builder.info(value).dtype)
  if (types.some((dtype) => dtype !== types[0]) || (types[0] !== 'float32' && types[0] !== 'float64'))
    return undefined
  const { weight, transB } = untransposed(builder, b)
  const rows = rank === 2 ? a : builder.reshape(a, [-1, inner])
  const y = builder.add('Gemm', [rows, weight, bias], { transB })
  return [rank === 2 ? y : withRowsOf(builder, y, a, columns)]
}

/** Whether a value is a product of matrices that nothing else reads. */
function isOwnProduct(c: RewriteContext, value: string): boolean {
  const node = c.builder.producer(value)
  return node?.op === 'MatMul' && node.domain === '' && c.readers(value) === 1
}

function untransposed(builder: GraphBuilder, matrix: string): { weight: string; transB: 0 | 1 } {
  const node = builder.producer(matrix)
  return node?.op === 'Transpose' && node.domain === ''
    ? { weight: node.inputs[0]!, transB: 1 }
    : { weight: matrix, transB: 0 }
}

/** Rows [n, columns] laid out as those of another value, whose last axis only differs. */
function withRowsOf(builder: GraphBuilder, rows: string, like: string, columns: number): string {
  const front = builder.shapeOf(like)!.slice(0, -1)
  const symbols = front.filter((dim) => typeof dim === 'string').length
  if (symbols <= 1 && !front.includes(0))
    return builder.reshape(rows, [...front.map((dim) => (typeof dim === 'number' ? dim : -1)), columns])
  const integers = new Integers(builder)
  const sizes = front.map((_, axis): Integer => integers.size(like, axis))
  return builder.reshapeTo(rows, integers.vector([...sizes, columns]))
}

/** The Transpose that computes a value, where the provider is slow with it. */
function slowTransposeOf(builder: GraphBuilder, value: string): { x: string; order: number[] } | undefined {
  const node = builder.producer(value)
  if (node === undefined || !isSlowTranspose(node, builder)) return undefined
  return { x: node.inputs[0]!, order: intsAttribute(node, 'perm')! }
}

/**
 * A slice of a transposed value is a transposed slice: nothing is moved that is not kept, and the slices' cotangents are
 * put side by side before they are moved. Not along the last axis, which stays in its place anyway.
 */
function slicedFirst(c: RewriteContext): string[] | undefined {
  const { builder, node } = c
  const transpose = slowTransposeOf(builder, c.x(0))
  const axes = c.x(3) === '' ? undefined : builder.constantsOf(c.x(3))
  if (transpose === undefined || axes === undefined) return undefined
  const { x, order } = transpose
  const cut = axes.map((axis) => order[normalizeAxis(axis, order.length)]!)
  if (cut.includes(order.length - 1)) return undefined
  const own = builder.integers(cut)
  const inputs = [x, c.x(1), c.x(2), own, ...node.inputs.slice(4)]
  return [builder.transpose(builder.add('Slice', inputs), order)]
}

/** The same for axes of size 1 that are dropped. */
function squeezedFirst(c: RewriteContext): string[] | undefined {
  const { builder } = c
  const transpose = slowTransposeOf(builder, c.x(0))
  const axes = builder.constantsOf(c.x(1))
  if (transpose === undefined || axes === undefined) return undefined
  const { x, order } = transpose
  const dropped = axes.map((axis) => order[normalizeAxis(axis, order.length)]!)
  const kept = order.filter((axis) => !dropped.includes(axis))
  const squeezed = builder.add('Squeeze', [x, builder.integers(dropped.toSorted((a, b) => a - b))])
  return [
    builder.transpose(
      squeezed,
      kept.map((axis) => axis - dropped.filter((one) => one < axis).length),
    ),
  ]
}

/** ONNX Runtime keeps what a CastLike only takes the type of, computed for nothing. */
function castToKnown(c: RewriteContext): string[] | undefined {
  const { dtype } = c.builder.info(c.x(1))
  return dtype === undefined ? undefined : [c.builder.cast(c.x(0), dtype)]
}
