import type { Terms } from '../engines/engine.js'

/** The mean loss of a split from the sums of its groups, added in their order and divided once. */
export function meanLoss(groups: readonly Terms[]): number {
  let [numerator, denominator] = [0, 0]
  for (const group of groups) {
    numerator += group.numerator
    denominator += group.denominator
  }
  return numerator / denominator
}
