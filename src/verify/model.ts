import type { DeviceChoice, EngineName } from '../engines/devices/names.js'
import type { RunEvents } from '../replay/options.js'

/** What is verified and how. What is not given is as the manifest has it. */
export interface VerifyOptions {
  /** The run, where the folder is a tree of many. */
  readonly run?: string
  /**
   * How many intervals, spread over the run, among them always that of the largest residual and that of the largest LCA;
   * or which ones; 6 by default.
   */
  readonly intervals?: number | readonly number[] | 'all'
  /** Of the choice among intervals; 0 by default. */
  readonly seed?: number
  /** The largest distance of an interval that agrees, in units of the loss; the run's own tolerance by default. */
  readonly tolerance?: number
  /** Most parts that an interval is cut into, a power of two; 64 by default. */
  readonly maxSplits?: number
  /** What computes; by default what computed the results. */
  readonly engine?: EngineName
  /** Where it computes; by default another device than the results', if there is one. */
  readonly device?: DeviceChoice
  /** Bytes of the device's memory that may be used; by default what is free. */
  readonly deviceMemory?: number
  /** Where the checkpoints are now. */
  readonly checkpoints?: string
  /** Where the network is now; for another engine the network in that engine's form. */
  readonly model?: string
  /** Where the map of names is now. */
  readonly map?: string
  /** Where the loss is now, if it is an ONNX file. */
  readonly loss?: string
  /** Where data sets are now, by the split's name. */
  readonly splits?: ReadonlyMap<string, string>
  /** Worker processes; by default as many as cores and memory allow. */
  readonly workers?: number
  /** Threads of each worker's engine. */
  readonly threads?: number
}

/** How far a verification is. */
export interface VerifyProgress {
  /** Intervals done, with those on their way as a fraction. */
  readonly done: number
  readonly intervals: number
}

export interface VerifyEvents extends Pick<RunEvents, 'onNote' | 'signal'> {
  readonly onProgress?: (progress: VerifyProgress) => void
}

/** A number of the results and what it was recomputed as. */
export interface Pair {
  readonly stored: number
  readonly recomputed: number
}

/** The values of a table of single units or parameters. */
export interface FineDistance {
  /** How many values were compared. */
  readonly values: number
  /** Pearson's correlation between both; NaN where either does not vary. */
  readonly correlation: number
  /** Where they are farthest apart; undefined where all are equal. */
  readonly largest?: Pair & { readonly tensor: string; readonly index: number }
}

/** What an interval is on one split of the data, in the results and recomputed. In units of the loss. */
export interface SplitDistance {
  readonly split: string
  readonly lossFrom: Pair
  readonly lossTo: Pair
  /** The larger difference of both losses, in units of the last place of the loss as float32. */
  readonly lossUlps: number
  readonly lca: Pair
  /** NaN where LCA is restricted to some tensors. */
  readonly residual: Pair
  /** Sum of the absolute LCA of all tensors, recomputed. */
  readonly moved: number
  /** Sum over tensors of the absolute difference of their LCA. */
  readonly tensors: number
  /** The tensor whose LCA is farthest apart; undefined where all are equal. */
  readonly largest?: Pair & { readonly tensor: string }
  /** Share of the parameters with LCA below zero. */
  readonly helping: Pair
  /** Where the results have the tables. */
  readonly units?: FineDistance
  readonly parameters?: FineDistance
}

/**
 * `agrees`: no loss, tensor, unit or parameter is farther apart than the tolerance. `imprecise`: some is, but the run's own
 * rule in its own parts gives its losses and tensors again (single units and parameters are not computed in them), so that it is the integral that needs finer parts. `differs`: it does not.
 */
export type Verdict = 'agrees' | 'imprecise' | 'differs'

export interface IntervalVerification {
  readonly interval: number
  readonly stepFrom: number
  readonly stepTo: number
  /** Parts that the interval was cut into. */
  readonly parts: Pair
  /** The largest difference of a loss, or of the LCA of the interval, a tensor, a unit or a parameter. */
  readonly distance: number
  /** Where it is: `lca of conv1.weight on train`. */
  readonly where: string
  /**
   * The largest difference of a loss, or of the LCA of a tensor, when the run's own rule is used in its own parts: what
   * another engine or device rounds otherwise. NaN for gauss-kronrod, whose points are no others'.
   */
  readonly reproduced: number
  readonly verdict: Verdict
  /** Sums of units or parameters that are not the tensor's. */
  readonly contradictions: readonly Contradiction[]
  readonly splits: readonly SplitDistance[]
}

/** A sum in the tables that does not hold. */
export interface Contradiction {
  readonly interval: number
  readonly split: string
  readonly what: string
}

/** What a verification found. Numbers are in units of the loss where nothing else is said. */
export interface Verification {
  readonly results: string
  readonly run?: string
  readonly verdict: Verdict
  readonly tolerance: number
  /** The tolerance that intervals were refined to. */
  readonly refinedTo: number
  readonly stepUnit: string
  readonly computed: { readonly engine: string; readonly device: string; readonly sameAsResults: boolean }
  /** How many intervals the results hold. */
  readonly of: number
  readonly intervals: readonly IntervalVerification[]
  /** Of all intervals, also those that were not recomputed; of units and parameters those of the recomputed ones. */
  readonly contradictions: readonly Contradiction[]
  /** What was told on the way. */
  readonly notes: readonly string[]
}
