import type { Expectations } from './compare.js'
import type { Pair, SplitDistance, Verdict } from './model.js'
import type { StoredResults } from './stored.js'

/** Differences up to this share of what moved, or of the tolerance of the run, are rounding: of float32 on any device. */
const ROUNDING_OF_MOVED = 1e-3
const ROUNDING_OF_TOLERANCE = 0.1

/** What a verdict follows from, in units of the loss. */
export interface Evidence {
  readonly distance: number
  readonly tolerance: number
  /** NaN where the run's own way was not gone again. */
  readonly reproduced: number
  readonly rounding: number
  /** Sum of the largest |residual| of the results and of the recomputation. */
  readonly residuals: number
}

/** Where the run's own way was not gone again, twice the residuals is what its integral may be off by. */
export function verdictOf({ distance, tolerance, reproduced, rounding, residuals }: Evidence): Verdict {
  if (distance <= tolerance) return 'agrees'
  const explained = Number.isNaN(reproduced) ? distance <= 2 * residuals : reproduced <= rounding
  return explained ? 'imprecise' : 'differs'
}

/** Sum of the largest |residual| of the results and of the recomputation. */
export function residualsOf(splits: readonly SplitDistance[]): number {
  const largest = (of: keyof Pair): number => Math.max(...splits.map(({ residual }) => known(residual[of])))
  return largest('stored') + largest('recomputed')
}

/** See IntervalVerification.reproduced. */
export function reproduction(
  stored: StoredResults,
  splits: readonly SplitDistance[],
  { names, own }: Expectations,
  interval: number,
): number {
  if (own === undefined) return NaN
  const gaps = splits.flatMap(({ split, lossFrom, lossTo }) => {
    const [was, now] = [stored.tensorsOf(split, interval), own.get(split)!]
    const tensors = [...names.tensors].map(([tensor, name]) => ({
      stored: was.get(tensor)!,
      recomputed: now.get(name)!,
    }))
    return [lossFrom, lossTo, ...tensors].map(apart)
  })
  return Math.max(...gaps)
}

/** How far rounding may bring the numbers of an interval, in units of the loss. */
export function roundingOf(splits: readonly SplitDistance[], runTolerance: number): number {
  const moved = Math.max(...splits.map((split) => split.moved))
  return Math.max(ROUNDING_OF_MOVED * moved, ROUNDING_OF_TOLERANCE * runTolerance)
}

/** The absolute difference; infinite where one is no number and the other is. */
export function apart({ stored, recomputed }: Pair): number {
  if (Number.isNaN(stored) && Number.isNaN(recomputed)) return 0
  const difference = Math.abs(stored - recomputed)
  return Number.isNaN(difference) ? Infinity : difference
}

function known(residual: number): number {
  return Number.isNaN(residual) ? 0 : Math.abs(residual)
}
