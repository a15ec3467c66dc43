import type { DType, TypedArray } from '../tensor.js'

/** The order of an image's axes. */
export type ImageLayout = 'channels-last' | 'channels-first'

/** Where elements lie in a file as they do in memory: little-endian, row-major, one after the other. */
export interface Place {
  readonly path: string
  /** Bytes before the first element. */
  readonly offset: number
}

/** An array in a file: what its header says, and its elements when asked for. */
export interface ReadableArray {
  readonly name: string
  /** The file, and the member within it, for messages: `train.npz: x`. */
  readonly where: string
  readonly dtype: DType
  readonly shape: readonly number[]
  /** The order of the elements that `blocks` yields. */
  readonly order: 'row-major' | 'column-major'
  /** Where the channels of images are, if these are known to be images: [N, H, W, C] or [N, C, H, W]. */
  readonly layout?: ImageLayout
  /** What a user should know who uses this array. */
  readonly notes?: readonly string[]
  /** Where the elements lie uncompressed in a file, if they do. */
  readonly place?: Place | undefined
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
