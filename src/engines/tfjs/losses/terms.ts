import type { Tensor } from '@tensorflow/tfjs'

/**
 * The loss of a micro-batch: numerators and denominators, float32 [batch], as autodiff/losses/terms.ts defines them. The
 * first are differentiated.
 */
export interface Terms {
  readonly numerators: Tensor
  readonly denominators: Tensor
}

/** What a loss is computed from. */
export interface Batch {
  /** The network's output, batch axis first. */
  readonly prediction: Tensor
  /** int32 labels, or float32 values in the prediction's shape; undefined where the loss takes none. */
  readonly target: Tensor | undefined
  /** float32 [batch]: how much each sample counts, 0 for padding. */
  readonly weights: Tensor
}

export type Loss = (batch: Batch) => Terms

/** The sum over all axes but the first. */
export function perSample(values: Tensor): Tensor {
  return values.rank <= 1 ? values : values.reshape([values.shape[0], -1]).sum(1)
}

/** So many elements for each sample that counts. */
export function elementsEach(weights: Tensor, elements: number): Tensor {
  return weights.mul(elements)
}

/** [batch] with axes of size 1 behind, to multiply a value of the given rank. */
export function along(weights: Tensor, rank: number): Tensor {
  return rank <= 1 ? weights : weights.reshape([-1, ...Array.from({ length: rank - 1 }, () => 1)])
}
