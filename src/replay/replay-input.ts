import type { Granularity } from '../tables/schema.js'
import type { Trajectory } from '../trajectory/checkpoint.js'
import type { Arrays } from './allocation.js'
import type { ReplayProgress } from './progress.js'
import type { Rule } from './quadrature/rule.js'
import type { ReplaySplit } from './split.js'
import type { LcaTensor } from './tensors.js'
import type { Evaluator } from './workers/evaluator.js'

export interface ReplayInput {
  readonly trajectory: Trajectory
  /** All tensors in the order of the files of weights: first those that LCA is allocated to. */
  readonly tensors: readonly LcaTensor[]
  readonly arrays: Arrays
  readonly evaluator: Evaluator
  readonly splits: readonly ReplaySplit[]
  /**
   * What one value of the loss belongs to. A loss of a whole micro-batch may depend on how samples are cut, so that
   * rounding can't be told by cutting them differently.
   */
  readonly lossOf: 'sample' | 'micro-batch'
}

export interface ReplayOptions {
  readonly rule: Rule
  /** Largest error of a converged interval, in units of the loss. */
  readonly tolerance: number
  /** Largest number of splits of an interval, a power of two. */
  readonly maxSplits: number
  readonly batchSize: number
  /** Said where the size follows from a device's memory: then the journal keeps it, and the one it holds already counts. */
  readonly fromMemory?: string
  /** Where the loss is computed, as want of memory is spoken of: what a smaller micro-batch spares. */
  readonly onDevice?: boolean
  /** Whether a smaller micro-batch gives the same loss, so that it may be tried where memory is short. */
  readonly mayHalve: boolean
  readonly granularity: Granularity
  /** Half-open; all by default. */
  readonly intervals?: { readonly from: number; readonly to: number }
  /**
   * Numbers of the samples, by split, that the diagonal of the empirical Fisher information is measured on at the last
   * checkpoint; not measured without. The loss must be one of single samples.
   */
  readonly fisher?: readonly (readonly number[])[]
  /** How many intervals may be on their way at once. */
  readonly window: number
  /** Stops the replay; finished intervals stay in the journal. */
  readonly signal?: AbortSignal
  /** What the engine makes ready before its first gradient: the device's name, where that takes noticeable time. */
  readonly warmUp?: string
  readonly onProgress?: (progress: ReplayProgress) => void
  readonly onNote?: (note: string) => void
}
