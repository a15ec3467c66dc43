import type { Role } from '../tables/schema.js'

/**
 * What the tables of a run say, as plain data: what `analyzeRun` returns, and what the report, the figures and `compare`
 * are made of. Losses and LCA are in units of the loss; shares are 0 to 1; series have one value per interval, in order.
 * Splits stand in the run's order, the first is the training data. NaN where a value is undefined.
 */
export interface RunAnalysis {
  readonly facts: RunFacts
  readonly splits: readonly SplitAnalysis[]
  /** The most important first; empty where the data carry none. */
  readonly findings: readonly Finding[]
}

/** What is known of the run as a whole. */
export interface RunFacts {
  /** Name of the results folder, or of the run in an archive. */
  readonly name: string
  readonly intervals: number
  /** Steps of the checkpoints, one more than intervals. */
  readonly steps: readonly number[]
  /** What a step counts: step, epoch, iteration or save. */
  readonly stepUnit: string
  /** Trained parameters, buffers left out. */
  readonly parameters: number
  readonly loss: string
  readonly quadrature: string
  readonly tolerance: number
  /** Intervals that converged on every split. */
  readonly converged: number
  /** LCA is allocated to some tensors only: residuals are NaN. */
  readonly restricted: boolean
  /** LCA was measured on a random sample of the data. */
  readonly sampled: boolean
  /** Samples that Fisher information was measured on; undefined where it was not asked for. */
  readonly fisherSamples: number | undefined
  /** What to know before trusting the numbers, one sentence each. */
  readonly warnings: readonly string[]
}

/** A number with its 95 % confidence interval, NaN where the run is too short to tell. */
export interface Estimate {
  readonly value: number
  readonly low: number
  readonly high: number
}

export interface SplitAnalysis {
  readonly split: string
  /** The loss at every checkpoint: intervals + 1 values. */
  readonly losses: Float64Array
  /** LCA summed over all tensors. */
  readonly lca: Float64Array
  /** lca - loss change; NaN where LCA is restricted. */
  readonly residual: Float64Array
  /** Gradient at the start times movement, summed over all tensors. */
  readonly firstOrder: Float64Array
  /** Shares of the parameters with LCA below, above, equal to zero. */
  readonly helping: Float64Array
  readonly hurting: Float64Array
  readonly still: Float64Array
  /** In the network's order. */
  readonly layers: readonly GroupAnalysis[]
  readonly tensors: readonly TensorAnalysis[]
  /** Tensors of one role taken together: weight, bias, norm, embedding, buffer. */
  readonly roles: readonly GroupAnalysis[]
  readonly approximation: Approximation
  readonly synchrony: Synchrony | undefined
  /** From `totals`. */
  readonly parameters: ParameterAnalysis
  /** From `totals` and, for the maps, `units`. */
  readonly units: UnitAnalysis
  /** Rank correlation of other measures with LCA. */
  readonly measures: readonly MeasureCorrelation[]
}

/** Several parameters taken together over the run: a layer, a role or a tensor. */
export interface GroupAnalysis {
  readonly name: string
  readonly parameters: number
  /** LCA per interval. */
  readonly lca: Float64Array
  /** LCA over the run, with its interval by block bootstrap over intervals. */
  readonly total: Estimate
  /** First-order LCA over the run. */
  readonly firstOrderTotal: number
  /** Intervals in which its LCA is above zero. */
  readonly hurtIn: number
  /** p-value, two-sided, of LCA having no tendency over the run; NaN where it is too short. */
  readonly p: number
  /** Mean over intervals of the share of its parameters that help, hurt. */
  readonly helping: number
  readonly hurting: number
  readonly oscillation: Oscillation
}

export interface TensorAnalysis extends GroupAnalysis {
  readonly layer: string
  readonly role: Role
  /** Means over intervals. */
  readonly gradientNorm: number
  readonly updateNorm: number
  /** update_norm / weight_norm. */
  readonly relativeUpdate: number
  /** Cosine of movement and negative gradient at the start. */
  readonly cosine: number
  /** Sum over intervals of update_norm. */
  readonly pathLength: number
  /** Distance between first and last checkpoint over the path's length: 1 is a straight line. */
  readonly efficiency: number
  /** Sums over its parameters: Synaptic Intelligence's importance, and the diagonal of the empirical Fisher information. */
  readonly synapticIntelligence: number
  readonly fisher: number
}

export interface Oscillation {
  /** Share of the neighbouring intervals, mean over parameters, in which movement, gradient, LCA change sign. */
  readonly movementFlips: number
  readonly gradientFlips: number
  readonly lcaFlips: number
  /** LCA taken back in the next interval, as a share of the sum of |LCA|. */
  readonly undone: number
  /** Mean cosine of a movement and the one before, with its interval; below zero: back and forth. */
  readonly movementCosine: Estimate
  /** Mean cosine of movement and negative gradient at lag 0 (this interval's) and 1 (that of the interval before). */
  readonly cosineAtLag: readonly [number, number]
  /** The lag, 0 or 1, with the larger cosine. */
  readonly lag: 0 | 1
}

