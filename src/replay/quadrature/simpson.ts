import type { Level, Rule } from './rule.js'
export const SIMPSON: Rule = {
  name: 'simpson',
  level(index: number): Level {
    const splits = 2 ** (index + 1)
    const points = Array.from({ length: splits / 2 }, (_, k) => ({ a: (2 * k + 1) / splits, into: [1] }))
    const part = 1 / (3 * splits)
    const sums = Array.from({ length: index + 1 }, (_, i) => (i === index ? 4 : 2) * part)
    return { splits, sums: 1, points, integral: [part, part, ...sums], compared: [] }
  },
  async judge({ splits, tolerance, noiseFloor }) {
    const error = Math.max(...splits.map(({ residual }) => Math.abs(residual)))
    const converged = error <= tolerance
    return { converged, stop: !converged && error <= (await noiseFloor()), error }
  },
}
