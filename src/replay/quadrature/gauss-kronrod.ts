import { judgeByResidual } from './judge.js'
import type { Rule, RulePoint } from './rule.js'

/**
 * Kronrod's 15 points on [-1, 1], those at and above 0, with their weights and, at Gauss's 7 points, Gauss's weights.
 * QUADPACK's dqk15 (Piessens et al. 1983), rounded to float64.
 */
const NODES: readonly (readonly [x: number, kronrod: number, gauss: number])[] = [
  [0, 0.20948214108472782, 0.4179591836734694],
  [0.20778495500789848, 0.20443294007529889, 0],
  [0.4058451513773972, 0.19035057806478542, 0.3818300505051189],
  [0.5860872354676911, 0.1690047266392679, 0],
  [0.7415311855993945, 0.14065325971552592, 0.27970539148927664],
  [0.8648644233597691, 0.10479001032225019, 0],
  [0.9491079123427585, 0.06309209262997856, 0.1294849661688697],
  [0.9914553711208126, 0.022935322010529224, 0],
]

/** The points of one of `parts` equal parts, ascending. */
function pointsOfPart(part: number, parts: number): RulePoint[] {
  const at = (sign: number, [x, kronrod, gauss]: (typeof NODES)[number]): RulePoint => ({
    a: (part + (1 + sign * x) / 2) / parts,
    into: [kronrod / (2 * parts), gauss / (2 * parts)],
  })
  const below = NODES.slice(1).reverse()
  return [...below.map((node) => at(-1, node)), ...NODES.map((node) => at(1, node))]
}

/**
 * Gauss-Kronrod (7, 15) in each of 1, 2, 4, ... parts. Kronrod's 15 points are exact for polynomials of degree 23,
 * Gauss's 7 among them for degree 13. The ends are not among its points, and parts of half the length have other points,
 * so that a level starts anew. Estimate: the difference between both, which is Gauss's error and far above Kronrod's
 * where the gradient is smooth.
 */
export const GAUSS_KRONROD: Rule = {
  name: 'gauss-kronrod',
  level(index) {
    const splits = 2 ** index
    const earlier = Array.from({ length: 2 + 2 * index }, () => 0)
    return {
      splits,
      sums: 2,
      points: Array.from({ length: splits }, (_, part) => pointsOfPart(part, splits)).flat(),
      integral: [...earlier, 1, 0],
      compared: [[...earlier, 0, 1]],
    }
  },
  judge: (question) => judgeByResidual(question, 1),
}
