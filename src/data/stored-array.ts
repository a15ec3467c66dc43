import type { StoredArray } from '../io/stored-array.js'
import { formatShape } from '../tensor.js'

export type { ReadableArray, StoredArray } from '../io/stored-array.js'

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
