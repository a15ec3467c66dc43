import type { Placement } from './devices/placement.js'
import type { DType, FloatArray, TypedArray } from '../tensor.js'

/** Samples in row-major order, the first axis counting samples; `sampleShape` is the shape of one. */
interface SampleAxes {
  readonly dtype: DType
  readonly sampleShape: readonly number[]
}

export interface SamplesInMemory extends SampleAxes {
  readonly data: TypedArray
}

/** Samples that are read when they are asked for. */
export interface StoredSamples extends SampleAxes {
  /** The values of samples `start` to `start + count`. */
  read(start: number, count: number): TypedArray
}

export type SampleArray = SamplesInMemory | StoredSamples

/** The data that the loss is averaged over. */
export interface SplitData {
  readonly samples: number
  readonly inputs: ReadonlyMap<string, SampleArray>
  readonly target?: SampleArray | undefined
}

/** Samples `start` to `start + count` of a split; the graph is run on `size` samples, the rest being padding. */
export interface MicroBatch {
  readonly start: number
  readonly count: number
  readonly size: number
}

/** One parameter tensor at the point, by the network's name. */
export type Parameters = ReadonlyMap<string, FloatArray>

/** Sums over samples: a loss is the sum of numerators over the sum of denominators. */
export interface Terms {
  readonly numerator: number
  readonly denominator: number
}

/** What one micro-batch gives. */
export interface MicroBatchResult extends Terms {
  /**
   * The gradient of the numerator with respect to a parameter, row-major; undefined where the loss does not depend on
   * it. The next run overwrites the arrays.
   */
  readonly gradient: (parameter: string) => FloatArray | undefined
}

/** Computes the loss of a micro-batch and its gradient at a point of parameter space. One run at a time. */
export interface Engine {
  /** How the engine and its device are named in results, e.g. 'onnxruntime 1.30.0, cpu'. */
  readonly description: string
  /** The type that points are rounded to: that of the network's parameters. */
  readonly precision: 'float32' | 'float64'
  /** Whether every micro-batch has one size, padded where samples run out. */
  readonly fixedBatch: boolean
  /** Where nodes are computed, from the second run on; undefined on the CPU, where it is no question. */
  readonly placement?: Placement | undefined
  /** Whether it loops over micro-batches in the graph, from when it has measured that on; undefined where nothing is measured. */
  readonly loops?: boolean | undefined
  /** @throws EngineError when the graph fails to run. A loss that overflows is returned, not thrown. */
  run(parameters: Parameters, split: SplitData, batch: MicroBatch): Promise<MicroBatchResult>
  /**
   * Chooses by measurement whether there is a `sum`; a second call does nothing. It is called before anything is computed, so
   * that the bits of results don't depend on when it was.
   * @param batches as many as one `sum` may take; nothing of them is kept
   */
  readonly settle?: (
    parameters: Parameters,
    split: SplitData,
    batches: readonly MicroBatch[],
  ) => Promise<void>
  /**
   * The sums of several full micro-batches of one size that lie side by side, in one run: what `run` gives, added up in
   * float64. Absent where a run for each of them is no slower.
   */
  readonly sum?:
    | ((
        parameters: Parameters,
        split: SplitData,
        batches: readonly MicroBatch[],
      ) => Promise<MicroBatchResult>)
    | undefined
  close(): Promise<void>
}
