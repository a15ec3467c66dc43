import type { GroupAnalysis, Oscillation } from './model.js'
import type { TensorSeries } from './series.js'
import type { BlockBootstrap } from './statistics/blocks.js'
import { tendencyTest, sumOf, within } from './statistics/blocks.js'

/** Sums of columns of `totals` over the parameters of a tensor. */
export interface TensorTotals {
  readonly movementFlips: number
  readonly gradientFlips: number
  readonly lcaFlips: number
  readonly undone: number
}

/** Several tensors taken together: a value per interval. */
export interface GroupSeries {
  readonly parameters: number
  readonly lca: Float64Array
  readonly firstOrder: Float64Array
  /** Shares of the parameters. */
  readonly helping: Float64Array
  readonly hurting: Float64Array
  /** Sum of |LCA| over parameters. */
  readonly absolute: Float64Array
  /** Cosine of the negative gradient at the start of this interval, of the one before, and the movement. */
  readonly cosine: Float64Array
  readonly cosinePrevious: Float64Array
  /** Cosine of the movement of the interval before and this one's. */
  readonly cosineMovement: Float64Array
}

/**
 * Joins the series of tensors: sums, shares and, from norms and cosines, the cosines of the joined vectors. As in `steps`,
 * buffers count in LCA only, unless there is nothing else.
 */
export function joinSeries(all: readonly TensorSeries[]): GroupSeries {
  const intervals = all[0]?.lca.length ?? 0
  const trained = all.filter(({ role }) => role !== 'buffer')
  const members = trained.length > 0 ? trained : all
  const parameters = members.reduce((sum, { parameters: count }) => sum + count, 0)
  const added = (of: (series: TensorSeries, t: number) => number, from = members): Float64Array =>
    Float64Array.from({ length: intervals }, (_, t) => from.reduce((sum, series) => sum + of(series, t), 0))
  return {
    parameters,
    lca: added(({ lca }, t) => lca[t]!, all),
    firstOrder: added(({ first_order }, t) => first_order[t]!, all),
    helping: added(({ helping }, t) => helping[t]! / parameters),
    hurting: added(({ hurting }, t) => hurting[t]! / parameters),
    absolute: added(({ lca_hurting, lca_helping }, t) => lca_hurting[t]! - lca_helping[t]!, all),
    cosine: joinCosines(members, 'cosine', gradientNow, movementNow),
    cosinePrevious: joinCosines(members, 'cosine_previous', gradientBefore, movementNow),
    cosineMovement: joinCosines(members, 'cosine_movement', movementBefore, movementNow),
  }
}

type NormAt = (series: TensorSeries, t: number) => number
const gradientNow: NormAt = ({ gradient_norm }, t) => gradient_norm[t]!
const gradientBefore: NormAt = ({ gradient_norm }, t) => (t > 0 ? gradient_norm[t - 1]! : NaN)
const movementNow: NormAt = ({ update_norm }, t) => update_norm[t]!
const movementBefore: NormAt = ({ update_norm }, t) => (t > 0 ? update_norm[t - 1]! : NaN)

/** The cosine of vectors that consist of the tensors', from the tensors' cosines and norms. */
function joinCosines(
  members: readonly TensorSeries[],
  name: 'cosine' | 'cosine_previous' | 'cosine_movement',
  normA: NormAt,
  normB: NormAt,
): Float64Array {
  if (members.length === 1) return members[0]![name]
  return Float64Array.from({ length: members[0]?.lca.length ?? 0 }, (_, t) => {
    let [dot, squaresA, squaresB] = [0, 0, 0]
    for (const series of members) {
      const [a, b, cosine] = [normA(series, t), normB(series, t), series[name][t]!]
      squaresA += a * a
      squaresB += b * b
      // undefined where one of both is zero, which adds nothing
      if (a * b > 0) dot += cosine * a * b
    }
    return dot / Math.sqrt(squaresA * squaresB)
  })
}

/** What is known of a group over the run. */
export function analyzeGroup(
  name: string,
  series: GroupSeries,
  totals: TensorTotals,
  bootstrap: BlockBootstrap,
): GroupAnalysis {
  return {
    name,
    parameters: series.parameters,
    lca: series.lca,
    total: bootstrap.sum(series.lca),
    firstOrderTotal: sumOf(series.firstOrder),
    hurtIn: series.lca.reduce((count, value) => count + Number(value > 0), 0),
    p: tendencyTest(series.lca),
    helping: meanOf(series.helping),
    hurting: meanOf(series.hurting),
    oscillation: oscillationOf(series, totals, bootstrap),
  }
}

function oscillationOf(series: GroupSeries, totals: TensorTotals, bootstrap: BlockBootstrap): Oscillation {
  // neighbouring pairs of intervals, over all parameters
  const pairs = series.parameters * (series.lca.length - 1)
  const lags = [meanOf(series.cosine.subarray(1)), meanOf(series.cosinePrevious.subarray(1))] as const
  return {
    movementFlips: totals.movementFlips / pairs,
    gradientFlips: totals.gradientFlips / pairs,
    lcaFlips: totals.lcaFlips / pairs,
    undone: totals.undone / sumOf(series.absolute),
    movementCosine: within(bootstrap.mean(defined(series.cosineMovement)), -1, 1),
    cosineAtLag: lags,
    lag: lags[1] > lags[0] ? 1 : 0,
  }
}

/** Mean of the values that are defined. */
export function meanOf(values: Float64Array): number {
  const there = defined(values)
  return sumOf(there) / there.length
}

export function defined(values: Float64Array): Float64Array {
  return values.some(Number.isNaN) ? values.filter((value) => !Number.isNaN(value)) : values
}

/** Sums of several tensors' totals. */
export function joinTotals(totals: readonly TensorTotals[]): TensorTotals {
  const sum = (of: (tensor: TensorTotals) => number): number =>
    totals.reduce((total, tensor) => total + of(tensor), 0)
  return {
    movementFlips: sum((t) => t.movementFlips),
    gradientFlips: sum((t) => t.gradientFlips),
    lcaFlips: sum((t) => t.lcaFlips),
    undone: sum((t) => t.undone),
  }
}
