import { floatAttribute, intsAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import { Formula } from '../formula.js'
import { Integers } from '../integers.js'
import { RuleRefusal } from '../rule.js'
import type { RewriteContext } from '../rule.js'

/** Below every number that a network computes. */
const LOWEST = -3e38

/** 0, 1, ... up to a size, as numbers of the type of `like`. */
export function places(builder: GraphBuilder, image: string, axis: number, like: string): string {
  const integers = new Integers(builder)
  return builder.cast(integers.range(integers.size(image, axis)), builder.dtype(like))
}

/** One column of a table of regions, [R, 1, 1]. */
export function column(builder: GraphBuilder, regions: string, index: number): string {
  const values = builder.add('Gather', [regions, builder.scalar(index, 'int64')], { axis: 1 })
  return builder.reshape(values, [-1, 1, 1])
}

/** The maximum along an axis, which stays with size 1; of equal elements the first takes the derivative. */
export function firstMaximum(builder: GraphBuilder, value: string, axis: number): string {
  return builder.add('GatherElements', [value, builder.add('ArgMax', [value], { axis })], { axis })
}

/** A value where a mask is true, else less than anything. */
export function onlyWhere(builder: GraphBuilder, mask: string, value: string): string {
  return builder.add('Where', [mask, value, builder.scalar(LOWEST, builder.dtype(value))])
}

/**
 * MaxRoiPool 1: each region, [image, x1, y1, x2, y2] rounded to pixels, is cut into bins, and each bin gives its
 * largest element, 0 if it has none. First the maximum of each row in the columns of a bin, then that of its rows.
 */
export function regionMaximum(c: RewriteContext): string {
  const { builder } = c
  const [rows = 0, columns = 0] = intsAttribute(c.node, 'pooled_shape') ?? []
  if (rows === 0) throw new RuleRefusal('pooled_shape is missing')
  const batch = builder.cast(builder.reshape(column(builder, c.x(1), 0), [-1]), 'int64')
  const images = builder.add('Unsqueeze', [builder.add('Gather', [c.x(0), batch]), builder.integers([3])])
  const [vertical, horizontal] = [bins(c, 2, rows), bins(c, 3, columns)]
  const at = (mask: string, axes: readonly number[]): string =>
    builder.add('Unsqueeze', [mask, builder.integers(axes)])
  // [R, C, H, columns, W], then [R, C, rows, H, columns]
  const inRows = firstMaximum(builder, onlyWhere(builder, at(horizontal, [1, 2]), images), 4)
  const turned = builder.add('Unsqueeze', [
    builder.add('Squeeze', [inRows, builder.integers([4])]),
    builder.integers([2]),
  ])
  const inBins = firstMaximum(builder, onlyWhere(builder, at(vertical, [1, 4]), turned), 3)
  const maximum = builder.add('Squeeze', [inBins, builder.integers([3])])
  const any = builder.add('And', [at(filled(c, vertical), [1, 3]), at(filled(c, horizontal), [1, 2])])
  return builder.add('Where', [any, maximum, builder.scalar(0, builder.dtype(maximum))])
}

/** [R, bins, size]: whether a pixel lies in a bin, along one axis of the image. */
function bins(c: RewriteContext, axis: number, count: number): string {
  const { builder } = c
  const f = new Formula(builder, c.x(1))
  const scale = floatAttribute(c.node, 'spatial_scale', 1)
  const rounded = (index: number): string => halfAwayFromZero(f, f.mul(column(builder, c.x(1), index), scale))
  const [first, last] = [rounded(4 - axis), rounded(6 - axis)]
  const size = f.div(f.call('Max', f.add(f.sub(last, first), 1), 1), count)
  const numbers = Array.from({ length: count }, (_, i) => i)
  const bin = builder.constant(builder.dtype(c.x(1)), [count, 1], numbers)
  const start = f.add(f.call('Floor', f.mul(size, bin)), first)
  const end = f.add(f.call('Ceil', f.mul(size, f.add(bin, 1))), first)
  const pixels = places(builder, c.x(0), axis, c.x(1))
  return builder.add('And', [
    builder.add('GreaterOrEqual', [pixels, start]),
    builder.add('Less', [pixels, end]),
  ])
}

function halfAwayFromZero(f: Formula, x: string): string {
  return f.mul(f.call('Sign', x), f.call('Floor', f.add(f.call('Abs', x), 0.5)))
}

/** [R, bins]: whether a bin holds any pixel. */
function filled(c: RewriteContext, mask: string): string {
  const { builder } = c
  const held = builder.add('ReduceMax', [builder.cast(mask, 'int32'), builder.integers([2])], { keepdims: 0 })
  return builder.cast(held, 'bool')
}
