import { constants } from 'node:buffer'

import { DataError } from '../errors.js'
import { elementCount, formatShape, type TypedArray } from '../tensor.js'
import type { ReadableArray } from './stored-array.js'

/** Changes one stored element to what the network takes; `position` is its row-major position, for messages. */
export type Convert<T> = (value: number | bigint, position: number) => T

/** Memory for the converted array. */
export function allocate<T>(array: ReadableArray, make: (length: number) => T): T {
  const count = elementCount(array.shape)
  try {
    if (count > constants.MAX_LENGTH) throw new RangeError('too long')
    return make(count)
  } catch {
    throw new DataError(
      `${array.where}: ${count} elements are more than memory holds; use fewer samples, or several files as splits`,
    )
  }
}

/** Reads an array into `target`, row-major, converting each element on the way: no other copy of it is made. */
export async function fill<T extends number | bigint>(
  target: { [index: number]: T },
  array: ReadableArray,
  convert: Convert<T>,
): Promise<void> {
  const place = array.order === 'row-major' ? identity : columnMajor(array.shape)
  let read = 0
  for await (const block of array.blocks()) {
    convertBlock(block, (value) => {
      const position = place(read++)
      target[position] = convert(value, position)
    })
  }
  if (read !== elementCount(array.shape)) {
    throw new DataError(
      `${array.where}: truncated: ${read} of ${elementCount(array.shape)} elements are there`,
    )
  }
}

function convertBlock(block: TypedArray, take: (value: number | bigint) => void): void {
  for (const value of block) take(value)
}

const identity = (position: number): number => position

/** Row-major positions of elements that come in column-major order: the first axis runs fastest. */
function columnMajor(shape: readonly number[]): (position: number) => number {
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)))
  return (position) => {
    let rest = position
    let place = 0
    for (const [axis, size] of shape.entries()) {
      place += (rest % size) * strides[axis]!
      rest = Math.floor(rest / size)
    }
    return place
  }
}

/** The index of a row-major position as a message shows it: `[3, 17]`. */
export function showIndex(position: number, shape: readonly number[]): string {
  const index: number[] = []
  let rest = position
  for (const size of [...shape].reverse()) {
    index.unshift(rest % size)
    rest = Math.floor(rest / size)
  }
  return `[${index.join(', ')}] of ${formatShape(shape)}`
}
