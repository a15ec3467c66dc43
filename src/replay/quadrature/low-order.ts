import { padded, pointsOfDepth, trapezoid } from './dyadic.js'
import { judgeByResidual } from './judge.js'
import type { Rule } from './rule.js'

/** The gradient at each part's start: ends that are 1 and 0 over the parts, where the trapezoid has half of both. */
function leftSum(depth: number): number[] {
  const part = 1 / 2 ** depth
  return [part, 0, ...Array.from({ length: depth }, () => part)]
}

/**
 * Gradient at the start times movement; in 2, 4, 8, ... parts the gradient at each part's start. Exact for constants.
 * Estimate: the difference from the trapezoid of as many parts, which needs no gradient more.
 */
export const FIRST_ORDER: Rule = {
  name: 'first-order',
  level: (depth) => ({
    splits: 2 ** depth,
    sums: depth === 0 ? 0 : 1,
    points: depth === 0 ? [] : pointsOfDepth(depth),
    integral: leftSum(depth),
    compared: [trapezoid(depth)],
  }),
  judge: (question) => judgeByResidual(question, 1),
}

/**
 * Composite trapezoid over 1, 2, 4, ... parts: one part needs no gradient but those at the checkpoints. Exact for
 * straight lines. Estimate: |T(2n) - T(n)| / 3; with one part the whole difference from first order.
 */
export const TRAPEZOID: Rule = {
  name: 'trapezoid',
  level: (depth) => ({
    splits: 2 ** depth,
    sums: depth === 0 ? 0 : 1,
    points: depth === 0 ? [] : pointsOfDepth(depth),
    integral: trapezoid(depth),
    compared: [depth === 0 ? leftSum(0) : padded(trapezoid(depth - 1), depth)],
  }),
  judge: (question) => judgeByResidual(question, question.index === 0 ? 1 : 3),
}

/**
 * The middles of 1, 2, 4, ... parts. Exact for straight lines. The middles of twice as many parts are other points, so
 * that a level starts anew; what was computed before serves the estimate: a third of the difference from the trapezoid
 * of as many parts, whose points are the ends and all earlier middles and whose error is twice as large, the other way.
 */
export const MIDPOINT: Rule = {
  name: 'midpoint',
  level: (index) => {
    const splits = 2 ** index
    const earlier = Array.from({ length: index }, () => 0)
    return {
      splits,
      sums: 1,
      points: pointsOfDepth(index + 1),
      integral: [0, 0, ...earlier, 1 / splits],
      compared: [padded(trapezoid(index), index + 1)],
    }
  },
  judge: (question) => judgeByResidual(question, 3),
}
