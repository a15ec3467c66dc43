import type { ReadableArray, StoredArray } from '../io/stored-array.js'
import { formatShape } from '../tensor.js'

export type { Place, ReadableArray, RefusedArray, StoredArray } from '../io/stored-array.js'

/** The arrays of a data file or folder. */
export interface ArrayFile {
  readonly path: string
  readonly arrays: readonly StoredArray[]
  /** Why an array that is looked for may be missing: `no labels beside it (train-labels-idx1-ubyte)`. */
  readonly hint?: string
  /**
   * For tables, whose columns are one array each: columns side by side as one array [N, columns]. Absent where arrays
   * don't belong together in this way.
   */
  stack?(columns: readonly ReadableArray[]): ReadableArray
  /** Begins to hash what was opened; the function returned gives SHA-256 (hex) when that is done. */
  beginHash(): () => Promise<string>
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
