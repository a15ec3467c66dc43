import { SIMPSON } from '../replay/quadrature/simpson.js'
import type { Rule } from '../replay/quadrature/rule.js'
import type { IntervalTask } from '../replay/recompute.js'

/** Intervals of up to so many parts are cut into four times as many, those of more into twice as many. */
const MANY_PARTS = 8
const FEWEST_PARTS = 8
export const MOST_PARTS = 64
/** The tolerance of the recomputation is so many times smaller than the run's. */
const FINER = 100

export function finerTolerance(tolerance: number): number {
  return tolerance / FINER
}

/** How many parts an interval is cut into at least. */
export function fewestParts(parts: number): number {
  return Math.max(FEWEST_PARTS, parts * (parts > MANY_PARTS ? 2 : 4))
}

/**
 * How an interval is computed in finer parts than the results': Simpson's rule in 8 parts or more, four times as many as
 * the results have (twice as many from 16 on), refined until the residual is a hundredth of the run's tolerance. Simpson
 * whatever the run's rule was: no gradient is computed twice when parts are halved, and on networks with kinks rules of
 * higher order gain nothing (docs/quadrature.md).
 * @param parts of the interval in the results
 */
export function finerTask(
  interval: number,
  parts: number,
  {
    tolerance,
    maxSplits = MOST_PARTS,
  }: { readonly tolerance: number; readonly maxSplits?: number | undefined },
): IntervalTask {
  const fewest = fewestParts(parts)
  return {
    interval,
    rule: notBefore(fewest),
    tolerance: finerTolerance(tolerance),
    maxSplits: Math.max(fewest, maxSplits),
  }
}

/** Simpson's rule that is not content with fewer parts, however small the residual is: it does not bound single tensors. */
function notBefore(parts: number): Rule {
  return {
    ...SIMPSON,
    async judge(question) {
      const judgement = await SIMPSON.judge(question)
      if (SIMPSON.level(question.index).splits >= parts) return judgement
      return { ...judgement, converged: false, stop: false }
    },
  }
}
