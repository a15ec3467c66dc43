import { Random } from '../../random.js'
import type { Estimate } from '../model.js'
import { quantile } from './quantile.js'
import { studentQuantile, studentTwoSided } from './student.js'

/** Of fewer intervals nothing is estimated: too few blocks are left to tell how far they scatter. */
export const FEWEST_INTERVALS = 20
/** Blocks that are left at least where blocks are lengthened. */
const FEWEST_BLOCKS = 8
const RESAMPLES = 2000
/** The two-sided 95 % point of the normal distribution. */
const NORMAL_95 = 1.959963984540054

/** How the mean of a series scatters. */
interface Scatter {
  /** Intervals of a block. */
  readonly length: number
  readonly blocks: number
  readonly mean: number
  /** Standard error of the mean. */
  readonly error: number
  /** By how much more the error is than independent blocks would have. */
  readonly inflation: number
}

/**
 * How the mean of a series scatters. Neighbouring intervals depend on each other (momentum, a falling loss), so that
 * means of blocks are taken as observations (batch means; Conway 1963), of blocks that are lengthened until neighbouring
 * ones are hardly correlated; what correlation remains widens the error as that of an autoregressive series of order 1,
 * (1 + r) / (1 - r), r corrected for its bias in short series.
 * @returns undefined where the series is too short, has a NaN, or does not vary
 */
function scatterOf(series: Float64Array): Scatter | undefined {
  if (series.length < FEWEST_INTERVALS) return undefined
  let length = Math.max(2, Math.round(0.7 * Math.sqrt(series.length)))
  let means = blockMeans(series, length)
  while (series.length >= 2 * length * FEWEST_BLOCKS && correlation(means) > 1 / Math.sqrt(means.length)) {
    length *= 2
    means = blockMeans(series, length)
  }
  const blocks = means.length
  const { mean, deviation } = momentsOf(means)
  if (!(deviation > 0)) return undefined
  const r = Math.min(MOST_CORRELATED, Math.max(0, (correlation(means) * blocks + 1) / (blocks - 4)))
  const inflation = Math.sqrt((1 + r) / (1 - r))
  return { length, blocks, mean, error: (inflation * deviation) / Math.sqrt(blocks), inflation }
}

/** Above it the error would be anything. */
const MOST_CORRELATED = 0.9

/**
 * p-value, two-sided, of the mean of a series being `expected`: Student's t on the means of its blocks. NaN where the
 * series is too short, has a NaN, or does not vary at all.
 */
export function meanTest(series: Float64Array, expected = 0): number {
  const scatter = scatterOf(series)
  if (scatter === undefined) return NaN
  return studentTwoSided((scatter.mean - expected) / scatter.error, scatter.blocks - 1)
}

/**
 * 95 % confidence intervals of sums over the intervals, by the circular block bootstrap (Politis and Romano 1992):
 * intervals are resampled in blocks that wrap round at the end. Its quantiles are too close where blocks are few, or
 * still correlated; they are moved outwards by what the test by block means has more than a normal one. All series of a
 * length share the same blocks, and the seed is fixed, so that a run always gives the same numbers.
 */
export class BlockBootstrap {
  /** Starts of the blocks of each resample, by the lengths of series and blocks. */
  private readonly starts = new Map<string, Uint32Array>()

  /** The sum of a series, with its interval. */
  sum(series: Float64Array): Estimate {
    const value = sumOf(series)
    const scatter = scatterOf(series)
    if (scatter === undefined) return { value, low: NaN, high: NaN }
    const { length, blocks, inflation } = scatter
    const wider =
      (inflation * studentQuantile(0.05, blocks - 1) * Math.sqrt(blocks / (blocks - 1))) / NORMAL_95
    const sums = this.resampledSums(series, length).sort()
    const bound = (share: number): number => value + wider * (quantile(sums, share) - value)
    return { value, low: bound(0.025), high: bound(0.975) }
  }

  /** The mean of a series, with its interval. */
  mean(series: Float64Array): Estimate {
    const { value, low, high } = this.sum(series)
    const count = series.length
    return { value: value / count, low: low / count, high: high / count }
  }

  private resampledSums(series: Float64Array, length: number): Float64Array {
    const running = runningSums(series)
    const starts = this.startsOf(series.length, length)
    const blocks = starts.length / RESAMPLES
    const lastLength = series.length - (blocks - 1) * length
    return Float64Array.from({ length: RESAMPLES }, (_, resample) => {
      let sum = 0
      for (let block = 0; block < blocks; block += 1) {
        const start = starts[resample * blocks + block]!
        sum += running[start + (block + 1 === blocks ? lastLength : length)]! - running[start]!
      }
      return sum
    })
  }

  private startsOf(intervals: number, length: number): Uint32Array {
    const key = `${intervals}/${length}`
    let starts = this.starts.get(key)
    if (starts === undefined) {
      const random = Random.ofSeed(length)
      const blocks = Math.ceil(intervals / length)
      starts = Uint32Array.from({ length: RESAMPLES * blocks }, () => random.below(intervals))
      this.starts.set(key, starts)
    }
    return starts
  }
}

/** Sums of the first 0, 1, 2, ... values of the series repeated twice, for blocks that wrap round. */
function runningSums(series: Float64Array): Float64Array {
  const sums = new Float64Array(2 * series.length + 1)
  for (let i = 0; i < 2 * series.length; i += 1) sums[i + 1] = sums[i]! + series[i % series.length]!
  return sums
}

/** Means of blocks of nearly equal length, together the whole series. */
function blockMeans(series: Float64Array, length: number): Float64Array {
  const blocks = Math.floor(series.length / length)
  return Float64Array.from({ length: blocks }, (_, block) => {
    const from = Math.floor((block * series.length) / blocks)
    const to = Math.floor(((block + 1) * series.length) / blocks)
    return sumOf(series.subarray(from, to)) / (to - from)
  })
}

/** Correlation of neighbouring values, as autocorrelation at lag 1 is estimated. */
function correlation(values: Float64Array): number {
  const { mean } = momentsOf(values)
  let [together, squares] = [0, 0]
  for (let i = 0; i < values.length; i += 1) {
    const now = values[i]! - mean
    squares += now * now
    if (i > 0) together += now * (values[i - 1]! - mean)
  }
  return squares > 0 ? together / squares : 0
}

function momentsOf(values: Float64Array): { readonly mean: number; readonly deviation: number } {
  const mean = sumOf(values) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) }
}

/** Sum in order. */
export function sumOf(values: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < values.length; i += 1) sum += values[i]!
  return sum
}

/** An estimate of something that is bounded: no interval reaches beyond. */
export function within({ value, low, high }: Estimate, least: number, most: number): Estimate {
  return { value, low: Math.max(least, low), high: Math.min(most, high) }
}
