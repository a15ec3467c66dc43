import { elementCount } from '../tensor.js'

/** A box of an array: `count` elements along each axis from `offset`. */
export interface Box {
  readonly offset: readonly number[]
  readonly count: readonly number[]
}

/**
 * Cuts a box into boxes of at most `most` elements, at the borders of chunks, so that each chunk is unpacked once; a
 * single chunk is not cut.
 * @param chunks the chunks' extents; empty where the array lies in one piece
 */
export function* cutBox(box: Box, chunks: readonly number[], most: number): Generator<Box> {
  const { offset, count } = box
  const total = elementCount(count)
  if (total === 0) return
  const chunkOf = (axis: number, index: number): number => Math.floor(index / (chunks[axis] ?? 1))
  const axis =
    total <= most
      ? -1
      : count.findIndex((size, i) => chunkOf(i, offset[i]!) !== chunkOf(i, offset[i]! + size - 1))
  if (axis < 0) {
    yield box
    return
  }
  const size = count[axis]!
  const chunk = chunks[axis] ?? 1
  const thickness = Math.max(1, Math.floor((most * size) / total / chunk)) * chunk
  for (let done = 0; done < size;) {
    const begin = offset[axis]! + done
    const taken = Math.min(thickness - (begin % chunk), size - done)
    yield* cutBox({ offset: offset.with(axis, begin), count: count.with(axis, taken) }, chunks, most)
    done += taken
  }
}

/** Puts the bytes of a box where they belong in the bytes of the box that it was cut from. */
export function placeBox(
  target: Uint8Array,
  whole: Box,
  source: Uint8Array,
  part: Box,
  bytesPerElement: number,
): void {
  // the axes from `inner` on are whole, so that one run holds them and the axis before
  const firstWhole = whole.count.findLastIndex((size, axis) => size !== part.count[axis]) + 1
  const inner = Math.max(0, firstWhole - 1)
  const run = elementCount(part.count.slice(inner)) * bytesPerElement
  const outer = part.count.slice(0, inner)
  for (let i = 0; i < elementCount(outer); i += 1) {
    const start = startOf(i, outer, whole, part) * bytesPerElement
    target.set(source.subarray(i * run, (i + 1) * run), start)
  }
}

/** The element of the whole box at which run `i` of the part starts. */
function startOf(i: number, outer: readonly number[], whole: Box, part: Box): number {
  let rest = i
  const index = whole.count.map(() => 0)
  for (let axis = outer.length - 1; axis >= 0; axis -= 1) {
    index[axis] = rest % outer[axis]!
    rest = Math.floor(rest / outer[axis]!)
  }
  return whole.count.reduce(
    (start, size, axis) => start * size + index[axis]! + part.offset[axis]! - whole.offset[axis]!,
    0,
  )
}
