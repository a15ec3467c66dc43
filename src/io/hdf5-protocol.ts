import type { DType } from '../tensor.js'

/** Where the bytes of an HDF5 file lie: a part of a file (all of it, or an entry of an archive), or memory. */
export type Hdf5Source =
  | { readonly path: string; readonly offset: number; readonly length: number }
  | { readonly bytes: Uint8Array<ArrayBuffer> }

/** What is to be learnt of a file. */
export interface DescribeRequest {
  readonly source: Hdf5Source
  /** Whether to look into groups; else only the root is described. */
  readonly nested: boolean
  /** The names of the attributes of groups that are read where they hold text. */
  readonly attributes: RegExp
  /** Paths that are passed over, with all that lies under them. */
  readonly skip: RegExp
}

/** A box of a dataset: `count` elements along each axis from `offset`. */
export interface ReadRequest {
  readonly source: Hdf5Source
  /** The dataset's path in the file, without a leading slash. */
  readonly dataset: string
  readonly offset: readonly number[]
  readonly count: readonly number[]
  readonly bytesPerElement: number
}

/** A dataset of an HDF5 file. `dtype` is absent for types that are no numbers (strings, compounds). */
export interface Hdf5Dataset {
  /** Its path in the file, without a leading slash: at the root its name. */
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: DType | undefined
  /** HDF5's class of its type and the size of an element: `float (4 bytes)`, `opaque (2 bytes)`. */
  readonly type: string
  /** Whether its values may take less room in the file than in memory: chunks may be packed, or never written. */
  readonly isChunked: boolean
}

/** A group, by its path without a leading slash (the root's is empty), and its attributes that hold text. */
export interface Hdf5Group {
  readonly path: string
  readonly attributes: ReadonlyMap<string, readonly string[]>
}

/** What an HDF5 file holds, in the file's order. Links to other places are left out. */
export interface Hdf5Description {
  readonly groups: readonly Hdf5Group[]
  readonly datasets: readonly Hdf5Dataset[]
}

export type Hdf5Request =
  ({ readonly kind: 'describe' } & DescribeRequest) | ({ readonly kind: 'read' } & ReadRequest)

export type Hdf5Reply =
  | { readonly description: Hdf5Description }
  | { readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly failure: string }

/** What the thread is started with: a counter (Int32) that it moves whenever it gets on, seen by the one who waits. */
export interface Hdf5WorkerData {
  readonly progress: SharedArrayBuffer
}
