import type { Curvature } from '../curvature.js'
import type { GroupSeries } from '../groups.js'
import type { Finding, RunFacts, SplitAnalysis } from '../model.js'
import type { SplitSeries } from '../series.js'

/** The kinds of findings that rest on a test, each a family of tests; they share the threshold. */
export const FAMILIES = [
  'hurting-layer',
  'memorising-layer',
  'oscillation',
  'lag',
  'synchrony',
  'concentration',
  'helping-share',
  'first-order',
] as const
export type Family = (typeof FAMILIES)[number]

/** The chance that a run in which nothing is the matter gives any finding at all. */
export const THRESHOLD = 0.01

/** A test that was done, whatever came of it: all count when p-values are corrected for their number. */
export interface Tested {
  readonly family: Family
  /** Before correction; NaN where nothing could be tested. */
  readonly p: number
  /** What it is, should the test hold; undefined where the effect goes another way or is too small to matter. */
  readonly finding: Omit<Finding, 'p'> | undefined
}

/** Something counted, which needs no test. */
export type Counted = Omit<Finding, 'p'>

/** One split with what its findings are drawn from. */
export interface SplitContext {
  readonly analysis: SplitAnalysis
  readonly series: SplitSeries
  /** By layer, in the order of `analysis.layers`. */
  readonly layers: readonly GroupSeries[]
}

/** A run with what its findings are drawn from; the first split is the training data. */
export interface RunContext {
  readonly facts: RunFacts
  readonly splits: readonly SplitContext[]
  readonly curvature: Curvature
}

/** A layer's share of all that layers moved: sums of |LCA| over the run. */
export function shareOf({ layers }: SplitAnalysis, layer: string): number {
  const all = layers.reduce((sum, { total }) => sum + Math.abs(total.value), 0)
  const own = layers.find(({ name }) => name === layer)?.total.value ?? 0
  return all > 0 ? Math.abs(own) / all : 0
}
