import type { ColumnBatch } from '../tables/schema.js'

type Columns = Pick<
  ColumnBatch<'steps'>['columns'],
  | 'split'
  | 'step_from'
  | 'step_to'
  | 'step_unit'
  | 'loss_change'
  | 'lca'
  | 'residual'
  | 'first_order'
  | 'splits'
  | 'converged'
>

/** The columns of `steps` that curvature is told by. */
export interface StepColumns {
  readonly columns: Columns
}

/**
 * How far the straight segments between checkpoints may be from the path that the optimizer took. Only the loss along
 * the segments is known, not the path: where checkpoints are several steps apart and the slope of the loss changes much
 * along a segment, the steps in between saw other gradients than the segment has, and went elsewhere.
 */
export interface Curvature {
  readonly intervals: number
  /** What a step counts: step, epoch, iteration or save. */
  readonly stepUnit: string
  /** step_to - step_from of the intervals. */
  readonly stride: { readonly min: number; readonly median: number; readonly max: number }
  /** Intervals cut into as many parts as allowed that did not converge. */
  readonly atLimit: number
  /** Intervals along which the slope of the first split's loss turns round, more than doubles or more than halves. */
  readonly curved: number
  /** Those of them that skip steps of the optimizer. */
  readonly doubtful: number
  /** The share of the loss's movement in them: sums of the larger of |first_order| and |loss_change|; 0 to 1. */
  readonly share: number
}

/**
 * Tells curvature from the `steps` table.
 *
 * The slope of the loss along a segment is first_order at its start. With one second difference for the whole segment,
 * loss_change = first_order + change of the slope / 2, so that the slope changes by 2 (loss_change - first_order). The
 * first split counts, which is the training data: the optimizer went down its loss.
 * @param maxSplits the most parts that an interval was cut into
 */
export function measureCurvature({ columns }: StepColumns, maxSplits: number): Curvature {
  const rows = [...columns.split.keys()].filter((row) => columns.split[row] === columns.split[0])
  const strides = rows.map((row) => strideOf(columns, row)).sort((a, b) => a - b)
  const stepUnit = columns.step_unit[0] ?? 'step'
  const curved = rows.filter((row) => isCurved(columns, row))
  const doubtful = curved.filter((row) => skipsSteps(strideOf(columns, row), stepUnit))
  const movement = (of: readonly number[]): number =>
    of.reduce(
      (sum, row) => sum + Math.max(Math.abs(columns.first_order[row]!), Math.abs(change(columns, row))),
      0,
    )
  return {
    intervals: rows.length,
    stepUnit,
    stride: { min: strides[0]!, median: median(strides), max: strides.at(-1)! },
    atLimit: rows.filter((row) => columns.splits[row]! >= maxSplits && !columns.converged[row]).length,
    curved: curved.length,
    doubtful: doubtful.length,
    share: doubtful.length === 0 ? 0 : movement(doubtful) / movement(rows),
  }
}

/** Where LCA is restricted to some tensors, first_order is theirs, and lca is what it is to be compared with. */
function change({ loss_change, lca, residual }: Columns, row: number): number {
  return Number.isNaN(residual[row]) ? lca[row]! : loss_change[row]!
}

function isCurved(columns: Columns, row: number): boolean {
  const start = columns.first_order[row]!
  const end = start + 2 * (change(columns, row) - start)
  return end * start < 0 || Math.abs(end) > 2 * Math.abs(start) || Math.abs(end) < Math.abs(start) / 2
}

/** An epoch is many steps of the optimizer; of saves nothing is known but their order. */
export function skipsSteps(stride: number, stepUnit: string): boolean {
  return stepUnit === 'epoch' || stride > 1
}

function strideOf({ step_from, step_to }: Columns, row: number): number {
  return step_to[row]! - step_from[row]!
}

function median(sorted: readonly number[]): number {
  const middle = sorted.length / 2
  return (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2
}

/**
 * The share of the loss's movement from which curved segments are worth a warning. Healthy runs have some: the first
 * steps of training, and near a minimum every segment of noisy steps, which moves the loss little. Six recorded runs of
 * which only every second to thirtieth step was replayed: above it, LCA per tensor over the run was 11 to 61 % from
 * that of all steps (once 1 %), below it at most 3 %.
 */
const WORTH_A_WARNING = 0.5

/**
 * What a user should know before trusting LCA of single intervals; nothing where checkpoints are one step apart and all
 * intervals converged. One sentence each, with its remedy.
 */
export function curvatureWarnings(curvature: Curvature, maxSplits: number): string[] {
  const { intervals, atLimit, doubtful, share } = curvature
  const warnings: string[] = []
  if (share >= WORTH_A_WARNING)
    warnings.push(
      `checkpoints are ${apart(curvature)} apart, and in ${doubtful} of ${intervals} intervals, with ${percent(share)} of the loss's movement, ` +
        `its slope along the straight segment between them turns round, doubles or halves: the steps in between probably went ` +
        `another way, and LCA tells little of them; replay every recorded checkpoint, or record more often`,
    )
  if (atLimit > 0)
    warnings.push(
      `${atLimit} of ${intervals} intervals did not converge in ${maxSplits} parts: raise --max-splits` +
        (skipsSteps(curvature.stride.max, curvature.stepUnit) ? ', or record more often' : ''),
    )
  return warnings
}

/** `10 steps`, or `1 to 50 steps (median 10)`. */
export function apart({ stride: { min, median: middle, max }, stepUnit }: Curvature): string {
  const units = max === 1 ? stepUnit : `${stepUnit}s`
  return min === max ? `${max} ${units}` : `${min} to ${max} ${units} (median ${middle})`
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`
}
