import { column, type Column, type ColumnType } from './column.js'

/** The version of the tables' columns and of manifest.json; a reader refuses any other. */
export const SCHEMA_VERSION = 3

export const GRANULARITIES = ['tensor', 'unit', 'parameter'] as const
/** How far the per-interval tables go down; each granularity holds the tables of the coarser ones too. */
export type Granularity = (typeof GRANULARITIES)[number]

export const ROLES = ['weight', 'bias', 'norm', 'embedding', 'buffer'] as const
/** What a tensor does in its layer; a buffer moves without being trained. */
export type Role = (typeof ROLES)[number]

export const STEP_UNITS = ['step', 'epoch', 'iteration', 'save'] as const

const SPLIT = column('split', 'string', 'Name of the data set that the loss is averaged over.')
const INTERVAL = column('interval', 'int32', 'Interval between two checkpoints, counted from 0.')
const STEP_FROM = column('step_from', 'int64', 'Step of the checkpoint that the interval starts at.')
const STEP_TO = column('step_to', 'int64', 'Step of the checkpoint that the interval ends at.')
const TENSOR = column('tensor', 'string', 'Name of the weight array.')
const FIRST_ORDER = column(
  'first_order',
  'float64',
  'Gradient at the start of the interval times the movement, summed.',
)
const UPDATE_NORM = column('update_norm', 'float64', 'Euclidean norm of the movement.')
const GRADIENT_NORM = column('gradient_norm', 'float64', 'Euclidean norm of the gradient at the start.')
const COSINE = column(
  'cosine',
  'float64',
  'Cosine between the negative gradient at the start and the movement; NaN where undefined.',
)
const COSINE_MOVEMENT = column(
  'cosine_movement',
  'float64',
  'Cosine between the movement of the interval before and the movement of this one; NaN in interval 0 and where undefined.',
)
const LCA_SE = column('lca_se', 'float64', 'Standard error of lca; NaN unless the data was sampled.')

const STEPS = [
  SPLIT,
  INTERVAL,
  STEP_FROM,
  STEP_TO,
  column('loss_from', 'float64', 'Loss at the start of the interval.'),
  column('loss_to', 'float64', 'Loss at the end of the interval.'),
  column('loss_change', 'float64', 'loss_to - loss_from.'),
  column('lca', 'float64', 'Loss change allocated to all tensors, buffers included when they move the loss.'),
  column(
    'residual',
    'float64',
    'lca - loss_change: how far the quadrature is from conservation; NaN where LCA is restricted to some tensors.',
  ),
  column(
    'rest',
    'float64',
    'loss_change - lca: what the tensors carry that LCA is not allocated to; NaN where there are none.',
  ),
  FIRST_ORDER,
  column('splits', 'int32', 'Number of equal parts that the interval was cut into; 2 is one Simpson panel.'),
  column(
    'evaluations',
    'int32',
    'Gradients newly computed for this row; the one at the start is charged to the interval before.',
  ),
  column('converged', 'bool', '|residual| is within the tolerance on every split.'),
  column('parameters', 'int64', 'Number of parameters, buffers left out.'),
  column('helping', 'int64', 'Number of parameters with LCA below zero, buffers left out.'),
  column('hurting', 'int64', 'Number of parameters with LCA above zero, buffers left out.'),
  column('still', 'int64', 'Number of parameters with LCA equal to zero, buffers left out.'),
  UPDATE_NORM,
  GRADIENT_NORM,
  COSINE,
  COSINE_MOVEMENT,
  LCA_SE,
  column('loss_change_se', 'float64', 'Standard error of loss_change; NaN unless the data was sampled.'),
  column('step_unit', 'string', 'What a step counts: step, epoch, iteration or save.'),
] as const

const TENSORS = [
  SPLIT,
  INTERVAL,
  STEP_FROM,
  STEP_TO,
  TENSOR,
  column('layer', 'string', 'Module that owns the tensor.'),
  column('role', 'string', 'weight, bias, norm, embedding or buffer.'),
  column('parameters', 'int64', 'Number of parameters in the tensor.'),
  column('lca', 'float64', 'Loss change allocated to the tensor.'),
  column('lca_helping', 'float64', 'Sum over the parameters with LCA below zero.'),
  column('lca_hurting', 'float64', 'Sum over the parameters with LCA above zero.'),
  column('helping', 'int64', 'Number of parameters with LCA below zero.'),
  column('hurting', 'int64', 'Number of parameters with LCA above zero.'),
  column('still', 'int64', 'Number of parameters with LCA equal to zero.'),
  FIRST_ORDER,
  UPDATE_NORM,
  GRADIENT_NORM,
  COSINE,
  column(
    'cosine_previous',
    'float64',
    'Cosine between the negative gradient at the start of the interval before and the movement of this one.',
  ),
  COSINE_MOVEMENT,
  column('weight_norm', 'float64', 'Euclidean norm of the weights at the start of the interval.'),
  LCA_SE,
] as const

const UNITS = [
  SPLIT,
  INTERVAL,
  STEP_FROM,
  STEP_TO,
  TENSOR,
  column('unit', 'int32', "Output neuron or channel: the index along the tensor's output axis."),
  column('lca', 'float64', 'Loss change allocated to the unit.'),
  column('helping', 'int64', 'Number of parameters of the unit with LCA below zero.'),
  column('hurting', 'int64', 'Number of parameters of the unit with LCA above zero.'),
  FIRST_ORDER,
] as const

const PARAMETERS = [
  SPLIT,
  INTERVAL,
  STEP_FROM,
  STEP_TO,
  TENSOR,
  column('shape', 'list<int32>', "The tensor's shape in the checkpoint's layout."),
  column('lca', 'list<float32>', 'Loss change allocated to each parameter, in row-major order.'),
] as const

