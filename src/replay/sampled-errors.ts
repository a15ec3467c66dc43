import { combineResiduals, intervalErrors, ratioResiduals } from './standard-error.js'
import type { IntervalErrors, Residuals, SampleSize } from './standard-error.js'
import type { GroupResult } from './workers/messages.js'

/** A point of an interval: its groups' sums, which of their products belong to the interval, and the rule's weight. */
export interface SampledPoint {
  readonly groups: readonly GroupResult[]
  readonly movement: number
  readonly weight: number
}

/**
 * The standard errors of a sampled interval on one split.
 * @param points the start, the end, then all others
 * @param tensors number of tensors that LCA is allocated to
 */
export function sampledErrors(
  points: readonly SampledPoint[],
  tensors: number,
  size: SampleSize,
): IntervalErrors {
  const lossAt = ({ groups }: SampledPoint): Residuals =>
    ratioResiduals(
      groups.map(({ numerator }) => numerator),
      groups.map(({ denominator }) => denominator),
    )
  const slopeAt = ({ groups, movement }: SampledPoint, tensor: number): Residuals =>
    ratioResiduals(
      groups.map(({ products }) => products[movement]![tensor]!),
      groups.map(({ denominator }) => denominator),
    )
  const weights = points.map(({ weight }) => weight)
  const lca = Array.from({ length: tensors }, (_, tensor) =>
    combineResiduals(
      points.map((point) => slopeAt(point, tensor)),
      weights,
    ),
  )
  return intervalErrors({ start: lossAt(points[0]!), end: lossAt(points[1]!), tensors: lca }, size)
}
