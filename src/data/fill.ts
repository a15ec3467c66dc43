import { constants } from 'node:buffer'

import { DataError } from '../errors.js'
import { withFile } from '../io/ranged-file.js'
import { BYTES_PER_ELEMENT, elementCount, formatShape, type TypedArray } from '../tensor.js'
import type { Place, ReadableArray } from './stored-array.js'

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
    throw wrongCount(array, read)
  }
}

function wrongCount({ where, shape }: ReadableArray, read: number): DataError {
  return new DataError(`${where}: truncated: ${read} of ${elementCount(shape)} elements are there`)
}

/** Bytes that are read at once; while they are looked at, the next ones are read. */
const READ_AT_ONCE = 4 * 2 ** 20

/**
 * Reads a row-major array into `target`, which has the type that its elements are decoded to: as it is, without a look at
 * each element but for `check`.
 * @param check is given ranges of positions in `target`, one after the other, once they are filled
 */
export async function copy(
  target: TypedArray,
  array: ReadableArray,
  check: (from: number, to: number) => void = () => undefined,
): Promise<void> {
  const { place, dtype } = array
  if (place !== undefined && BYTES_PER_ELEMENT[dtype] === target.BYTES_PER_ELEMENT)
    return copyFromPlace(target, place, check)
  let read = 0
  for await (const block of array.blocks()) {
    const end = read + block.length
    if (end > target.length) throw wrongCount(array, end)
    setAll(target, block, read)
    check(read, end)
    read = end
  }
  if (read !== target.length) throw wrongCount(array, read)
}

async function copyFromPlace(
  target: TypedArray,
  { path, offset }: Place,
  check: (from: number, to: number) => void,
): Promise<void> {
  const size = target.BYTES_PER_ELEMENT
  const step = READ_AT_ONCE / size
  await withFile(path, DataError, async (file) => {
    const read = (from: number): Promise<void> => {
      const length = Math.min(step, target.length - from) * size
      return file.readInto(
        new Uint8Array(target.buffer, target.byteOffset + from * size, length),
        offset + from * size,
      )
    }
    let next = read(0)
    for (let from = 0; from < target.length; from += step) {
      await next
      const to = Math.min(target.length, from + step)
      if (to < target.length) next = read(to)
      // a read that is under way when a check fails is waited for before the file is closed
      try {
        check(from, to)
      } catch (error) {
        await next.catch(() => undefined)
        throw error
      }
    }
    await next
  })
}

/** `set` between arrays of one type, which the compiler can't see to be one. */
function setAll(target: TypedArray, block: TypedArray, at: number): void {
  ;(target as Float64Array).set(block as Float64Array, at)
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
