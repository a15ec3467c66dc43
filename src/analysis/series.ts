import type { Results } from '../tables/read.js'
import type { ColumnBatch, Role } from '../tables/schema.js'

/** The columns of `steps` and `tensors` that become series: one value per interval. */
const STEP_SERIES = ['lca', 'residual', 'loss_change', 'first_order'] as const
const STEP_COLUMNS = [
  'split',
  'interval',
  'step_from',
  'step_to',
  'step_unit',
  'loss_from',
  'loss_to',
  'converged',
  'splits',
  'parameters',
  'helping',
  'hurting',
  'still',
  ...STEP_SERIES,
] as const
const TENSOR_SERIES = [
  'lca',
  'lca_helping',
  'lca_hurting',
  'helping',
  'hurting',
  'first_order',
  'update_norm',
  'gradient_norm',
  'cosine',
  'cosine_previous',
  'cosine_movement',
  'weight_norm',
] as const
const TENSOR_COLUMNS = [
  'split',
  'interval',
  'tensor',
  'layer',
  'role',
  'parameters',
  ...TENSOR_SERIES,
] as const

type Steps = ColumnBatch<'steps', (typeof STEP_COLUMNS)[number]>
type Tensors = ColumnBatch<'tensors', (typeof TENSOR_COLUMNS)[number]>

/** Columns of `tensors` for one tensor on one split, a value per interval, in the table's names and units. */
export type TensorSeries = Readonly<Record<(typeof TENSOR_SERIES)[number], Float64Array>> & {
  readonly tensor: string
  readonly layer: string
  readonly role: Role
  readonly parameters: number
}

/** The tables of a run on one split as series. */
export interface SplitSeries extends Readonly<Record<(typeof STEP_SERIES)[number], Float64Array>> {
  readonly split: string
  /** The loss at every checkpoint: intervals + 1 values. */
  readonly losses: Float64Array
  /** Shares of the parameters. */
  readonly helping: Float64Array
  readonly hurting: Float64Array
  readonly still: Float64Array
  readonly converged: readonly boolean[]
  /** In the network's order. */
  readonly tensors: readonly TensorSeries[]
}

/** `steps` and `tensors` of a run as series. */
export interface RunSeries {
  readonly intervals: number
  /** The interval that the series begin with: 0, but for a part of a run. */
  readonly firstInterval: number
  /** Steps of the checkpoints: intervals + 1 values. */
  readonly steps: readonly number[]
  readonly stepUnit: string
  /** Trained parameters. */
  readonly parameters: number
  readonly stepsTable: Steps
  readonly splits: readonly SplitSeries[]
}

/** Reads `steps` and `tensors`; of the latter a row group at a time. Throws ResultsError as reading does. */
export async function readSeries(results: Pick<Results, 'readTable' | 'batches'>): Promise<RunSeries> {
  const stepsTable = await results.readTable('steps', { columns: STEP_COLUMNS })
  const { columns } = stepsTable
  const names = [...new Set(columns.split)]
  const intervals = stepsTable.rows / names.length
  const firstInterval = columns.interval[0] ?? 0
  const tensors = new TensorGathering(intervals, firstInterval)
  for await (const batch of results.batches('tensors', { columns: TENSOR_COLUMNS })) tensors.add(batch)
  const first = rowsOf(columns.split, names[0]!)
  return {
    intervals,
    firstInterval,
    steps: [columns.step_from[0]!, ...first.map((row) => columns.step_to[row]!)],
    stepUnit: columns.step_unit[0] ?? 'step',
    parameters: columns.parameters[0] ?? 0,
    stepsTable,
    splits: names.map((split) => splitSeries(split, stepsTable, tensors.of(split))),
  }
}

function splitSeries(split: string, { columns }: Steps, tensors: readonly TensorSeries[]): SplitSeries {
  const rows = rowsOf(columns.split, split)
  const series = (column: Float64Array): Float64Array => Float64Array.from(rows, (row) => column[row]!)
  const share = (column: Float64Array): Float64Array =>
    Float64Array.from(rows, (row) => column[row]! / columns.parameters[row]!)
  return {
    split,
    losses: Float64Array.of(columns.loss_from[rows[0]!]!, ...rows.map((row) => columns.loss_to[row]!)),
    lca: series(columns.lca),
    residual: series(columns.residual),
    loss_change: series(columns.loss_change),
    first_order: series(columns.first_order),
    helping: share(columns.helping),
    hurting: share(columns.hurting),
    still: share(columns.still),
    converged: rows.map((row) => columns.converged[row]!),
    tensors,
  }
}

function rowsOf(column: readonly string[], value: string): number[] {
  return column.flatMap((entry, row) => (entry === value ? [row] : []))
}

/** Puts the rows of `tensors`, which come some at a time, in their places. */
class TensorGathering {
  private readonly splits = new Map<string, Map<string, TensorSeries>>()

  constructor(
    private readonly intervals: number,
    private readonly first: number,
  ) {}

  add({ rows, columns }: Tensors): void {
    for (let row = 0; row < rows; row += 1) {
      const series = this.seriesOf(columns, row)
      const at = columns.interval[row]! - this.first
      for (const name of TENSOR_SERIES) series[name][at] = columns[name][row]!
    }
  }

  of(split: string): TensorSeries[] {
    return [...(this.splits.get(split)?.values() ?? [])]
  }

  private seriesOf(columns: Tensors['columns'], row: number): TensorSeries {
    const [split, tensor] = [columns.split[row]!, columns.tensor[row]!]
    let tensors = this.splits.get(split)
    if (tensors === undefined) this.splits.set(split, (tensors = new Map<string, TensorSeries>()))
    let series = tensors.get(tensor)
    if (series === undefined) {
      const arrays = TENSOR_SERIES.map((name) => [name, new Float64Array(this.intervals).fill(NaN)] as const)
      series = {
        tensor,
        layer: columns.layer[row]!,
        role: columns.role[row] as Role,
        parameters: columns.parameters[row]!,
        ...(Object.fromEntries(arrays) as Record<(typeof TENSOR_SERIES)[number], Float64Array>),
      }
      tensors.set(tensor, series)
    }
    return series
  }
}
