import type { DType, TypedArray } from '../tensor.js'

/** An array in a file: what its header says, and its elements when asked for. */
export interface ReadableArray {
  readonly name: string
  /** The file, and the member within it, for messages: `train.npz: x`. */
  readonly where: string
  readonly dtype: DType
  readonly shape: readonly number[]
  /** The order of the elements that `blocks` yields. */
  readonly order: 'row-major' | 'column-major'
  /** All elements, in blocks of any size. */
  blocks(): AsyncIterable<TypedArray>
}

/** An array of a type that is not read (Python objects, text, complex numbers); it matters only if it is chosen. */
export interface RefusedArray {
  readonly name: string
  readonly shape: readonly number[]
  /** The type as the file calls it. */
  readonly type: string
  readonly refusal: string
}

export type StoredArray = ReadableArray | RefusedArray
