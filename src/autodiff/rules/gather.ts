import { intAttribute } from '../../onnx/attributes.js'
import { normalizeAxis } from '../../onnx/shapes/dims.js'
import { Integers } from '../integers.js'
import type { Integer } from '../integers.js'
import type { VjpContext } from '../rule.js'
import { addAlong, sizesOf, withZerosAround } from './placing.js'

/**
 * Undoes Gather 13: every gathered slice's cotangent is added to the slice that it was taken from. One slice, or
 * neighbouring ones, get zeros around them; ones that are known to be distinct are put in their order by another
 * Gather; else they are added up.
 */
export function gatherBack(c: VjpContext): string {
  const { builder } = c
  const rank = c.shape(0).length
  const axis = normalizeAxis(intAttribute(c.node, 'axis', 0), rank)
  const indices = builder.constantsOf(c.x(1))
  if (builder.rank(c.x(1)) === 0) return oneSlice(c, axis, indices?.[0])
  if (indices === undefined) return added(c, axis)
  return neighbours(c, axis, indices) ?? reordered(c, axis, indices) ?? added(c, axis)
}

/** Slices that may have been taken several times. */
function added(c: VjpContext, axis: number): string {
  return addAlong(c.builder, lined(c, axis), flat(c), axis, sizesOf(c.builder, c.x(0)))
}

/** An index without axes took one slice, whose axis is gone. */
function oneSlice(c: VjpContext, axis: number, known: number | undefined): string {
  const { builder } = c
  const index = known ?? new Integers(builder).fromScalar(builder.cast(c.x(1), 'int64'))
  const slice = builder.add('Unsqueeze', [c.g, builder.integers([axis])])
  return placed(c, slice, axis, index, 1)
}

/** Slices that stand side by side and in order. */
function neighbours(c: VjpContext, axis: number, indices: readonly number[]): string | undefined {
  const [first] = indices
  if (first === undefined || indices.some((index, i) => index !== first + i)) return undefined
  // from the end on they would go on at the start
  if (first < 0 && first + indices.length > 0) return undefined
  return placed(c, lined(c, axis), axis, first, indices.length)
}

function placed(c: VjpContext, value: string, axis: number, index: Integer, count: number): string {
  const integers = new Integers(c.builder)
  const size = integers.size(c.x(0), axis)
  const before = integers.fromStart(index, size)
  const after = integers.sub(integers.sub(size, before), count)
  return withZerosAround(c.builder, value, [{ axis, before, after }])
}

/** The order of an axis is a constant as long as the axis is. */
const LARGEST_ORDER = 2 ** 20

/** Known slices, none of them twice: each place of the input takes its own, or the zeros that are put at the end. */
function reordered(c: VjpContext, axis: number, indices: readonly number[]): string | undefined {
  const { builder } = c
  const size = c.shape(0)[axis]!
  if (typeof size !== 'number' || size > LARGEST_ORDER) return undefined
  const from = indices.map((index) => normalizeAxis(index, size))
  if (new Set(from).size < from.length) return undefined
  const sources = Array.from({ length: size }, (_, place) => from.indexOf(place))
  const complete = from.length === size
  const value = complete
    ? lined(c, axis)
    : withZerosAround(builder, lined(c, axis), [{ axis, before: 0, after: 1 }])
  const order = sources.map((at) => (at < 0 ? from.length : at))
  return builder.add('Gather', [value, builder.integers(order)], { axis })
}

/** The indices in one dimension. */
function flat(c: VjpContext): string {
  return c.builder.rank(c.x(1)) === 1 ? c.x(1) : c.builder.reshape(c.x(1), [-1])
}

/** The cotangent with the axes of the indices in one. */
function lined(c: VjpContext, axis: number): string {
  const { builder } = c
  if (builder.rank(c.x(1)) === 1) return c.g
  const integers = new Integers(builder)
  const sizes = c.shape(0).map((_, at): Integer => (at === axis ? -1 : integers.size(c.x(0), at)))
  return builder.reshapeTo(c.g, integers.vector(sizes))
}
