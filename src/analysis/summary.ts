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

/** The summary of a run from its `steps` and `tensors` tables. */
export function summarize(steps: ColumnBatch<'steps'>, tensors: ColumnBatch<'tensors'>): RunSummary {
  const { columns } = steps
  const names = [...new Set(columns.split)]
  return {
    intervals: steps.rows / names.length,
    steps: [columns.step_from[0]!, ...rowsOf(columns.split, names[0]!).map((row) => columns.step_to[row]!)],
    stepUnit: columns.step_unit[0]!,
    parameters: columns.parameters[0]!,
    tensors: new Set(tensors.columns.tensor).size,
    splits: names.map((split) => summarizeSplit(split, steps, tensors)),
  }
}

function rowsOf(column: readonly string[], value: string): number[] {
  return column.flatMap((entry, row) => (entry === value ? [row] : []))
}

function summarizeSplit(
  split: string,
  steps: ColumnBatch<'steps'>,
  tensors: ColumnBatch<'tensors'>,
): SplitSummary {
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
    largestResidual: Math.max(...rows.map((row) => Math.abs(columns.residual[row]!))),
    converged: rows.filter((row) => columns.converged[row]).length,
    firstOrder: total(columns.first_order),
    helping: share(columns.helping),
    hurting: share(columns.hurting),
    still: share(columns.still),
    layers: summarizeLayers(split, tensors),
  }
}

function summarizeLayers(split: string, { columns }: ColumnBatch<'tensors'>): LayerSummary[] {
  const layers = new Map<string, { perInterval: Map<number, number>; tensors: Map<string, number> }>()
  for (const row of rowsOf(columns.split, split)) {
    const name = columns.layer[row]!
    const layer = layers.get(name) ?? {
      perInterval: new Map<number, number>(),
      tensors: new Map<string, number>(),
    }
    layers.set(name, layer)
    const interval = columns.interval[row]!
    layer.perInterval.set(interval, (layer.perInterval.get(interval) ?? 0) + columns.lca[row]!)
    layer.tensors.set(columns.tensor[row]!, columns.parameters[row]!)
  }
  return [...layers].map(([layer, { perInterval, tensors }]) => ({
    layer,
    parameters: sum(tensors.values()),
    lca: sum(perInterval.values()),
    hurtIn: [...perInterval.values()].filter((lca) => lca > 0).length,
    worst: [...perInterval].reduce(
      (worst, [interval, lca]) => (lca > worst.lca ? { interval, lca } : worst),
      { interval: 0, lca: -Infinity },
    ),
  }))
}

function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}
