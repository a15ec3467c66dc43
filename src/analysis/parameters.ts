import { list, text } from '../tables/query-views.js'
import type { Query } from '../tables/query.js'
import type { TensorTotals } from './groups.js'
import type { ExtremeParameter, ParameterAnalysis } from './model.js'

/** Bins of the histograms of the share of intervals that a parameter helped in. */
const BINS = 50
/** Tensors whose histogram is told by itself. */
const TENSORS = 12
/** Best and worst parameters. */
const EXTREMES = 20
/**
 * What keeps Synaptic Intelligence's importance finite where a parameter came back to where it began (Zenke, Poole and
 * Ganguli 2017, equation 5; their value for split MNIST), in squared units of the parameter.
 */
export const DAMPING = 1e-3

/** Sums of `totals` over the parameters of a tensor on one split. */
export interface TensorSums extends TensorTotals {
  readonly tensor: string
  /** Euclidean norm of the difference of last and first checkpoint. */
  readonly distance: number
  readonly synapticIntelligence: number
  /** NaN where it was not asked for. */
  readonly fisher: number
}

/** Those of a tensor that has no parameters. */
export function emptySums(tensor: string): TensorSums {
  const none = { movementFlips: 0, gradientFlips: 0, lcaFlips: 0, undone: 0 }
  return { tensor, ...none, distance: 0, synapticIntelligence: 0, fisher: NaN }
}

/** Sums over the parameters of each tensor, in no order. */
export function tensorSums(query: Query, split: string): Promise<TensorSums[]> {
  return query.rows<TensorSums>(
    `select tensor,
            sum(movement_flips)::double as "movementFlips", sum(gradient_flips)::double as "gradientFlips",
            sum(lca_flips)::double as "lcaFlips", sum(undone) as undone,
            sqrt(sum(movement * movement)) as distance,
            sum(-lca / (movement * movement + ${DAMPING})) as "synapticIntelligence",
            sum(fisher) as fisher
     from totals where split = ${text(split)} group by tensor`,
  )
}

/** What `totals` say of single parameters on one split; buffers are left out. */
export async function analyzeParameters(
  query: Query,
  split: string,
  { intervals, trained }: { readonly intervals: number; readonly trained: readonly string[] },
): Promise<ParameterAnalysis> {
  const among = `split = ${text(split)} and list_contains(${list(trained)}, tensor)`
  const [counts] = await query.rows<{ parameters: number; neverMoved: number }>(
    `select count(*) as parameters, count(*) filter (path_length = 0) as "neverMoved" from totals where ${among}`,
  )
  const { parameters, neverMoved } = counts!
  const half = await carryingHalf(query, 'lca < 0', among)
  const histograms = await helpedHistograms(query, intervals, among)
  return {
    parameters,
    neverMoved,
    half,
    halfShare: half / parameters,
    hurtingHalf: await carryingHalf(query, 'lca > 0', among),
    helpedHistogram: histograms.reduce(
      (sum, { histogram }) => sum.map((count, bin) => count + histogram[bin]!),
      emptyHistogram(),
    ),
    helpedByTensor: histograms.slice(0, TENSORS),
    best: await extremes(query, 'asc', among),
    worst: await extremes(query, 'desc', among),
  }
}

/** How many parameters, those with the most |LCA| first, carry half of the LCA of all of one sign. */
async function carryingHalf(query: Query, sign: 'lca < 0' | 'lca > 0', among: string): Promise<number> {
  const [row] = await query.rows<{ count: number }>(
    `with one_sign as (select abs(lca) as size from totals where ${among} and ${sign}),
          ranked as (select sum(size) over (order by size desc rows unbounded preceding) as carried from one_sign)
     select if((select count(*) from one_sign) = 0, 0, count(*) + 1) as count
     from ranked where carried < (select sum(size) / 2 from one_sign)`,
  )
  return row!.count
}

async function helpedHistograms(
  query: Query,
  intervals: number,
  among: string,
): Promise<{ readonly tensor: string; readonly histogram: readonly number[] }[]> {
  const rows = await query.rows<{ tensor: string; bin: number; count: number }>(
    `select tensor, least(${BINS - 1}, floor(${BINS} * helped / ${intervals}))::integer as bin, count(*) as count
     from totals where ${among} and path_length > 0 group by all order by tensor, bin`,
  )
  const tensors = new Map<string, number[]>()
  for (const { tensor, bin, count } of rows) {
    const histogram = tensors.get(tensor) ?? emptyHistogram()
    histogram[bin] = count
    tensors.set(tensor, histogram)
  }
  const size = (histogram: readonly number[]): number => histogram.reduce((sum, count) => sum + count, 0)
  return [...tensors]
    .map(([tensor, histogram]) => ({ tensor, histogram }))
    .sort((a, b) => size(b.histogram) - size(a.histogram))
}

function emptyHistogram(): number[] {
  return Array.from({ length: BINS }, () => 0)
}

function extremes(query: Query, order: 'asc' | 'desc', among: string): Promise<ExtremeParameter[]> {
  return query.rows<ExtremeParameter>(
    `select tensor, "index", unit, lca from totals where ${among} and ${order === 'asc' ? 'lca < 0' : 'lca > 0'}
     order by lca ${order}, tensor, "index" limit ${EXTREMES}`,
  )
}
