import type { StepUnit } from '../checkpoint.js'
import { listSteps, type Problem } from './problem.js'

/** How far checkpoints are apart. */
export interface Spacing {
  readonly smallest: number
  readonly largest: number
  /** The distance of at least REGULAR_SHARE of all neighbours, if there is one. */
  readonly regular?: number
}

/** From this share on, a spacing is the plan and what departs from it an exception. */
const REGULAR_SHARE = 0.6

/** More steps than this are counted, not listed one by one. */
const MAX_LISTED = 10_000

/** How far the steps of a trajectory are apart; steps are ascending, at least two. */
export function spacingOf(steps: readonly number[]): Spacing {
  const distances = distancesOf(steps)
  const counts = new Map<number, number>()
  for (const distance of distances) counts.set(distance, (counts.get(distance) ?? 0) + 1)
  const [most, count] = [...counts].reduce((best, next) => (next[1] > best[1] ? next : best))
  return {
    smallest: Math.min(...distances),
    largest: Math.max(...distances),
    ...(count >= REGULAR_SHARE * distances.length && { regular: most }),
  }
}

/**
 * Steps that a regular spacing promises and the archive lacks: a gap of several spacings next to one of a single spacing.
 * Spacings that change on purpose (dense at first, sparse later) show no gap.
 */
export function findMissingSteps(steps: readonly number[], unit: StepUnit): Problem[] {
  const { regular } = spacingOf(steps)
  if (regular === undefined || regular === 0 || steps.length < 4) return []
  const distances = distancesOf(steps)
  const missing: number[] = []
  for (const [i, distance] of distances.entries()) {
    const besideRegular = distances[i - 1] === regular || distances[i + 1] === regular
    if (distance <= regular || distance % regular !== 0 || !besideRegular) continue
    for (let step = steps[i]! + regular; step < steps[i + 1]! && missing.length < MAX_LISTED; step += regular)
      missing.push(step)
  }
  if (missing.length === 0) return []
  const message =
    `${listSteps(missing, unit)} ${missing.length === 1 ? 'is' : 'are'} missing: checkpoints are ` +
    `${regular} ${unit}${regular === 1 ? '' : 's'} apart elsewhere; the interval across the gap is replayed as one straight segment`
  return [{ kind: 'missing-steps', message, steps: missing }]
}

function distancesOf(steps: readonly number[]): number[] {
  return steps.slice(1).map((step, i) => step - steps[i]!)
}
