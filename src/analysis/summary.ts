import type { Results } from '../tables/read.js'
import type { ColumnBatch } from '../tables/schema.js'

/** What a run says at a glance. Losses and LCA are in units of the loss. */
export interface RunSummary {
  readonly intervals: number
  /** The recorded steps, one more than intervals. */
  readonly steps: readonly number[]
  readonly stepUnit: string
  readonly parameters: number
  readonly tensors: number
  readonly splits: readonly SplitSummary[]
}

export interface SplitSummary {
  readonly split: string
  readonly lossFrom: number
  readonly lossTo: number
  readonly lossChange: number
  /** The loss at every checkpoint. */
  readonly losses: readonly number[]
  /** Sum of LCA over all intervals and tensors. */
  readonly lca: number
  /** The largest |residual| of an interval. */
  readonly largestResidual: number
  /** Intervals that converged, on every split. */
  readonly converged: number
  /** Sum of the first-order terms over all intervals. */
  readonly firstOrder: number
  /** Shares of the parameters with LCA below, above and equal to zero, mean over intervals. */
  readonly helping: number
  readonly hurting: number
  readonly still: number
  /** In the network's order. */
  readonly layers: readonly LayerSummary[]
}

export interface LayerSummary {
  readonly layer: string
  readonly parameters: number
  /** Sum over the run. */
  readonly lca: number
  /** Intervals in which the layer's LCA is above zero. */
  readonly hurtIn: number
  /** Its largest LCA of one interval, and that interval. */
  readonly worst: { readonly interval: number; readonly lca: number }
}

type Tensors = ColumnBatch<'tensors', (typeof TENSOR_COLUMNS)[number]>

/** The columns of `tensors` that a summary is made of. */
const TENSOR_COLUMNS = ['split', 'interval', 'tensor', 'layer', 'parameters', 'lca'] as const

/** The summary of a run from its `steps` and `tensors` tables. */
export function summarize(steps: ColumnBatch<'steps'>, tensors: Tensors): RunSummary {
  const layers = new LayerSums()
  layers.add(tensors)
  return summaryOf(steps, layers)
}

/**
 * The summary of a run from its results folder; of `tensors` one row group is in memory at a time.
 * @param steps the table, where it was read already
 */
export async function summarizeResults(
  results: Pick<Results, 'readTable' | 'batches'>,
  steps?: ColumnBatch<'steps'>,
): Promise<RunSummary> {
  const layers = new LayerSums()
  for await (const batch of results.batches('tensors', { columns: TENSOR_COLUMNS })) layers.add(batch)
  return summaryOf(steps ?? (await results.readTable('steps')), layers)
}

function summaryOf(steps: ColumnBatch<'steps'>, layers: LayerSums): RunSummary {
  const { columns } = steps
  const names = [...new Set(columns.split)]
  return {
    intervals: steps.rows / names.length,
    steps: [columns.step_from[0]!, ...rowsOf(columns.split, names[0]!).map((row) => columns.step_to[row]!)],
    stepUnit: columns.step_unit[0]!,
    parameters: columns.parameters[0]!,
    tensors: layers.tensors,
    splits: names.map((split) => summarizeSplit(split, steps, layers)),
  }
}

function rowsOf(column: readonly string[], value: string): number[] {
  return column.flatMap((entry, row) => (entry === value ? [row] : []))
}

function summarizeSplit(split: string, steps: ColumnBatch<'steps'>, layers: LayerSums): SplitSummary {
  const { columns } = steps
  const rows = rowsOf(columns.split, split)
  const total = (column: Float64Array): number => rows.reduce((sum, row) => sum + column[row]!, 0)
  const share = (column: Float64Array): number =>
    rows.reduce((sum, row) => sum + column[row]! / columns.parameters[row]!, 0) / rows.length
  const [lossFrom, lossTo] = [columns.loss_from[rows[0]!]!, columns.loss_to[rows.at(-1)!]!]
  return {
    split,
    lossFrom,
    lossTo,
    lossChange: lossTo - lossFrom,
    losses: [lossFrom, ...rows.map((row) => columns.loss_to[row]!)],
    lca: total(columns.lca),
    largestResidual: rows.reduce((most, row) => Math.max(most, Math.abs(columns.residual[row]!)), 0),
    converged: rows.filter((row) => columns.converged[row]).length,
    firstOrder: total(columns.first_order),
    helping: share(columns.helping),
    hurting: share(columns.hurting),
    still: share(columns.still),
    layers: layers.of(split),
  }
}

/** A layer's sums on one split. Rows come in the order of intervals, so that only the last one is open. */
interface OpenLayer {
  /** Parameters by tensor. */
  readonly tensors: Map<string, number>
  lca: number
  hurtIn: number
  worst: { readonly interval: number; readonly lca: number }
  interval: number
  /** Of the open interval. */
  intervalLca: number
}

/** Sums over the rows of `tensors`, which are added in the table's order, some at a time. */
class LayerSums {
  private readonly splits = new Map<string, Map<string, OpenLayer>>()

  add({ rows, columns }: Tensors): void {
    for (let row = 0; row < rows; row += 1) {
      const layer = this.layer(columns.split[row]!, columns.layer[row]!)
      const interval = columns.interval[row]!
      if (interval !== layer.interval) {
        close(layer)
        layer.interval = interval
      }
      layer.intervalLca += columns.lca[row]!
      layer.tensors.set(columns.tensor[row]!, columns.parameters[row]!)
    }
  }

  /** Number of tensors. */
  get tensors(): number {
    const [first] = this.splits.values()
    return sum([...(first?.values() ?? [])].map(({ tensors }) => tensors.size))
  }

  /** The layers of a split; nothing can be added afterwards. */
  of(split: string): LayerSummary[] {
    return [...(this.splits.get(split) ?? [])].map(([layer, open]) => {
      close(open)
      const { tensors, lca, hurtIn, worst } = open
      return { layer, parameters: sum(tensors.values()), lca, hurtIn, worst }
    })
  }

  private layer(split: string, name: string): OpenLayer {
    let layers = this.splits.get(split)
    if (layers === undefined) this.splits.set(split, (layers = new Map<string, OpenLayer>()))
    let layer = layers.get(name)
    if (layer === undefined) layers.set(name, (layer = newLayer()))
    return layer
  }
}

function newLayer(): OpenLayer {
  const worst = { interval: 0, lca: -Infinity }
  return { tensors: new Map(), lca: 0, hurtIn: 0, worst, interval: -1, intervalLca: 0 }
}

/** Counts the open interval. */
function close(layer: OpenLayer): void {
  const { interval, intervalLca } = layer
  if (interval === -1) return
  layer.lca += intervalLca
  if (intervalLca > 0) layer.hurtIn += 1
  if (intervalLca > layer.worst.lca) layer.worst = { interval, lca: intervalLca }
  layer.interval = -1
  layer.intervalLca = 0
}

function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}
