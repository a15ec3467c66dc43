import type { Settings } from '../autodiff/rule.js'
import type { LossSpec } from '../autodiff/losses.js'
import type { DataOptions } from '../data/needs.js'
import type { Granularity } from '../tables/schema.js'
import type { WeightKind } from '../trajectory/formats/format.js'
import type { StepRange } from '../trajectory/step-range.js'
import type { ReplayProgress } from './replay.js'

/** What a run replays and how. Paths are as the user wrote them. */
export interface RunOptions extends DataOptions {
  /** A folder of checkpoints, or one file that holds many. */
  readonly checkpoints: string
  /** An ONNX file; where the checkpoints are networks themselves (ONNX), the last of them unless another is named. */
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
  readonly out: string
  readonly overwrite: boolean
}

export interface RunEvents {
  /** A choice or a finding that the user should know, one sentence. */
  readonly onNote?: (note: string) => void
  readonly onProgress?: (progress: ReplayProgress) => void
  /** Ends the run after its last finished interval. */
  readonly signal?: AbortSignal
}
