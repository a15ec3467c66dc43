import type { Placement } from '../engines/devices/placement.js'
import type { TableEntry } from '../tables/manifest.js'
import type { IntervalErrors } from './standard-error.js'
import type { GroupResult } from './workers/messages.js'

/** What is known of a checkpoint once its gradients are there. By split. */
export interface EndpointRecord {
  readonly kind: 'endpoint'
  readonly checkpoint: number
  /** Identity of the checkpoint's file. */
  readonly fingerprint: string
  readonly losses: readonly number[]
  /** Where the data were sampled: sums of each group, products with the movement of the interval before and of the next. */
  readonly groups?: readonly (readonly GroupResult[])[]
}

/** A finished interval. By split, where there is a list. */
export interface IntervalRecord {
  readonly kind: 'interval'
  readonly interval: number
  readonly splits: number
  readonly converged: boolean
  readonly losses: readonly (readonly [from: number, to: number])[]
  /** The largest |residual|, or of the estimate that convergence was judged by. */
  readonly error: number
  readonly evaluations: readonly number[]
  /** The estimated error of the tensor whose error is largest. */
  readonly estimate: number
  /** Null for splits that are not sampled. */
  readonly standardErrors?: readonly (IntervalErrors | null)[]
}

/** Tables and totals hold all intervals before this one. */
export interface AdvanceRecord {
  readonly kind: 'advance'
  readonly intervals: number
  readonly tables: readonly TableEntry[]
}

/** From now on micro-batches have this size. */
export interface BatchRecord {
  readonly kind: 'batch size'
  readonly size: number
  /** The first interval that was not finished then; later ones that were stay as they are. */
  readonly from: number
  /** Whether it was the first choice, by a device's memory: whoever goes on keeps to it. */
  readonly chosen?: true
  readonly message: string
}

export interface NoiseRecord {
  readonly kind: 'noise'
  readonly floor: number
  readonly evaluations: number
}

/** Where the nodes of the gradient ran, on a device. */
export interface PlacementRecord {
  readonly kind: 'placement'
  readonly placement: Placement
}

/** Which way micro-batches are summed on the device, once it was measured: their bits depend on it. */
export interface LoopsRecord {
  readonly kind: 'loops'
  readonly loops: boolean
}

/** The first so many blocks of a split's samples are in the sum of squared gradients (fisher.ts). */
export interface FisherRecord {
  readonly kind: 'fisher'
  readonly split: number
  readonly blocks: number
  /** Of the samples of these blocks, summed. */
  readonly denominator: number
}

/** What the first so many records speak of is on the disk, not only in the system's cache. */
export interface SyncRecord {
  readonly kind: 'synced'
  readonly records: number
}

/** A process begins to write; `boot` tells the system's starts apart. */
export interface BeginRecord {
  readonly kind: 'begin'
  readonly boot: string
}

export type ReplayRecord =
  | EndpointRecord
  | IntervalRecord
  | AdvanceRecord
  | BatchRecord
  | NoiseRecord
  | PlacementRecord
  | LoopsRecord
  | FisherRecord
  | SyncRecord
  | BeginRecord
