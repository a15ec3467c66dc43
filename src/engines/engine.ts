import type { DType, FloatArray, TypedArray } from '../tensor.js'

/** Samples in row-major order, the first axis counting samples; `sampleShape` is the shape of one. */
export interface SampleArray {
  readonly dtype: DType
  readonly sampleShape: readonly number[]
  readonly data: TypedArray
}

/** The data that the loss is averaged over. */
export interface SplitData {
  readonly samples: number
  readonly inputs: ReadonlyMap<string, SampleArray>
  readonly target?: SampleArray | undefined
}

/** How a split is cut into micro-batches. */
export interface Cut {
  /** Samples in a micro-batch. */
  readonly size: number
  /** Samples in the first one, where it is to be shorter; the cut changes rounding, not the loss. */
  readonly first?: number
}

export interface Evaluation {
  /** The split's mean loss: all numerators over all denominators, summed in float64. */
  readonly loss: number
}

/** One parameter tensor at the point, by the network's name. */
export type Parameters = ReadonlyMap<string, FloatArray>

/** Where an evaluation writes: the gradient of the split's loss, float64, row-major, one array per parameter. */
export type Gradients = ReadonlyMap<string, Float64Array>

/** Computes a loss and its gradient at a point of parameter space. One evaluation runs at a time. */
export interface Engine {
  /** How the engine and its device are named in results, e.g. 'onnxruntime 1.30.0, cpu'. */
  readonly description: string
  /** The type that points are rounded to: that of the network's parameters. */
  readonly precision: 'float32' | 'float64'
  /**
   * The loss of a split at `parameters` and its gradient, which overwrites `gradients`. Per-sample losses and the
   * gradients of micro-batches are accumulated in float64 and divided once.
   *
   * @param onProgress called after each micro-batch with the number of samples done
   * @throws EngineError when the graph fails to run. A loss that overflows is returned, not thrown.
   */
  evaluate(
    parameters: Parameters,
    split: SplitData,
    cut: Cut,
    gradients: Gradients,
    onProgress?: (samples: number) => void,
  ): Promise<Evaluation>
  close(): Promise<void>
}
