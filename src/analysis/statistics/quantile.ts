/** The quantile of sorted values, between its neighbours on a straight line (R's type 7); NaN of none. */
export function quantile(sorted: Float64Array, share: number): number {
  if (sorted.length === 0) return NaN
  const place = share * (sorted.length - 1)
  const [below, above] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!]
  return below + (above - below) * (place - Math.floor(place))
}

/**
 * The series with what is further from zero than three times the median of |values| moved there, so that a test of its mean
 * is of what most intervals do and not of a few that stand out.
 */
export function limited(series: Float64Array): Float64Array {
  const bound = 3 * quantile(series.map(Math.abs).sort(), 0.5)
  return series.map((value) => Math.min(bound, Math.max(-bound, value)))
}
