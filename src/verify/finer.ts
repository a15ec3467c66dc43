import { SIMPSON } from '../replay/quadrature/simpson.js'
import { padded } from '../replay/quadrature/dyadic.js'
import type { QuadratureName } from '../replay/quadrature/names.js'
import { RULES } from '../replay/quadrature/rules.js'
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

/** What the run did in an interval, and what is called when it was done again. */
export interface OwnWay {
  readonly quadrature: QuadratureName
  /** Parts of the interval in the results. */
  readonly parts: number
  /** Takes LCA by split and tensor as the run's own rule gives it in its own parts; not called for gauss-kronrod. */
  readonly onOwn: (lca: readonly (readonly number[])[]) => void
}

/**
 * How an interval is computed in finer parts than the results': Simpson's rule in 8 parts or more, four times as many as
 * the results have (twice as many from 16 on), refined until the residual is a hundredth of the run's tolerance. Simpson
 * whatever the run's rule was: no gradient is computed twice when parts are halved, and on networks with kinks rules of
 * higher order gain nothing (docs/quadrature.md). Its points contain those of the run's rule, except of Gauss-Kronrod, so
 * that what the run did is done again without a gradient more.
 */
export function finerTask(
  interval: number,
  own: OwnWay,
  {
    tolerance,
    maxSplits = MOST_PARTS,
  }: { readonly tolerance: number; readonly maxSplits?: number | undefined },
): IntervalTask {
  const fewest = fewestParts(own.parts)
  return {
    interval,
    rule: finerRule(fewest, own),
    tolerance: finerTolerance(tolerance),
    maxSplits: Math.max(fewest, maxSplits),
  }
}

/**
 * Simpson's rule that is not content with fewer parts than so many, however small the residual is, which does not bound
 * single tensors; on its way it tells what the run's own rule gives.
 */
function finerRule(fewest: number, own: OwnWay): Rule {
  const combination = combinationOf(own)
  const first = (index: number): boolean =>
    combination !== undefined &&
    combination.length <= 3 + index &&
    (index === 0 || combination.length === 3 + index)
  return {
    ...SIMPSON,
    level(index) {
      const level = SIMPSON.level(index)
      if (!first(index)) return level
      return { ...level, compared: [...level.compared, padded(combination!, index + 1)] }
    },
    async judge(question) {
      if (first(question.index)) own.onOwn(question.splits.map(({ tensors }) => tensors.at(-1)!))
      const judgement = await SIMPSON.judge(question)
      if (SIMPSON.level(question.index).splits >= fewest) return judgement
      return { ...judgement, converged: false, stop: false }
    },
  }
}

/** Coefficients of the run's rule: both ends, then the sums of depths 1, 2, ... as in Simpson's rule (dyadic.ts). */
function combinationOf({ quadrature, parts }: OwnWay): readonly number[] | undefined {
  if (quadrature === 'gauss-kronrod') return undefined
  const rule = RULES[quadrature]
  for (let index = 0; ; index += 1) {
    const { splits, integral } = rule.level(index)
    if (splits >= parts) return splits === parts ? integral : undefined
  }
}
