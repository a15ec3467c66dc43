import { Random } from '../../random.js'
import type { Estimate } from '../model.js'
import { quantile } from './quantile.js'
import { signedRanks } from './signed-ranks.js'
import { studentQuantile, studentTwoSided } from './student.js'

/** Of fewer intervals nothing is estimated: too few blocks are left to tell how far they scatter. */
export const FEWEST_INTERVALS = 20
const RESAMPLES = 2000
/** The two-sided 95 % point of the normal distribution. */
const NORMAL_95 = 1.959963984540054

/** A series in blocks of neighbouring intervals. */
interface Blocks {
  /** Intervals of a block. */
  readonly length: number
  readonly means: Float64Array
  /** Standard error of the mean of the series. */
  readonly error: number
  /** By how much more the error is than that of independent blocks. */
  readonly inflation: number
}

/**
 * A series in blocks of about 0.7 sqrt(intervals). Neighbouring intervals depend on each other (momentum, the order of the
 * batches), so that means of blocks are taken as observations (batch means; Conway 1963). What dependence is left between
 * blocks, as that of an autoregressive series of order 1, widens the error.
 * @returns undefined where the series is too short, has a NaN, or does not vary
 */
function blocksOf(series: Float64Array): Blocks | undefined {
  if (series.length < FEWEST_INTERVALS || series.some(Number.isNaN)) return undefined
  const length = Math.max(2, Math.round(0.7 * Math.sqrt(series.length)))
  const means = blockMeans(series, length)
  const deviation = deviationOf(means)
  if (!(deviation > 0)) return undefined
  const inflation = inflationOf(memoryOf(series, length), length)
  return { length, means, error: (inflation * deviation) / Math.sqrt(means.length), inflation }
}

/**
 * How much of a deviation is left in the next interval: rho of an autoregressive series of order 1, in which differences
 * over two intervals have 1 + rho times the variance of those over one. Differences leave slow trends out, and blocks count
 * alike, however large their deviations are. It is taken a standard error higher than estimated; below zero counts as none.
 */
function memoryOf(series: Float64Array, length: number): number {
  let [ofOne, ofTwo] = [0, 0]
  for (let from = 0; from + length <= series.length; from += length) {
    let [one, two] = [0, 0]
    for (let t = from; t < from + length; t += 1) {
      one += squaredDifference(series, t, 1)
      two += squaredDifference(series, t, 2)
    }
    if (one + two === 0) continue
    ofOne += one / (one + two)
    ofTwo += two / (one + two)
  }
  const rho = ofTwo / ofOne - 1 + 1 / Math.sqrt(series.length)
  return ofOne > 0 ? Math.min(MOST_MEMORY, Math.max(0, rho)) : 0
}

/** Above it the error would be anything. */
const MOST_MEMORY = 0.95

/** Of values `lag` apart; beyond the end, of those as far apart before. */
function squaredDifference(series: Float64Array, t: number, lag: number): number {
  const start = Math.min(t, series.length - 1 - lag)
  return (series[start + lag]! - series[start]!) ** 2
}

/** The standard error of a mean over many blocks, over what independent blocks of the same variance would have. */
function inflationOf(rho: number, length: number): number {
  const many = (length * (1 + rho)) / (1 - rho)
  const one = many - (2 * rho * (1 - rho ** length)) / (1 - rho) ** 2
  return Math.sqrt(many / one)
}

/**
 * p-value, two-sided, of a series having no tendency to be above or below `expected`: twice the smaller one of two tests on
 * the means of its blocks. Student's t sees a mean that stands out from how blocks scatter; Wilcoxon's signed ranks see
 * that most blocks lie on one side, however much larger the first ones are, which in training they are. The ranks count
 * only where they point to the side of the mean.
 * @returns NaN where the series is too short, has a NaN, or does not vary at all
 */
export function tendencyTest(series: Float64Array, expected = 0): number {
  const blocks = blocksOf(series)
  if (blocks === undefined) return NaN
  const { means, error, inflation } = blocks
  const freedom = means.length - 1
  const mean = sumOf(means) / means.length - expected
  const byMean = studentTwoSided(mean / error, freedom)
  const ranks = signedRanks(means.map((value) => value - expected))
  const agrees = Math.sign(ranks.side) === Math.sign(mean)
  // dependence between blocks makes ranks surer than they are by the same factor
  const byRanks = agrees ? studentTwoSided(studentQuantile(ranks.p, freedom) / inflation, freedom) : 1
  return Math.min(1, 2 * Math.min(byMean, byRanks))
}

/**
 * 95 % confidence intervals of sums over the intervals, by the circular block bootstrap (Politis and Romano 1992):
 * intervals are resampled in blocks that wrap round at the end. Its quantiles are too close where blocks are few, or
 * depend on each other; they are moved outwards by what Student's t and the tests' error have more. All series of a length
 * share the same blocks, and the seed is fixed, so that a run always gives the same numbers.
 */
export class BlockBootstrap {
  /** Starts of the blocks of each resample, by the lengths of series and blocks. */
  private readonly starts = new Map<string, Uint32Array>()

  /** The sum of a series, with its interval. */
  sum(series: Float64Array): Estimate {
    const value = sumOf(series)
    const found = blocksOf(series)
    if (found === undefined) return { value, low: NaN, high: NaN }
    const { length, means, inflation } = found
    const blocks = means.length
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

function deviationOf(values: Float64Array): number {
  const mean = sumOf(values) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return Math.sqrt(squares / (values.length - 1))
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
