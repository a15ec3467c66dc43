import type { QuadratureName } from './names.js'

/** A point of the segment, and with which weight its gradient goes into each of the sums that are new at its level. */
export interface RulePoint {
  readonly a: number
  readonly into: readonly number[]
}

/**
 * What one level of refinement adds, and how everything so far combines. A combination is a list of coefficients of
 * [gradient at the start, gradient at the end, all sums of level 0, of level 1, ...].
 */
export interface Level {
  /** Equal parts that the segment is cut into, as the tables count them. */
  readonly splits: number
  /** How many sums are new. */
  readonly sums: number
  /** Points that are new, ascending. */
  readonly points: readonly RulePoint[]
  /** The integral of the gradient. */
  readonly integral: readonly number[]
  /** Further combinations that the rule's estimates need. */
  readonly compared: readonly (readonly number[])[]
}

/** What is known of one split after a level: sums over the elements of each tensor of movement times combination. */
export interface SplitSums {
  /** By combination (the integral first, then `compared`), then by tensor, in units of the loss. */
  readonly tensors: readonly (readonly number[])[]
  /** LCA of all tensors minus the measured change of the loss; NaN where LCA is restricted to some tensors. */
  readonly residual: number
}

/** What a rule is asked after a level. Nothing in it comes from other intervals. */
export interface Question {
  readonly index: number
  readonly splits: readonly SplitSums[]
  /** In units of the loss. */
  readonly tolerance: number
  /** Whether LCA is restricted to some tensors, so that it need not sum to the measured change. */
  readonly restricted: boolean
  /** Errors below it are rounding; asked for only where an interval did not converge. */
  readonly noiseFloor: () => Promise<number>
}

export interface Judgement {
  readonly converged: boolean
  /** Whether more splits would be in vain. */
  readonly stop: boolean
  /** What was held against the tolerance. */
  readonly error: number
  /** The largest of the estimates. */
  readonly estimate: number
  /** The estimated error of LCA by split and tensor. */
  readonly estimates: readonly (readonly number[])[]
}

/** A quadrature rule: pure functions of the level, from 0, and of scalars. */
export interface Rule {
  readonly name: QuadratureName
  level(index: number): Level
  judge(question: Question): Promise<Judgement>
}
