/** Wilcoxon's signed-rank test of values being as likely above zero as below (Wilcoxon 1945). */
export interface SignedRanks {
  /** Two-sided p-value, exact but for ties; 1 where all values are zero. */
  readonly p: number
  /** Sum of the ranks of positive values minus that of negative ones. */
  readonly side: number
}

/** Zeros are left out; values of equal size share the mean of their ranks, rounded against the finding. */
export function signedRanks(values: Float64Array): SignedRanks {
  const ordered = values.filter((value) => value !== 0).sort((a, b) => Math.abs(a) - Math.abs(b))
  const [count, all] = [ordered.length, (ordered.length * (ordered.length + 1)) / 2]
  let positive = 0
  for (let first = 0; first < count;) {
    let last = first + 1
    while (last < count && Math.abs(ordered[last]!) === Math.abs(ordered[first]!)) last += 1
    for (let i = first; i < last; i += 1) if (ordered[i]! > 0) positive += (first + last + 1) / 2
    first = last
  }
  const smaller = Math.ceil(Math.min(positive, all - positive))
  return { p: Math.min(1, 2 * chanceAtMost(smaller, count)), side: 2 * positive - all }
}

/** The chance that the ranks 1 to `count`, each taken or not by a coin, add up to at most `sum`. */
function chanceAtMost(sum: number, count: number): number {
  let chances = Float64Array.of(1)
  for (let rank = 1; rank <= count; rank += 1) {
    const next = new Float64Array(Math.min(sum, chances.length - 1 + rank) + 1)
    for (let i = 0; i < next.length; i += 1)
      next[i] = ((chances[i] ?? 0) + (i >= rank ? (chances[i - rank] ?? 0) : 0)) / 2
    chances = next
  }
  return chances.reduce((total, chance) => total + chance, 0)
}
