import { pointsOfDepth, simpson, trapezoid, padded } from './dyadic.js'
import { judgeByResidual } from './judge.js'
import type { Rule } from './rule.js'

/**
 * Composite Simpson over 2, 4, 8, ... parts. Two parts are the paper's Runge-Kutta rule (Lan et al. 2019, section 3.1:
 * points 0, 1/2, 1 with weights 1/6, 4/6, 1/6). Exact for cubics. Estimate: |S(2n) - S(n)| / 15; with two parts, where
 * there is no S(1), the whole difference from the trapezoid, which is the trapezoid's error.
 */
export const SIMPSON: Rule = {
  name: 'simpson',
  level(index) {
    const depth = index + 1
    const before = index === 0 ? trapezoid(0) : simpson(index)
    return {
      splits: 2 ** depth,
      sums: 1,
      points: pointsOfDepth(depth),
      integral: simpson(depth),
      compared: [padded(before, depth)],
    }
  },
  judge: (question) => judgeByResidual(question, question.index === 0 ? 1 : 15),
}
