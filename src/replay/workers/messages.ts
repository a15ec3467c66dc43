import type { Placement } from '../../engines/devices/placement.js'
import type { Terms } from '../../engines/engine.js'
import type { Cut } from '../../engines/micro-batches.js'
import type { EngineSetup } from '../../engines/setup.js'
import type { DType } from '../../tensor.js'
import type { WeightElements } from '../store/store.js'

export const ARRAY_NAMES = [
  'Float64Array',
  'Float32Array',
  'BigInt64Array',
  'BigUint64Array',
  'Int32Array',
  'Int16Array',
  'Int8Array',
  'Uint32Array',
  'Uint16Array',
  'Uint8Array',
] as const
export type ArrayName = (typeof ARRAY_NAMES)[number]

/** Samples in a file: their values in the machine's byte order, one behind the other. */
export interface SampleFile {
  readonly dtype: DType
  readonly sampleShape: readonly number[]
  readonly path: string
  /** Bytes before the first value. */
  readonly offset: number
  /** The class of typed array that holds the values. */
  readonly array: ArrayName
}

/** The data of one split as other processes find it. */
export interface SplitFiles {
  readonly samples: number
  readonly inputs: Readonly<Record<string, SampleFile>>
  readonly target?: SampleFile
  /** Groups of equal size whose sums are told apart, where the samples were drawn at random. */
  readonly groups?: number
}

/** How the parameters lie in files, and which of them come first and are differentiated. */
export interface ParameterFacts {
  readonly tensors: readonly { readonly name: string; readonly size: number }[]
  /** The first so many tensors; gradients and LCA hold these only. */
  readonly allocated: number
  readonly weightElements: WeightElements
}

/** What a worker process needs to begin. */
export interface WorkerSetup {
  /** Folder of the replay's arrays. */
  readonly store: string
  /** Folder for files of the engine's own; what a killed process leaves there goes when the replay ends. */
  readonly scratch: string
  readonly engine: EngineSetup
  /** Whether every micro-batch has one size (Engine.fixedBatch). */
  readonly fixedBatch: boolean
  readonly threads: number
  readonly parameters: ParameterFacts
  readonly splits: readonly SplitFiles[]
  /** Bytes of samples that a worker may keep in memory; larger data are read from the files. */
  readonly keepBytes: number
}

/** A movement, from one checkpoint to another. */
export type Movement = readonly [from: number, to: number]

/** A point at which a gradient is wanted. */
export interface PointTask {
  /** Index of the split. */
  readonly split: number
  /** Checkpoints at the ends of the segment, and the place between them: from + a (to - from). */
  readonly from: number
  readonly to: number
  readonly a: number
  readonly cut: Cut
  /** File of the store that the gradient of the mean loss is written to. */
  readonly out: string
  /** Movements that each group's gradient is multiplied with. */
  readonly movements: readonly Movement[]
  /**
   * Numbers of samples: then each is run by itself, and the file gets the sum over them of the squared gradient of the
   * sample's numerator over its denominator (fisher.ts). It is one group.
   */
  readonly squaresOf?: readonly number[]
}

/** A part of a task: some of its groups of micro-batches. The sums of single groups go to files of their own. */
export interface TaskPart {
  readonly task: PointTask
  readonly first: number
  readonly last: number
  readonly whole: boolean
}

/** The sums of one group of micro-batches. */
export interface GroupResult extends Terms {
  /** By movement, then by tensor: the summed gradient of the numerators times the movement. */
  readonly products: readonly (readonly number[])[]
}

export type ToWorker =
  | { readonly kind: 'setup'; readonly setup: WorkerSetup }
  | { readonly kind: 'part'; readonly id: number; readonly part: TaskPart }

export type FromWorker =
  | { readonly kind: 'ready' }
  /** Where the engine's nodes run, when it knows. */
  | { readonly kind: 'placement'; readonly placement: Placement }
  /** Which way it sums micro-batches, when it has measured. */
  | { readonly kind: 'loops'; readonly loops: boolean }
  | { readonly kind: 'progress'; readonly id: number; readonly samples: number }
  | { readonly kind: 'done'; readonly id: number; readonly groups: readonly GroupResult[] }
  | { readonly kind: 'failed'; readonly id?: number; readonly failure: Failure }

/** An error on its way between processes. */
export interface Failure {
  readonly message: string
  /** Whether memory was the reason, so that smaller micro-batches may help. */
  readonly memory: boolean
  /** Whether the message is for users; the others are bugs. */
  readonly expected: boolean
  /** Whether it is the device that can't be had as asked for. */
  readonly device: boolean
}

/** The file that holds the sum of one group. */
export function groupFile(out: string, group: number): string {
  return `${out}.group-${group}`
}
