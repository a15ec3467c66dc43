import { DataError } from '../errors.js'
import { elementCount, formatShape } from '../tensor.js'
import type { Dim } from './needs.js'

/** The shape that samples are given to the network in, and a note where it is not the file's. */
export interface Fit {
  readonly sampleShape: readonly number[]
  readonly note?: string
}

/**
 * Fits the shape of one stored sample to the dims that are declared for it (both without the batch axis). Only
 * changes that leave the order of elements alone are made: to or from one flat axis, and axes of size 1.
 * @param what the array and what it is for, for messages
 * @throws DataError with both shapes, and the line of numpy that helps where axes are only in another order
 */
export function fitSampleShape(stored: readonly number[], declared: readonly Dim[], what: string): Fit {
  const direct = match(stored, declared)
  if (direct !== undefined) return { sampleShape: direct }
  const reshaped = flatten(stored, declared) ?? squeeze(stored, declared)
  if (reshaped !== undefined) {
    const note = `${what}: samples of ${formatShape(stored)} are taken as ${formatShape(reshaped)}`
    return { sampleShape: reshaped, note }
  }
  throw new DataError(
    `${what}: a sample is ${formatShape(stored)}, the network takes ${formatShape(declared)}${remedy(stored, declared)}`,
  )
}

/** The stored shape where each axis has the declared size; a named size takes any. */
function match(stored: readonly number[], declared: readonly Dim[]): readonly number[] | undefined {
  const fits =
    stored.length === declared.length &&
    declared.every((dim, axis) => typeof dim === 'string' || dim === stored[axis])
  return fits ? stored : undefined
}

function flatten(stored: readonly number[], declared: readonly Dim[]): readonly number[] | undefined {
  const sizes = declared.filter((dim) => typeof dim === 'number')
  const isFlat = stored.length <= 1 || declared.length <= 1
  return isFlat && sizes.length === declared.length && elementCount(sizes) === elementCount(stored)
    ? sizes
    : undefined
}

/** The declared dims, where both sides agree once axes of size 1 are left away. */
function squeeze(stored: readonly number[], declared: readonly Dim[]): readonly number[] | undefined {
  const sizes = stored.filter((size) => size !== 1)
  const matched = match(
    sizes,
    declared.filter((dim) => dim !== 1),
  )
  if (matched === undefined) return undefined
  const rest = [...matched]
  return declared.map((dim) => (dim === 1 ? 1 : rest.shift()!))
}

function remedy(stored: readonly number[], declared: readonly Dim[]): string {
  const axes = permutation(stored, declared)
  if (axes === undefined) return ''
  const order = [0, ...axes.map((axis) => axis + 1)].join(', ')
  return `; the axes are in another order (channels last or first): save np.ascontiguousarray(x.transpose(${order}))`
}

/** For each declared axis the stored axis of its size, in order where sizes repeat; undefined where there is none. */
function permutation(stored: readonly number[], declared: readonly Dim[]): number[] | undefined {
  if (stored.length !== declared.length) return undefined
  const free = new Set(stored.keys())
  const axes: number[] = []
  for (const dim of declared) {
    const axis = [...free].find((candidate) => stored[candidate] === dim)
    if (axis === undefined) return undefined
    free.delete(axis)
    axes.push(axis)
  }
  return axes
}
