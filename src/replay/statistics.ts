import type { FloatArray } from '../tensor.js'

/** What the tables say of one tensor in one interval; columns of `tensors` (docs/architecture.md). */
export interface TensorStatistics {
  readonly lca: number
  readonly lcaHelping: number
  readonly lcaHurting: number
  readonly helping: number
  readonly hurting: number
  readonly still: number
  /** The gradient at the start times the movement. */
  readonly firstOrder: number
  /** The gradient at the start of the interval before times the movement. */
  readonly firstOrderPrevious: number
  readonly updateSquares: number
  readonly gradientSquares: number
  readonly previousSquares: number
  readonly weightSquares: number
}

/** One tensor in one interval: its weights at both ends, gradients at the starts, and its LCA. All of one length. */
export interface TensorInterval {
  readonly from: FloatArray
  readonly to: FloatArray
  readonly start: Float64Array
  readonly previous: Float64Array
  readonly lca: Float64Array
}

/** Sums over the elements of a tensor, in their order, in float64. */
export function tensorStatistics({ from, to, start, previous, lca }: TensorInterval): TensorStatistics {
  let [total, negative, positive, helping, hurting] = [0, 0, 0, 0, 0]
  let [firstOrder, firstOrderPrevious, updates, gradients, previousSquares, weights] = [0, 0, 0, 0, 0, 0]
  for (let i = 0; i < lca.length; i += 1) {
    const [a, g, p, weight] = [lca[i]!, start[i]!, previous[i]!, from[i]!]
    const movement = to[i]! - weight
    total += a
    if (a < 0) {
      helping += 1
      negative += a
    } else if (a > 0) {
      hurting += 1
      positive += a
    }
    firstOrder += g * movement
    firstOrderPrevious += p * movement
    updates += movement * movement
    gradients += g * g
    previousSquares += p * p
    weights += weight * weight
  }
  return {
    lca: total,
    lcaHelping: negative,
    lcaHurting: positive,
    helping,
    hurting,
    still: lca.length - helping - hurting,
    firstOrder,
    firstOrderPrevious,
    updateSquares: updates,
    gradientSquares: gradients,
    previousSquares,
    weightSquares: weights,
  }
}

/** The cosine between the negative gradient and the movement, NaN where one of them is zero. */
export function descentCosine(dot: number, gradientSquares: number, updateSquares: number): number {
  const norms = Math.sqrt(gradientSquares) * Math.sqrt(updateSquares)
  return norms > 0 ? -dot / norms : NaN
}

/** Columns of `units` for one tensor: one entry per unit. */
export interface UnitStatistics {
  readonly lca: Float64Array
  readonly helping: Float64Array
  readonly hurting: Float64Array
  readonly firstOrder: Float64Array
}

export function unitStatistics(
  { from, to, start, lca }: TensorInterval,
  { count, inner }: { readonly count: number; readonly inner: number },
): UnitStatistics {
  const statistics = {
    lca: new Float64Array(count),
    helping: new Float64Array(count),
    hurting: new Float64Array(count),
    firstOrder: new Float64Array(count),
  }
  for (let first = 0, unit = 0; first < lca.length; first += inner, unit = (unit + 1) % count) {
    for (let i = first; i < first + inner; i += 1) {
      const a = lca[i]!
      statistics.lca[unit]! += a
      if (a < 0) statistics.helping[unit]! += 1
      else if (a > 0) statistics.hurting[unit]! += 1
      statistics.firstOrder[unit]! += start[i]! * (to[i]! - from[i]!)
    }
  }
  return statistics
}
