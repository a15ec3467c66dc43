import { padded, pointsOfDepth, simpson, trapezoid } from './dyadic.js'
import { differences, judgement, largest, sumOf } from './judge.js'
import type { Judgement, Level, Question, Rule } from './rule.js'

/** The share of the trapezoid's difference from first order that may be wrong in it, before anything else is known. */
const SHARE_OF_FIRST_DIFFERENCE = 1 / 7

/** How much larger an error may be than what the decay of the differences says. */
const MARGIN = 2

/** What Simpson's differences fall by at best when parts double, and so the error after the last of them: 1/16 / (1 - 1/16). */
const BEST_DECAY = 1 / 16
const BEST_REMAINDER = 1 / 15

/** Combinations from cheap to dear: first order, trapezoid, Simpson with 2, 4, 8, ... parts. */
function combination(index: number): number[] {
  if (index < 0) return [1, 0]
  return index === 0 ? trapezoid(0) : simpson(index)
}

/**
 * The cheapest rule that is good enough for every tensor: the trapezoid on the gradients at the checkpoints, which costs
 * nothing more, then Simpson with 2, 4, 8, ... parts. Depends on nothing but the interval itself.
 *
 * What is known exactly without a further gradient is the sum of all tensors' errors: the residual, since the loss is
 * measured at both ends. It is what scales the estimates, on all splits the largest of any; how much tensors' errors
 * may cancel in it is guarded by how much each tensor's LCA changed last, and how changes and residuals decay. The
 * constants, and how often estimates fall below true errors, are measured: docs/quadrature.md.
 */
export const AUTO: Rule = {
  name: 'auto',
  level(index): Level {
    const compared = index === 0 ? [index - 1] : [index - 1, index - 2]
    return {
      splits: 2 ** index,
      sums: index === 0 ? 0 : 1,
      points: index === 0 ? [] : pointsOfDepth(index),
      integral: combination(index),
      compared: compared.map((earlier) => padded(combination(earlier), index)),
    }
  },
  judge: (question) => (question.restricted ? judgeRestricted(question) : judgeAll(question)),
}

/** Estimates with a residual: it, or what a tensor's last change leaves of it, whichever is larger. */
function judgeAll(question: Question): Promise<Judgement> {
  const residual = Math.max(...question.splits.map((split) => Math.abs(split.residual)))
  const share = question.index === 0 ? SHARE_OF_FIRST_DIFFERENCE : MARGIN * decay(question, residual)
  const estimates = differences(question).map((tensors) =>
    tensors.map((value) => Math.max(residual, share * Math.abs(value))),
  )
  return judgement(question, largest(estimates), estimates)
}

/** How much of the last change is left as error: no less than what residuals and changes fell by. */
function decay(question: Question, residual: number): number {
  const least = question.index === 1 ? 0 : BEST_REMAINDER
  const ofResiduals = ratio(residual, residualBefore(question))
  return Math.min(1, Math.max(least, ofResiduals, decayOfChanges(question)))
}

/** The largest residual that the level before had. */
function residualBefore({ splits }: Question): number {
  return Math.max(
    ...splits.map(({ tensors: [integral, before], residual }) =>
      Math.abs(residual + sumOf(before!) - sumOf(integral!)),
    ),
  )
}

/** The largest change of any tensor's LCA at this level over the largest at the one before. */
function decayOfChanges(question: Question): number {
  return ratio(largest(differences(question, 0, 1)), largest(differences(question, 1, 2)))
}

/**
 * Estimates without a residual, of single tensors and of their sum: the whole last change while there is one Simpson
 * panel at most (the error of the rule before), then the rest of a geometric series with the decay that was seen.
 */
function judgeRestricted(question: Question): Promise<Judgement> {
  const changes = differences(question)
  const seen = question.index < 2 ? 0.5 : Math.min(0.5, Math.max(BEST_DECAY, decayOfChanges(question)))
  const remainder = seen / (1 - seen)
  const estimates = changes.map((tensors) => tensors.map((value) => remainder * Math.abs(value)))
  const sums = changes.map((tensors) => remainder * Math.abs(sumOf(tensors)))
  return judgement(question, Math.max(largest(estimates), ...sums), estimates)
}

function ratio(part: number, whole: number): number {
  if (whole > 0) return part / whole
  return part > 0 ? 1 : 0
}
