import { normalizeAxis } from '../../onnx/shapes/dims.js'
import { END_OF_ANY } from '../../onnx/shapes/slice.js'
import { Integers } from '../integers.js'
import type { Integer } from '../integers.js'
import type { VjpContext } from '../rule.js'
import { positionsOf, scatterFlat, withZerosAround } from './placing.js'
import type { Margin } from './placing.js'

/** What a slice does along one axis. */
interface Cut {
  readonly axis: number
  readonly start: Integer
  readonly end: Integer
  /** Known, never 0. */
  readonly step: number
}

/**
 * Undoes a slice: its elements go back to where they were, zeros elsewhere. With known axes and steps that is padding
 * (elements that a step left apart are spread first), whatever is known of sizes and bounds; else every element is
 * placed by its position.
 */
export function sliceBack(c: VjpContext): string {
  const cuts = cutsOf(c)
  if (cuts === undefined) return scatteredBack(c)
  const { builder } = c
  const flipped = flip(c, c.g, cuts)
  const integers = new Integers(builder)
  const margins = cuts.map((cut) => marginOf(c, integers, cut))
  return withZerosAround(builder, spread(c, flipped, cuts), margins)
}

function cutsOf(c: VjpContext): Cut[] | undefined {
  const { builder } = c
  const rank = builder.rank(c.x(0))
  const count = axesCount(c)
  if (rank === undefined || count === undefined) return undefined
  const axes = c.x(3) === '' ? Array.from({ length: count }, (_, i) => i) : builder.constantsOf(c.x(3))
  const steps = c.x(4) === '' ? axes?.map(() => 1) : builder.constantsOf(c.x(4))
  if (axes === undefined || steps === undefined) return undefined
  const integers = new Integers(builder)
  const [starts, ends] = [integers.elements(c.x(1), count), integers.elements(c.x(2), count)]
  return axes.map((axis, i) => ({
    axis: normalizeAxis(axis, rank),
    start: starts[i]!,
    end: ends[i]!,
    step: steps[i]!,
  }))
}

/** How many axes are sliced, from whichever input says it. */
function axesCount(c: VjpContext): number | undefined {
  const sizes = [1, 2, 3, 4].map((input) => c.x(input) !== '' && c.builder.shapeOf(c.x(input))?.[0])
  return sizes.find((size) => typeof size === 'number')
}

/** Elements that a negative step took backwards, in ascending order. */
function flip(c: VjpContext, g: string, cuts: readonly Cut[]): string {
  const axes = cuts.filter(({ step }) => step < 0).map(({ axis }) => axis)
  if (axes.length === 0) return g
  const all = (value: number): string => c.builder.integers(axes.map(() => value))
  return c.builder.add('Slice', [g, all(-1), all(-END_OF_ANY), c.builder.integers(axes), all(-1)])
}

/** Along an axis with a step of 2 or more, every element is followed by the zeros of those that were passed over. */
function spread(c: VjpContext, g: string, cuts: readonly Cut[]): string {
  const { builder } = c
  const apart = cuts.filter(({ step }) => Math.abs(step) > 1).toSorted((a, b) => a.axis - b.axis)
  if (apart.length === 0) return g
  const integers = new Integers(builder)
  const rank = builder.rank(c.x(0))!
  const sizes = Array.from({ length: rank }, (_, axis): Integer => {
    const step = apart.find((cut) => cut.axis === axis)?.step ?? 1
    return integers.mul(integers.size(c.g, axis), Math.abs(step))
  })
  // an axis of size 1 behind each of them, counted among those that were put in before; of the last axis in front of
  // it, to be exchanged with it afterwards: zeros between single elements would be written one by one
  const last = apart.at(-1)!.axis === rank - 1
  const added = apart.map(({ axis }, i) => (axis === rank - 1 ? axis : axis + 1) + i)
  const column = builder.add('Unsqueeze', [g, builder.integers(added)])
  const margins = apart.map(({ step }, i) => ({ axis: added[i]!, before: 0, after: Math.abs(step) - 1 }))
  const spaced = withZerosAround(builder, column, margins)
  const order = Array.from({ length: rank + apart.length }, (_, axis) => axis)
  const exchanged = last ? [...order.slice(0, -2), ...order.slice(-2).reverse()] : order
  return builder.reshapeTo(builder.transpose(spaced, exchanged), integers.vector(sizes))
}

/** The zeros in front of and behind what was kept; where it was spread, the last zeros may be too many and are cut. */
function marginOf(c: VjpContext, integers: Integers, { axis, start, end, step }: Cut): Margin {
  const size = integers.size(c.x(0), axis)
  const kept = integers.size(c.g, axis)
  const spanned = integers.mul(kept, Math.abs(step))
  const open = typeof end === 'number' && end >= END_OF_ANY
  const first = integers.fromStart(start, size)
  let before: Integer
  if (step === 1 && open) before = integers.sub(size, kept)
  else if (step > 0) before = start === 0 ? 0 : integers.clamp(first, 0, size)
  else {
    const highest = integers.clamp(first, 0, integers.sub(size, 1))
    const lowest = integers.sub(highest, integers.mul(integers.sub(kept, 1), -step))
    before = integers.min(lowest, size)
  }
  return { axis, before, after: integers.sub(integers.sub(size, before), spanned) }
}

/** Any other slice: the positions of the elements that it kept, found by slicing the positions themselves. */
function scatteredBack(c: VjpContext): string {
  const { builder } = c
  const kept = builder.add('Slice', [positionsOf(builder, c.x(0)), ...c.node.inputs.slice(1)])
  return scatterFlat(builder, c.g, kept, c.x(0), true)
}
