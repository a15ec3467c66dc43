import { formatShape, type DType, type TypedArray } from '../tensor.js'

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

/** The arrays of a data file or folder. */
export interface ArrayFile {
  readonly path: string
  readonly arrays: readonly StoredArray[]
  sha256(): Promise<string>
  close(): void
}

/** Arrays as a message lists them: `x float32 2000 x 784, y int64 2000`. */
export function listArrays(arrays: readonly StoredArray[]): string {
  if (arrays.length === 0) return 'no arrays'
  return arrays
    .map(
      (array) => `${array.name} ${'dtype' in array ? array.dtype : array.type} ${formatShape(array.shape)}`,
    )
    .join(', ')
}
