import type { RulePoint } from './rule.js'

/*
 * Rules whose points are multiples of powers of two keep one sum for each depth d: of the gradients at the odd multiples
 * of 2^-d. Their combinations are then one coefficient for each depth, and the points of a depth are the same in all of
 * them, whatever the number of parts.
 */

/** The points of a depth, all in the one sum that is new: 1/2; 1/4, 3/4; 1/8, 3/8, ... */
export function pointsOfDepth(depth: number): RulePoint[] {
  const parts = 2 ** depth
  return Array.from({ length: parts / 2 }, (_, k) => ({ a: (2 * k + 1) / parts, into: [1] }))
}

/** Composite trapezoid with 2^depth parts: weights 1/2 1 1 ... 1 1/2 over the number of parts. */
export function trapezoid(depth: number): number[] {
  return newtonCotes(depth, { by: 2, end: 1, old: 2, newest: [] })
}

/** Composite Simpson with 2^depth parts, depth at least 1: weights 1 4 2 4 ... 4 1 over three times the parts. */
export function simpson(depth: number): number[] {
  return newtonCotes(depth, { by: 3, end: 1, old: 2, newest: [4] })
}

/** Composite Boole with 2^depth parts, depth at least 2: weights 7 32 12 32 14 32 ... 7, times 2 over 45 times the parts. */
export function boole(depth: number): number[] {
  return newtonCotes(depth, { by: 22.5, end: 7, old: 14, newest: [32, 12] })
}

/** A combination that leaves out the sums it was not given a coefficient for. */
export function padded(combination: readonly number[], sums: number): number[] {
  return Array.from({ length: 2 + sums }, (_, i) => combination[i] ?? 0)
}

/** Weights of a closed composite rule over `by` times the parts; `newest` are those of the deepest depths, deepest first. */
interface Weights {
  readonly by: number
  readonly end: number
  readonly old: number
  readonly newest: readonly number[]
}

function newtonCotes(depth: number, { by, end, old, newest }: Weights): number[] {
  const part = 1 / (by * 2 ** depth)
  const depths = Array.from({ length: depth }, (_, i) => (newest[depth - 1 - i] ?? old) * part)
  return [end * part, end * part, ...depths]
}
