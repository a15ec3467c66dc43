/**
 * Standard errors of what is computed from a random sample of a split (Cochran, Sampling Techniques, 3rd edition 1977:
 * theorem 2.2, the finite-population correction; theorem 2.5, the ratio estimator. Wolter, Introduction to Variance
 * Estimation, chapter 2: random groups).
 *
 * n of N samples are drawn without replacement and stand in G groups of n / G. A loss is a ratio of sums, L = sum y /
 * sum d, of per-sample numerators y and denominators d (which differ where labels are ignored or classes weighted).
 * Near the true ratio, with y_h and d_h the sums over group h and D the sum of all d_h,
 *
 *     L - true L  ~  sum over h of r_h,    r_h = (y_h - L d_h) / D,    sum over h of r_h = 0,
 *
 * and since groups are random, with what they share taken off,
 *
 *     SE^2 = (1 - n / N) G / (G - 1) sum over h of r_h^2 .
 *
 * Everything a replay derives from losses and gradients is linear in ratios of this kind, over the same groups: then
 * the r_h are combined before they are squared. That keeps what makes differences of two losses on the same samples
 * far surer than either loss. The true value lies within +-t SE of the estimate, t of Student's distribution with G - 1
 * degrees of freedom. Linearising loses terms of relative order 1 / n. Where micro-batches define the loss, the
 * correction holds for what single samples contribute, not for how they happened to meet.
 */

/** How far each group takes a ratio from its value, in the ratio's unit. They add up to 0. */
export type Residuals = Float64Array

/** How many of how many samples were drawn. */
export interface SampleSize {
  readonly samples: number
  readonly population: number
}

/**
 * The residuals r_h of one ratio of sums: of a loss (numerators and denominators of the groups), or of the slope of the
 * loss in a tensor's movement: numerators are then the dot products of the movement with the gradient of each group's
 * numerator.
 */
export function ratioResiduals(numerators: ArrayLike<number>, denominators: ArrayLike<number>): Residuals {
  const denominator = sum(denominators)
  const ratio = sum(numerators) / denominator
  return Float64Array.from(
    numerators,
    (numerator, group) => (numerator - ratio * denominators[group]!) / denominator,
  )
}

/**
 * The residuals of a weighted sum of quantities over the same groups, added in their order: of an integral from those at
 * its points, of a sum over tensors, of a difference. All weights are 1 unless given.
 */
export function combineResiduals(parts: readonly Residuals[], weights?: readonly number[]): Residuals {
  const combined = new Float64Array(parts[0]?.length ?? 0)
  for (const [index, part] of parts.entries()) {
    const weight = weights?.[index] ?? 1
    for (let group = 0; group < combined.length; group += 1) combined[group]! += weight * part[group]!
  }
  return combined
}

/** The standard error of a quantity from its residuals, in the quantity's unit; 0 where all samples were drawn. */
export function standardError(residuals: Residuals, { samples, population }: SampleSize): number {
  const groups = residuals.length
  const squares = sum(residuals.map((residual) => residual ** 2))
  return Math.sqrt((1 - samples / population) * (groups / (groups - 1)) * squares)
}

/** What a sampled interval's standard errors follow from. */
export interface IntervalResiduals {
  /** Of the loss at the interval's ends. */
  readonly start: Residuals
  readonly end: Residuals
  /** Of every tensor's LCA: the quadrature's sum of the residuals of its slope at the points. */
  readonly tensors: readonly Residuals[]
}

/** In units of the loss. */
export interface IntervalErrors {
  /** Of loss_to - loss_from. */
  readonly lossChange: number
  /** Of the sum over all tensors. */
  readonly lca: number
  /** Of each tensor's LCA. Their squares don't add up to the sum's: the same samples move all tensors. */
  readonly tensors: readonly number[]
}

/** The standard errors of an interval's row in `steps` and of its rows in `tensors`. */
export function intervalErrors({ start, end, tensors }: IntervalResiduals, size: SampleSize): IntervalErrors {
  return {
    lossChange: standardError(combineResiduals([end, start], [1, -1]), size),
    lca: standardError(combineResiduals(tensors), size),
    tensors: tensors.map((residuals) => standardError(residuals, size)),
  }
}

function sum(values: ArrayLike<number>): number {
  let total = 0
  for (let i = 0; i < values.length; i += 1) total += values[i]!
  return total
}
