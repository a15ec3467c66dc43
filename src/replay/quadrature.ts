import type { FloatArray } from '../tensor.js'

/**
 * Composite Simpson on a straight segment, cut into `splits` equal parts (splits even): points k / splits, weights
 * 1 4 2 4 ... 4 1 over 3 splits. Two splits are the paper's Runge-Kutta rule (Lan et al. 2019, section 3.1: points 0,
 * 1/2, 1 with weights 1/6, 4/6, 1/6).
 */
export interface SimpsonSums {
  /** Gradients at the segment's ends. */
  readonly start: Float64Array
  readonly end: Float64Array
  /** Sum of the gradients at odd multiples of 1 / splits: weight 4. */
  readonly odd: Float64Array
  /** Sum of the gradients at the other inner points: weight 2. */
  readonly even: Float64Array
}

/** The smallest number of splits: one Simpson panel. */
export const FEWEST_SPLITS = 2

/** The points that are new at this number of splits: when splits double, all inner points so far become even ones. */
export function newPoints(splits: number): number[] {
  return Array.from({ length: splits / 2 }, (_, k) => (2 * k + 1) / splits)
}

/**
 * LCA of one tensor (Lan et al. 2019, equation 3): movement times the integral of the gradient, formed in float64.
 *
 * @param out receives A[t, i] for every parameter i of the tensor
 */
export function allocate(
  out: Float64Array,
  from: FloatArray,
  to: FloatArray,
  { start, end, odd, even }: SimpsonSums,
  splits: number,
): void {
  const parts = 3 * splits
  for (let i = 0; i < out.length; i += 1) {
    const integral = (start[i]! + end[i]! + 4 * odd[i]! + 2 * even[i]!) / parts
    out[i] = (to[i]! - from[i]!) * integral
  }
}

/** The sum of a tensor's LCA, in the order of its elements. */
export function sum(values: Float64Array): number {
  let total = 0
  for (const value of values) total += value
  return total
}

/** The point theta + a (theta' - theta) of a segment, formed in float64 and rounded to the engine's precision. */
export function interpolate(out: FloatArray, from: FloatArray, to: FloatArray, a: number): void {
  for (let i = 0; i < out.length; i += 1) out[i] = from[i]! + a * (to[i]! - from[i]!)
}
