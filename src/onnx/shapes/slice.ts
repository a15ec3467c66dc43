import type { Dim, Shape } from '../graph.js'
import type { NodeView } from '../infer.js'
import { normalizeAxis } from './dims.js'
import type { ShapeRule } from './rule.js'

/** Ends from here on mean the end of the axis: exporters write the largest 32-bit or 64-bit integer. */
export const END_OF_ANY = 2 ** 31 - 1

/**
 * The size that is left of an axis; of a symbolic one only where the whole of it is kept, forwards or backwards.
 * Undefined where that is not known.
 */
function slicedSize(size: Dim, start?: Dim, end?: Dim, step?: Dim): Dim | undefined {
  if (start === 0 && step === 1 && end === size) return size
  if (typeof start !== 'number' || typeof end !== 'number' || typeof step !== 'number') return undefined
  if (typeof size === 'string') {
    const forwards = start === 0 && step === 1 && end >= END_OF_ANY
    const backwards = (start === -1 || start >= END_OF_ANY) && step === -1 && end <= -END_OF_ANY
    return forwards || backwards ? size : undefined
  }
  const [from, to] = sliceBounds(size, start, end, step)
  return Math.max(0, Math.ceil((to - from) / step))
}

/** Slice's start and end clamped to an axis of known size (ONNX Slice 13: negative steps end before the first element). */
export function sliceBounds(
  size: number,
  start: number,
  end: number,
  step: number,
): [from: number, to: number] {
  const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high)
  const from = start < 0 ? start + size : start
  const to = end < 0 ? end + size : end
  return step > 0
    ? [clamp(from, 0, size), clamp(to, 0, size)]
    : [clamp(from, 0, size - 1), clamp(to, -1, size - 1)]
}

/** Slice 13: every sliced axis as far as its bounds are known, the others as they are. */
export const slice: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  return [{ dtype, shape: shape && slicedShape(view, shape) }]
}

function slicedShape(view: NodeView, shape: Shape): Shape {
  const given = (input: number): boolean => (view.node.inputs[input] ?? '') !== ''
  const count = [1, 2, 3, 4].map((input) => view.shape(input)?.[0]).find((size) => typeof size === 'number')
  const axes =
    given(3) || count === undefined || count > shape.length
      ? view.constants(3)
      : Array.from({ length: count }, (_, i) => i)
  if (axes === undefined) return shape.map(() => view.fresh())
  const result = [...shape]
  axes.forEach((axis, i) => {
    const at = normalizeAxis(axis, shape.length)
    const [start, end] = [view.integers(1)?.[i], view.integers(2)?.[i]]
    result[at] = slicedSize(shape[at]!, start, end, given(4) ? view.integers(4)?.[i] : 1) ?? view.fresh()
  })
  return result
}
