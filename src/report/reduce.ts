/** Neighbouring intervals taken together, so that a figure's size does not depend on the length of a run. */
export interface Bins {
  /** First interval of each bin, then the number of intervals. */
  readonly starts: readonly number[]
  /** Step at which each bin starts, ends. */
  readonly from: readonly number[]
  readonly to: readonly number[]
  /** Whether bins hold more than one interval. */
  readonly joined: boolean
}

/**
 * At most `most` bins of as equal numbers of intervals as can be.
 * @param steps steps of the checkpoints, one more than intervals
 */
export function binsOf(steps: readonly number[], most: number): Bins {
  const intervals = steps.length - 1
  const count = Math.min(most, intervals)
  const starts = Array.from({ length: count + 1 }, (_, bin) => Math.floor((bin * intervals) / count))
  return {
    starts,
    from: starts.slice(0, -1).map((start) => steps[start]!),
    to: starts.slice(1).map((end) => steps[end]!),
    joined: count < intervals,
  }
}

/** One number for each bin from the values of its intervals. */
export function inBins(
  { starts }: Bins,
  values: ArrayLike<number>,
  reduce: (values: readonly number[]) => number,
): number[] {
  return starts.slice(0, -1).map((start, bin) => {
    const length = starts[bin + 1]! - start
    return reduce(Array.from({ length }, (_, i) => values[start + i]!))
  })
}

export function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}

export function mean(values: readonly number[]): number {
  return sum(values) / values.length
}

/** The value with the largest absolute value; NaN where all are NaN. */
export function farthest(values: readonly number[]): number {
  return values.reduce(
    (most, value) => (Math.abs(value) > Math.abs(most) || Number.isNaN(most) ? value : most),
    NaN,
  )
}

export function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), -Infinity)
}

/** Running sums, the start first: one more than values. */
export function cumulative(values: ArrayLike<number>, start = 0): Float64Array {
  const sums = new Float64Array(values.length + 1)
  sums[0] = start
  for (let i = 0; i < values.length; i += 1) sums[i + 1] = sums[i]! + values[i]!
  return sums
}

/**
 * Places of a line's points that keep its course: of each of `most / 2` stretches the first, lowest and highest, and the
 * last of all. All places where there are no more than `most`.
 */
export function linePlaces(values: ArrayLike<number>, most: number): number[] {
  if (values.length <= most) return Array.from(values, (_, i) => i)
  const stretches = Math.floor(most / 2)
  const places = new Set<number>()
  for (let stretch = 0; stretch < stretches; stretch += 1) {
    const [start, end] = [stretch, stretch + 1].map((i) => Math.floor((i * values.length) / stretches))
    let [low, high] = [start!, start!]
    for (let i = start!; i < end!; i += 1) {
      if (values[i]! < values[low]!) low = i
      if (values[i]! > values[high]!) high = i
    }
    places.add(start!).add(low).add(high)
  }
  return [...places.add(values.length - 1)].sort((a, b) => a - b)
}

/** The value below which a share of the finite values lies; NaN where there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b)
  return sorted.length === 0 ? NaN : sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!
}

/** A number as figures carry it: five digits, which no picture shows more of; null where it is undefined. */
export function short(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(5)) : null
}

export function shorts(values: Iterable<number>): (number | null)[] {
  return Array.from(values, short)
}
