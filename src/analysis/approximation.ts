import type { Approximation } from './model.js'
import type { SplitSeries } from './series.js'
import { sumOf } from './statistics/blocks.js'

/** A layer's LCA over the run by the integral and to first order. */
export interface LayerTotals {
  readonly name: string
  readonly lca: number
  readonly firstOrder: number
}

/**
 * How far the first-order approximation, gradient at the start times movement, is from the loss's change; of some tensors
 * only, from their LCA.
 */
export function analyzeApproximation(series: SplitSeries, layers: readonly LayerTotals[]): Approximation {
  const errors = firstOrderErrors(series)
  const error = sumOf(errors)
  const change = sumOf(changesOf(series))
  return {
    error,
    relativeError: Math.abs(error) / Math.abs(change),
    perInterval: sumOf(errors.map(Math.abs)) / errors.length,
    changedSigns: layers.filter(({ lca, firstOrder }) => lca * firstOrder < 0).map(({ name }) => name),
  }
}

/** first_order minus what it approximates, per interval. */
export function firstOrderErrors(series: SplitSeries): Float64Array {
  const changes = changesOf(series)
  return series.first_order.map((value, t) => value - changes[t]!)
}

/** What all allocated tensors together changed: measured, or where LCA is restricted to some tensors their LCA. */
function changesOf({ residual, loss_change, lca }: SplitSeries): Float64Array {
  return loss_change.map((change, t) => (Number.isNaN(residual[t]!) ? lca[t]! : change))
}
