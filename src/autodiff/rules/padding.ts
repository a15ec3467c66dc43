import { intsAttribute, stringAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import { normalizeAxis } from '../../onnx/shapes/dims.js'
import { END_OF_ANY } from '../../onnx/shapes/slice.js'
import { Integers } from '../integers.js'
import type { Integer } from '../integers.js'
import { RuleRefusal } from '../rule.js'
import type { RewriteContext, VjpContext } from '../rule.js'
import { positionsOf, scatterFlat, withZerosAround } from './placing.js'
import type { Margin } from './placing.js'

/** Pad 18 to 25: constant padding is cut off again, what copies elements adds their cotangents up. */
export function padBack(c: VjpContext): (string | undefined)[] {
  const mode = stringAttribute(c.node, 'mode', 'constant')
  if (mode === 'constant')
    return [c.needs(0) ? cutBack(c) : undefined, undefined, c.needs(2) ? paddingSum(c) : undefined]
  return [copiesBack(c, mode)]
}

/** Padding by as much less: what was added is cut, what was cut comes back as zeros. */
function cutBack(c: VjpContext): string {
  const pads = c.builder.constantsOf(c.x(1))
  if (pads?.every((pad) => pad === 0) === true) return c.g
  const axes = padAxes(c)
  if (pads?.every((pad) => pad >= 0) === true && axes !== undefined) return cutOff(c, pads, axes)
  // 0 - pad: a negative zero is no integer
  const negative = pads
    ? c.builder.integers(pads.map((pad) => 0 - pad))
    : c.builder.add('Sub', [c.builder.integers([0]), c.x(1)])
  return c.builder.add('Pad', [c.g, negative, '', ...(c.x(3) === '' ? [] : [c.x(3)])])
}

/** What was only added is cut by a Slice, which more runtimes know than negative padding. */
function cutOff({ builder, g }: VjpContext, pads: readonly number[], axes: readonly number[]): string {
  const cuts = axes
    .map((axis, i) => ({ axis, before: pads[i]!, after: pads[axes.length + i]! }))
    .filter(({ before, after }) => before > 0 || after > 0)
  const ends = cuts.map(({ after }) => (after > 0 ? -after : END_OF_ANY))
  return builder.add('Slice', [
    g,
    builder.integers(cuts.map(({ before }) => before)),
    builder.integers(ends),
    builder.integers(cuts.map(({ axis }) => axis)),
  ])
}

/** The padding's own number gets the sum over all that was padded. */
function paddingSum(c: VjpContext): string {
  const { builder } = c
  const dtype = builder.dtype(c.g)
  const rest = c.x(3) === '' ? [] : [c.x(3)]
  const added = builder.add('Pad', [builder.zerosLike(c.x(0)), c.x(1), builder.scalar(1, dtype), ...rest])
  const padded = builder.add('ReduceSum', [builder.mul(c.g, added)], { keepdims: 0 })
  return builder.reshapeLike(padded, c.x(2))
}

function copiesBack(c: VjpContext, mode: string): string {
  const pads = c.builder.constantsOf(c.x(1))
  const axes = padAxes(c)
  if (pads === undefined || axes === undefined) return copiesBackAtRun(c, mode)
  return axes.reduce(
    (g, axis, i) => axisBack(c, g, { axis, begin: pads[i]!, end: pads[axes.length + i]! }, mode),
    c.g,
  )
}

function padAxes(c: VjpContext): readonly number[] | undefined {
  const rank = c.shape(0).length
  if (c.x(3) === '') return Array.from({ length: rank }, (_, axis) => axis)
  return c.builder.constantsOf(c.x(3))?.map((axis) => normalizeAxis(axis, rank))
}

/** Pads that are known at run time only: the positions are padded in the same way, and say where each element is from. */
function copiesBackAtRun(c: VjpContext, mode: string): string {
  const { builder } = c
  const rest = c.x(3) === '' ? [] : ['', c.x(3)]
  const from = builder.add('Pad', [positionsOf(builder, c.x(0)), c.x(1), ...rest], { mode })
  return scatterFlat(builder, c.g, from, c.x(0))
}

/** The pads of one axis. Negative ones cut, before anything is copied (as ONNX Runtime does). */
interface Sides {
  readonly axis: number
  readonly begin: number
  readonly end: number
}

/** Padding with copies along one axis, undone: the middle, and what its copies at both ends add to it. */
function axisBack(c: VjpContext, g: string, { axis, begin, end }: Sides, mode: string): string {
  if (begin === 0 && end === 0) return g
  const { builder } = c
  const integers = new Integers(builder)
  const [front, back] = [Math.max(begin, 0), Math.max(end, 0)]
  const size = integers.add(integers.size(c.x(0), axis), Math.min(begin, 0) + Math.min(end, 0))
  if (mode === 'wrap' && typeof size === 'number' && Math.max(front, back) > size)
    throw new RuleRefusal('it wraps around more than once, which ONNX Runtime does not compute')
  const copies = COPIES[mode]
  if (copies === undefined) throw new RuleRefusal(`its mode '${mode}' is not known`)
  const returned = (copy: Copy, count: number): string[] => {
    if (count === 0) return []
    const { value, before, after } = copy({ builder, integers, g, axis, count, size })
    return [withZerosAround(builder, value, [{ axis, before, after }])]
  }
  const middle = cut(builder, g, axis, front, back === 0 ? END_OF_ANY : -back)
  const sum = [...returned(copies.front, front), ...returned(copies.back, back)].reduce(
    (total, part) => builder.add('Add', [total, part]),
    middle,
  )
  return withZerosAround(builder, sum, [{ axis, before: Math.max(-begin, 0), after: Math.max(-end, 0) }])
}

function cut(builder: GraphBuilder, g: string, axis: number, from: number, to: number, step = 1): string {
  const [starts, ends, axes, steps] = [from, to, axis, step].map((value) => builder.integers([value]))
  return builder.add('Slice', [g, starts!, ends!, axes!, steps!])
}

/** `count` copies at one end of a cotangent, of an axis that had `size` elements. */
interface Copied {
  readonly builder: GraphBuilder
  readonly integers: Integers
  readonly g: string
  readonly axis: number
  readonly count: number
  readonly size: Integer
}

/** The cotangents of the copies in the order of what they were copied from, and how far from its ends that stands. */
type Copy = (copied: Copied) => Omit<Margin, 'axis'> & { readonly value: string }

const COPIES: Readonly<Record<string, { readonly front: Copy; readonly back: Copy }>> = {
  // counted from the border inwards, the border itself left out
  reflect: {
    front: ({ builder, integers, g, axis, count, size }) => ({
      value: cut(builder, g, axis, count - 1, -END_OF_ANY, -1),
      before: 1,
      after: integers.sub(size, count + 1),
    }),
    back: ({ builder, integers, g, axis, count, size }) => ({
      value: cut(builder, g, axis, -1, -count - 1, -1),
      before: integers.sub(size, count + 1),
      after: 1,
    }),
  },
  // all of the border
  edge: {
    front: ({ builder, integers, g, axis, count, size }) => ({
      value: builder.sum(cut(builder, g, axis, 0, count), [axis], true),
      before: 0,
      after: integers.sub(size, 1),
    }),
    back: ({ builder, integers, g, axis, count, size }) => ({
      value: builder.sum(cut(builder, g, axis, -count, END_OF_ANY), [axis], true),
      before: integers.sub(size, 1),
      after: 0,
    }),
  },
  // those in front of the end, those behind of the start (Pad 19)
  wrap: {
    front: ({ builder, integers, g, axis, count, size }) => ({
      value: cut(builder, g, axis, 0, count),
      before: integers.sub(size, count),
      after: 0,
    }),
    back: ({ builder, integers, g, axis, count, size }) => ({
      value: cut(builder, g, axis, -count, END_OF_ANY),
      before: 0,
      after: integers.sub(size, count),
    }),
  },
}

/**
 * CenterCropPad 18 as one Pad: half of what an axis lacks in front (rounded towards zero), the rest behind; what it
 * has too much is cut in the same way.
 */
export function centered(c: RewriteContext): string {
  const { builder } = c
  const integers = new Integers(builder)
  const rank = c.shape(0).length
  const axes =
    intsAttribute(c.node, 'axes')?.map((axis) => normalizeAxis(axis, rank)) ??
    Array.from({ length: rank }, (_, axis) => axis)
  const wanted = integers.elements(builder.cast(c.x(1), 'int64'), axes.length)
  const margins = axes.map((axis, i): Margin => {
    const lacking = integers.sub(wanted[i]!, integers.size(c.x(0), axis))
    const before = integers.div(lacking, 2)
    return { axis, before, after: integers.sub(lacking, before) }
  })
  return withZerosAround(builder, c.x(0), margins)
}
