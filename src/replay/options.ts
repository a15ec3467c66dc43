import type { Settings } from '../autodiff/rule.js'
import type { LossSpec } from '../autodiff/losses.js'
import type { DataOptions } from '../data/needs.js'
import type { DeviceChoice, EngineName, Precision } from '../engines/devices/names.js'
import type { Granularity } from '../tables/schema.js'
import type { WeightKind } from '../trajectory/formats/format.js'
import type { StepRange } from '../trajectory/step-range.js'
import type { ReplayProgress } from './progress.js'
import type { QuadratureName } from './quadrature/names.js'
import type { Range } from './state.js'

/** What a run replays and how. Paths are as the user wrote them. */
export interface RunOptions extends DataOptions {
  /** A folder of checkpoints, or one file that holds many. */
  readonly checkpoints: string
  /** The network: an ONNX file (a model.json for tfjs); where the checkpoints are networks themselves (ONNX), the last of them unless another is named. */
  readonly model?: string
  /** A file that says which tensor of the checkpoints is which parameter (trajectory/map-file.ts). */
  readonly map?: string
  /** Data files by the split's name, in the order of the tables' rows. */
  readonly splits: ReadonlyMap<string, string>
  readonly loss: LossSpec
  readonly steps?: StepRange
  /** Of checkpoints that hold both: the weights themselves, or their running average. Defaults to raw. */
  readonly weights?: WeightKind
  readonly tolerance: number
  readonly maxSplits: number
  readonly granularity: Granularity
  readonly batchSize?: number
  /** The statistics that BatchNormalization divides by: the checkpoints' own, or those of each micro-batch. */
  readonly batchNorm: Settings['batchNorm']
  /** How the gradient is integrated; simpson by default. */
  readonly quadrature?: QuadratureName
  /** Names of tensors, `*` standing for anything, that LCA is allocated to; all by default. */
  readonly tensors?: readonly string[]
  /** Takes a random sample of each split, of so many samples at most. */
  readonly sample?: { readonly maximum: number; readonly seed: number }
  /**
   * Measures the diagonal of the empirical Fisher information at the last checkpoint, on so many samples of each split
   * (of the random sample, where there is one), chosen at random; all where there are no more.
   */
  readonly fisher?: { readonly samples: number; readonly seed: number }
  /** Replays these intervals only, to be merged with the others; cut at multiples of 32 or the run's ends. */
  readonly intervals?: Range
  /** Worker processes; by default as many as cores and memory allow. */
  readonly workers?: number
  /** Threads of each worker's engine; by default 1, for large networks all cores. */
  readonly threads?: number
  /** What computes the loss and its gradient; onnxruntime by default. */
  readonly engine?: EngineName
  /** Where it computes; `auto` by default: the first device that passes its probe. */
  readonly device?: DeviceChoice
  /** Whether an operator that any other device computes is an error. */
  readonly strictDevice?: boolean
  /** The type that the network's values are computed in; float32 by default. */
  readonly precision?: Precision
  /** Lets NVIDIA's matrix units round factors to 10 bits (TF32), which is quicker. */
  readonly tf32?: boolean
  /** Bytes of the device's memory that may be used; by default what is free. */
  readonly deviceMemory?: number
  readonly out: string
  readonly overwrite: boolean
}

/** How far an interrupted run was. */
export interface Interruption {
  readonly finished: number
  readonly intervals: number
}

export interface RunEvents {
  /** A choice or a finding that the user should know, one sentence. */
  readonly onNote?: (note: string) => void
  readonly onProgress?: (progress: ReplayProgress) => void
  readonly onInterrupted?: (interruption: Interruption) => void
  /** Ends the run; what is finished stays, and the same run goes on from there. */
  readonly signal?: AbortSignal
}
