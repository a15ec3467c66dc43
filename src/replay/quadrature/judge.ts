import type { Judgement, Question } from './rule.js'

/** By split and tensor: how far one combination is from another; the integral is number 0, `compared` begin with 1. */
export function differences({ splits }: Question, combination = 0, other = 1): number[][] {
  return splits.map(({ tensors }) =>
    tensors[combination]!.map((value, tensor) => value - tensors[other]![tensor]!),
  )
}

/** The largest absolute value of a table; 0 of an empty one. */
export function largest(table: readonly (readonly number[])[]): number {
  return table.flat().reduce((most, value) => Math.max(most, Math.abs(value)), 0)
}

export function sumOf(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** Compares an error with the tolerance and, where it is larger, with the noise floor. */
export async function judgement(
  { tolerance, noiseFloor }: Question,
  error: number,
  estimates: readonly (readonly number[])[],
): Promise<Judgement> {
  const converged = error <= tolerance
  const stop = !converged && error <= (await noiseFloor())
  return { converged, stop, error, estimate: largest(estimates), estimates }
}

/**
 * The judge of a fixed rule: an interval converges by its residual on every split or, where LCA is restricted to some
 * tensors and there is none, by the estimated error of their sum. Errors are estimated as the difference between the
 * integral and what it is compared with, over a divisor that follows from the orders of both.
 */
export function judgeByResidual(question: Question, divisor: number): Promise<Judgement> {
  const { splits, restricted } = question
  const apart = differences(question)
  const estimates = apart.map((tensors) => tensors.map((value) => Math.abs(value) / divisor))
  const errors = restricted
    ? apart.map((tensors) => Math.abs(sumOf(tensors)) / divisor)
    : splits.map(({ residual }) => Math.abs(residual))
  return judgement(question, Math.max(...errors), estimates)
}