/** First order against the integral. */
export interface Approximation {
  /** Sum over the run of first_order - loss change (of lca where LCA is restricted). */
  readonly error: number
  /** The same as a share of |loss change|. */
  readonly relativeError: number
  /** Mean over intervals of |first_order - loss change|. */
  readonly perInterval: number
  /** Layers whose sign over the run differs between both. */
  readonly changedSigns: readonly string[]
}

/** Whether layers learn in the same intervals. A layer's peak is an interval in which its LCA is a local minimum. */
export interface Synchrony {
  /** Layers that move and so can peak. */
  readonly layers: readonly string[]
  /** For each of these layers 1 in the intervals in which it peaks. */
  readonly peaks: readonly Uint8Array[]
  /** Number of layers that peak in each interval. */
  readonly coincident: Float64Array
  /** Mean over pairs of layers: peaks that coincide as a share of peaks; what chance gives; the permutations' p-value. */
  readonly observed: number
  readonly expected: number
  readonly p: number
  /**
   * Pairs of layers by place in `layers`: share of coinciding peaks over what chance gives (1 is chance; NaN where they never
   * peak near each other).
   */
  readonly pairs: readonly (readonly number[])[]
}

export interface ParameterAnalysis {
  readonly parameters: number
  /** How many parameters, those that help most first, carry half of all helping LCA; share of all parameters. */
  readonly half: number
  readonly halfShare: number
  /** The same of hurting LCA. */
  readonly hurtingHalf: number
  /** Parameters by the share of intervals in which they helped, in 50 equal bins of 0 to 1, those that never moved left out. */
  readonly helpedHistogram: readonly number[]
  /** The same by tensor, of those with the most parameters first. */
  readonly helpedByTensor: readonly { readonly tensor: string; readonly histogram: readonly number[] }[]
  readonly neverMoved: number
  readonly best: readonly ExtremeParameter[]
  readonly worst: readonly ExtremeParameter[]
}

export interface ExtremeParameter {
  readonly tensor: string
  /** Row-major position in the tensor. */
  readonly index: number
  readonly unit: number
  readonly lca: number
}

export interface UnitAnalysis {
  /** Weight tensors and embeddings with more than one unit. */
  readonly tensors: readonly TensorUnits[]
}

export interface TensorUnits {
  readonly tensor: string
  readonly layer: string
  readonly count: number
  /** Units whose parameters have LCA zero in every interval. */
  readonly dead: readonly number[]
  /** Fewest units, best first, that carry half of the helping LCA of the units. */
  readonly half: number
  readonly best: { readonly unit: number; readonly lca: number }
  readonly worst: { readonly unit: number; readonly lca: number }
  /**
   * At most 64 units, those with the most |LCA|, by their number; of the 40 tensors that moved the loss most, where the run
   * has the table `units`.
   */
  readonly map?: UnitMap
}

/** LCA of units over bins of neighbouring intervals. */
export interface UnitMap {
  readonly units: readonly number[]
  /** First interval of each bin, at most 100; then the number of intervals. */
  readonly bins: readonly number[]
  /** lca[unit][bin], in the order of `units`. */
  readonly lca: readonly (readonly number[])[]
}

export const MEASURES = [
  'gradient norm',
  'update norm',
  'relative update',
  'path length',
  'distance',
  'Synaptic Intelligence',
  'empirical Fisher',
] as const
export type Measure = (typeof MEASURES)[number]

/** Spearman's rank correlation of a measure with -LCA: 1 where it ranks as LCA does. */
export interface MeasureCorrelation {
  readonly measure: Measure
  /** Over tensors, and over parameters (NaN where the measure has no value for each). */
  readonly tensors: number
  readonly parameters: number
}

export const FINDING_KINDS = [
  'hurting-layer',
  'memorising-layer',
  'oscillation',
  'lag',
  'jump',
  'synchrony',
  'dead-units',
  'dead-tensor',
  'concentration',
  'helping-share',
  'first-order',
  'sparse-checkpoints',
  'not-conserved',
] as const
export type FindingKind = (typeof FINDING_KINDS)[number]

/** One thing that the data say, with what it rests on. Its texts are plain: names in them are not escaped. */
export interface Finding {
  readonly kind: FindingKind
  /** One plain sentence, with its numbers and their uncertainty. */
  readonly text: string
  /** What to do about it, where the evidence supports that. */
  readonly advice: string | undefined
  /** p-value after correction for the number of tests; undefined where it is a count, not an estimate. */
  readonly p: number | undefined
  /** Larger is more important: share of the run's loss change that it concerns. */
  readonly weight: number
  readonly split: string | undefined
  readonly layer: string | undefined
  /** The figure that shows it. */
  readonly figure: FigureName
}

/** The report's figures; files of `retrograd figures` have these names. */
export const FIGURES = [
  'loss',
  'residual',
  'layers',
  'layer-heatmap',
  'layer-cumulative',
  'helping-over-time',
  'helping-histogram',
  'synchrony',
  'units',
  'first-order',
  'measures',
] as const
export type FigureName = (typeof FIGURES)[number]
