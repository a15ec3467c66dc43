import type { DType, TypedArray } from '../tensor.js'
import type { Place } from '../io/stored-array.js'
import type { Transform } from './transform.js'

/** An axis of a network's input: its size, or the name of a size that only the data fixes. */
export type Dim = number | string

/** An input that the network takes; `dims[0]` is the batch axis. */
export interface InputSpec {
  readonly name: string
  readonly dtype: DType
  readonly dims: readonly Dim[]
}

/** What the loss compares the prediction with. */
export type TargetSpec =
  /** Class indices, one for each position of a sample (none: one per sample). */
  | {
      readonly kind: 'labels'
      /** Their number, where it is known. */
      readonly classes?: number
      readonly positions: readonly Dim[]
      /** A label that stands for a position without one. */
      readonly ignored?: number
      /** How much the label of each class counts, where they differ. */
      readonly weights?: readonly number[]
    }
  /** Numbers in the given dims, batch axis first; float32 unless said otherwise. */
  | { readonly kind: 'values'; readonly dims: readonly Dim[]; readonly dtype?: DType }

export interface DataNeeds {
  readonly inputs: readonly InputSpec[]
  readonly target?: TargetSpec
}

/** One array of the data: row-major, the first axis counts samples, each sample of shape `sampleShape`. */
export interface Samples {
  readonly dtype: DType
  readonly sampleShape: readonly number[]
  readonly data: TypedArray
  /** Where the very same bytes lie in a file, if they do. */
  readonly place?: Place
}

/** The data of one split, converted to what the network takes. */
export interface DataSet {
  readonly path: string
  readonly samples: number
  readonly inputs: ReadonlyMap<string, Samples>
  readonly target?: Samples
  /** What was done to the data on the way: scaling, reshaping, conversions that a user should know of. */
  readonly notes: readonly string[]
  /**
   * SHA-256 (hex) of the file; of several files (a folder, images and labels) the hash of their names and hashes. It is
   * computed while other work goes on, so ask late.
   */
  readonly sha256: () => Promise<string>
}

export const SCALES = ['auto', '255', 'none'] as const
/** Whether inputs are divided by 255: uint8 only, always, or never. Targets are divided only if they are an input too. */
export type Scale = (typeof SCALES)[number]

export interface DataOptions {
  /** Name of the array for the network's input. */
  readonly input?: string
  /** Name of the array for the target. */
  readonly target?: string
  /** Names of the arrays for a network of several inputs, by the inputs' names. */
  readonly inputs?: Readonly<Record<string, string>>
  readonly scale: Scale
  /** Normalizes the input, after it was divided by 255. */
  readonly transform?: Transform
  /** The tokens of a sequence, where one long array of tokens is to be cut into them. */
  readonly context?: number
}
