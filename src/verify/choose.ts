import { UsageError } from '../errors.js'
import { Random } from '../random.js'
import type { VerifyOptions } from './model.js'

/** What is known of an interval before anything is computed; the largest of its splits. */
export interface IntervalFacts {
  readonly interval: number
  /** |residual|; NaN where LCA is restricted to some tensors. */
  readonly residual: number
  /** |LCA| */
  readonly lca: number
}

/** Intervals that are verified where nothing is said. */
const USUAL_COUNT = 6

/**
 * Chooses intervals, ascending: those that are named, all where there are no more than asked for, or that of the largest
 * residual, that of the largest LCA, and one at random from each of as many equal stretches of the others as are left.
 * The same seed chooses the same.
 * @param facts of all intervals of the results, ascending
 * @throws UsageError where an interval is named that the results don't have
 */
export function chooseIntervals(
  facts: readonly IntervalFacts[],
  { intervals = USUAL_COUNT, seed = 0 }: Pick<VerifyOptions, 'intervals' | 'seed'>,
): number[] {
  const all = facts.map(({ interval }) => interval)
  if (intervals === 'all') return all
  if (typeof intervals !== 'number') return named(all, intervals)
  if (!Number.isSafeInteger(intervals) || intervals < 1)
    throw new UsageError(`--intervals ${intervals}: a whole number from 1 on is needed`)
  if (!Number.isSafeInteger(seed)) throw new UsageError(`--seed ${seed}: a whole number is needed`)
  if (intervals >= all.length) return all
  const largest = [of(facts, 'residual'), of(facts, 'lca')].filter((one) => one !== undefined)
  const always = [...new Set(largest)].slice(0, intervals)
  const others = all.filter((interval) => !always.includes(interval))
  return [...always, ...spread(others, intervals - always.length, seed)].sort((a, b) => a - b)
}

function named(all: readonly number[], wanted: readonly number[]): number[] {
  const strange = wanted.find((interval) => !all.includes(interval))
  if (strange !== undefined)
    throw new UsageError(
      `--intervals ${strange}: the results hold the intervals ${all[0] ?? 0} to ${all.at(-1) ?? 0}, counted from 0`,
    )
  if (wanted.length === 0) throw new UsageError('--intervals: name one interval at least')
  return [...new Set(wanted)].sort((a, b) => a - b)
}

/** The first interval whose value is largest; undefined where there is no value. */
function of(facts: readonly IntervalFacts[], what: 'residual' | 'lca'): number | undefined {
  const known = facts.filter((one) => !Number.isNaN(one[what]))
  if (known.length === 0) return undefined
  return known.reduce((most, one) => (one[what] > most[what] ? one : most)).interval
}

/** One of each of `count` stretches of equal length. */
function spread(intervals: readonly number[], count: number, seed: number): number[] {
  const random = Random.ofSeed(seed)
  const start = (stretch: number): number => Math.floor((stretch * intervals.length) / count)
  return Array.from({ length: count }, (_, stretch) => {
    const [from, to] = [start(stretch), start(stretch + 1)]
    return intervals[from + random.below(to - from)]!
  })
}
