import type { Dim } from '../graph.js'

/** Ends from here on mean the end of the axis: exporters write the largest 32-bit or 64-bit integer. */
const END_OF_ANY = 2 ** 31 - 1

/**
 * The size that is left of an axis; of a symbolic one only where the whole of it is kept. Undefined where that is
 * not known.
 */
export function slicedSize(size: Dim, start?: number, end?: number, step?: number): Dim | undefined {
  if (start === undefined || end === undefined || step === undefined) return undefined
  if (typeof size === 'string') return start === 0 && step === 1 && end >= END_OF_ANY ? size : undefined
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
