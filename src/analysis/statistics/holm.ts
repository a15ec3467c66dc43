/**
 * p-values corrected for their number by Holm's method (1979): the chance of one or more false rejections at a threshold
 * is at most that threshold, however the tests depend on each other. NaN stays, and counts as no test.
 * @param families how many groups of tests share the threshold
 */
export function holm(ps: readonly number[], families = 1): number[] {
  const tested = [...ps.keys()].filter((i) => !Number.isNaN(ps[i])).sort((a, b) => ps[a]! - ps[b]!)
  const corrected = ps.map(() => NaN)
  let largest = 0
  tested.forEach((test, rank) => {
    largest = Math.max(largest, Math.min(1, families * (tested.length - rank) * ps[test]!))
    corrected[test] = largest
  })
  return corrected
}
