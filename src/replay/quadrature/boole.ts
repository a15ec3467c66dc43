import { boole, padded, pointsOfDepth, simpson } from './dyadic.js'
import { judgeByResidual } from './judge.js'
import type { Rule, RulePoint } from './rule.js'

/** In four parts the middle counts less than the quarters: a sum of its own. */
const FIRST: readonly RulePoint[] = [
  { a: 0.25, into: [0, 1] },
  { a: 0.5, into: [1, 0] },
  { a: 0.75, into: [0, 1] },
]

/**
 * Composite Boole over 4, 8, 16, ... parts: Simpson, extrapolated once. Exact for polynomials of degree 5. Estimate:
 * |B(2n) - B(n)| / 63; with four parts the whole difference from Simpson with four, which is Simpson's error.
 */
export const BOOLE: Rule = {
  name: 'boole',
  level(index) {
    const depth = index + 2
    const before = index === 0 ? simpson(depth) : boole(depth - 1)
    return {
      splits: 2 ** depth,
      sums: index === 0 ? 2 : 1,
      points: index === 0 ? FIRST : pointsOfDepth(depth),
      integral: boole(depth),
      compared: [padded(before, depth)],
    }
  },
  judge: (question) => judgeByResidual(question, question.index === 0 ? 1 : 63),
}