const SUMS = [
  column('index', 'int32', "Row-major position in the tensor, in the checkpoint's layout."),
  column('unit', 'int32', 'Unit that the parameter belongs to.'),
  column('lca', 'float64', 'Loss change allocated to the parameter over the intervals.'),
  column('helped', 'int32', 'Number of intervals in which its LCA is below zero.'),
  column('hurt', 'int32', 'Number of intervals in which its LCA is above zero.'),
  column('lca_flips', 'int32', 'Sign changes of its LCA between intervals.'),
  column('movement_flips', 'int32', 'Sign changes of its movement between intervals.'),
  column('gradient_flips', 'int32', 'Sign changes of its gradient between intervals.'),
  column('undone', 'float64', 'LCA taken back in the next interval.'),
  column(
    'movement',
    'float64',
    'Sum of the movements of the intervals: value at the last checkpoint minus value at the first.',
  ),
  column('path_length', 'float64', 'Sum of the absolute movements of the intervals.'),
] as const

const TOTALS = [
  SPLIT,
  TENSOR,
  ...SUMS,
  column(
    'fisher',
    'float64',
    'Diagonal of the empirical Fisher information at the last checkpoint; NaN unless asked for, and of buffers.',
  ),
] as const

const BLOCKS = [
  SPLIT,
  column('block', 'int32', 'Block of 32 intervals, counted from 0: intervals 32 block to 32 block + 31.'),
  TENSOR,
  ...SUMS,
] as const

interface TableDefinition {
  readonly description: string
  /** The coarsest granularity at which the table is written. */
  readonly from: Granularity
  /** Whether rows belong to intervals, so that a file holds those of a block, or to the whole run. */
  readonly rowsOf: 'interval' | 'run'
  /** Whether only a part of a run (`--intervals`) has the table, to be joined with the others. */
  readonly ofParts?: true
  readonly columns: readonly Column[]
}

/** Every table of a results folder with its columns, in the order they are stored. No column holds nulls. */
export const TABLES = {
  steps: {
    description: 'One row per split and interval.',
    from: 'tensor',
    rowsOf: 'interval',
    columns: STEPS,
  },
  tensors: {
    description: 'One row per split, interval and tensor.',
    from: 'tensor',
    rowsOf: 'interval',
    columns: TENSORS,
  },
  units: {
    description: 'One row per split, interval, tensor and unit.',
    from: 'unit',
    rowsOf: 'interval',
    columns: UNITS,
  },
  parameters: {
    description: 'One row per split, interval and tensor, holding the LCA of each of its parameters.',
    from: 'parameter',
    rowsOf: 'interval',
    columns: PARAMETERS,
  },
  totals: {
    description: 'One row per split and parameter, over the whole run.',
    from: 'tensor',
    rowsOf: 'run',
    columns: TOTALS,
  },
  blocks: {
    description:
      'One row per split, block of 32 intervals and parameter, of a part of a run only: what `retrograd merge` joins.',
    from: 'tensor',
    rowsOf: 'interval',
    ofParts: true,
    columns: BLOCKS,
  },
} as const satisfies Record<string, TableDefinition>

export type TableName = keyof typeof TABLES
export const TABLE_NAMES = [
  'steps',
  'tensors',
  'units',
  'parameters',
  'totals',
  'blocks',
] as const satisfies TableName[]

type ColumnOf<T extends TableName> = (typeof TABLES)[T]['columns'][number]
export type ColumnName<T extends TableName> = ColumnOf<T>['name']
/** The element type of a table's column. */
export type TypeOf<T extends TableName, N extends ColumnName<T>> = Extract<ColumnOf<T>, { name: N }>['type']

/** A column's values on the way in: one per row, or a single one for all rows. A list column takes one list per row. */
export interface InputOf extends Record<ColumnType, unknown> {
  string: string | readonly string[]
  int32: number | ArrayLike<number>
  int64: number | ArrayLike<number>
  float64: number | ArrayLike<number>
  bool: boolean | readonly boolean[]
  'list<int32>': readonly ArrayLike<number>[]
  'list<float32>': readonly ArrayLike<number>[]
}

/** Rows of a table as columns: an array per column, or a scalar that holds for every row. */
export type Batch<T extends TableName> = { readonly [N in ColumnName<T>]: InputOf[TypeOf<T, N>] }

/** A column's values as read. int64 comes as numbers, which are exact: a value beyond 2^53 is refused. */
export interface OutputOf extends Record<ColumnType, unknown> {
  string: readonly string[]
  int32: Int32Array
  int64: Float64Array
  float64: Float64Array
  bool: readonly boolean[]
  'list<int32>': readonly Int32Array[]
  'list<float32>': readonly Float32Array[]
}

/** Rows of a table as read: `rows` values in every column. */
export interface ColumnBatch<T extends TableName, N extends ColumnName<T> = ColumnName<T>> {
  readonly rows: number
  readonly columns: { readonly [C in N]: OutputOf[TypeOf<T, C>] }
}

/** The columns of a table in the order they are stored. */
export function columnsOf(table: TableName): readonly Column[] {
  return TABLES[table].columns
}

/** The tables that a run of this granularity writes, or a part of one. */
export function tablesAt(granularity: Granularity, of: 'run' | 'part' = 'run'): readonly TableName[] {
  const depth = GRANULARITIES.indexOf(granularity)
  const written = ({ from, ofParts }: TableDefinition): boolean =>
    GRANULARITIES.indexOf(from) <= depth && (ofParts === undefined || of === 'part')
  return TABLE_NAMES.filter((name) => written(TABLES[name]))
}
