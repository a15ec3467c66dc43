import type { Batch, TableName } from '../tables/schema.js'
import type { StepUnit } from '../trajectory/checkpoint.js'
import type { Integrator } from './interval.js'
import { allocate } from './quadrature.js'
import type { SplitState } from './split-state.js'
import { descentCosine, tensorStatistics, unitStatistics } from './statistics.js'
import type { TensorInterval, TensorStatistics } from './statistics.js'
import type { LcaTensor } from './tensors.js'
import type { AllocationTotals, MovementTotals } from './totals.js'
import type { Weights } from './weights.js'

/** Where rows go: a results folder, or a test's memory. */
export interface TableSink {
  append<T extends TableName>(table: T, rows: number, batch: Batch<T>): void
  /** The rows so far, up to a whole block of intervals, may be stored as a part. */
  endBlock(): void
}

export interface IntervalFacts {
  readonly interval: number
  readonly stepFrom: number
  readonly stepTo: number
  readonly stepUnit: StepUnit
  readonly splits: number
  readonly converged: boolean
  readonly from: Weights
  readonly to: Weights
}

/** What the rows of an interval share. */
function keys(split: SplitState, { interval, stepFrom, stepTo }: IntervalFacts) {
  return { split: split.name, interval, step_from: stepFrom, step_to: stepTo }
}

/** Called with each tensor's interval, whose `lca` array is overwritten by the next evaluation. */
export type TensorVisitor = (
  tensor: LcaTensor,
  interval: TensorInterval,
  statistics: TensorStatistics,
) => void

/** Allocates a split's loss change to every tensor, in their order, and hands each to `visit`. */
export function eachTensor(
  split: SplitState,
  { tensors, scratch }: Pick<Integrator, 'tensors' | 'scratch'>,
  facts: IntervalFacts,
  visit: TensorVisitor,
): void {
  for (const tensor of tensors) {
    const sums = split.sums(tensor.name)
    const [from, to] = [facts.from.get(tensor.name)!, facts.to.get(tensor.name)!]
    const lca = scratch.get(tensor.name)!
    allocate(lca, from, to, sums, facts.splits)
    const previous = split.previous.gradient.get(tensor.name)!
    const interval: TensorInterval = { from, to, start: sums.start, previous, lca }
    visit(tensor, interval, tensorStatistics(interval))
  }
}

/** Columns of `steps` for one split and interval. Counts, norms and the cosine leave buffers out, sums do not. */
export function stepRow(
  split: SplitState,
  facts: IntervalFacts,
  tensors: readonly (readonly [LcaTensor, TensorStatistics])[],
): Batch<'steps'> {
  const total = (of: (s: TensorStatistics) => number, all = tensors): number =>
    all.reduce((sum, [, statistics]) => sum + of(statistics), 0)
  const trained = tensors.filter(([{ role }]) => role !== 'buffer')
  const lca = total((s) => s.lca)
  const change = split.end.loss - split.start.loss
  const [updates, gradients] = [
    total((s) => s.updateSquares, trained),
    total((s) => s.gradientSquares, trained),
  ]
  return {
    ...keys(split, facts),
    loss_from: split.start.loss,
    loss_to: split.end.loss,
    loss_change: change,
    lca,
    residual: lca - change,
    first_order: total((s) => s.firstOrder),
    splits: facts.splits,
    evaluations: split.evaluations,
    converged: facts.converged,
    parameters: trained.reduce((sum, [{ size }]) => sum + size, 0),
    helping: total((s) => s.helping, trained),
    hurting: total((s) => s.hurting, trained),
    still: total((s) => s.still, trained),
    update_norm: Math.sqrt(updates),
    gradient_norm: Math.sqrt(gradients),
    cosine: descentCosine(
      total((s) => s.firstOrder, trained),
      gradients,
      updates,
    ),
    lca_se: NaN,
    loss_change_se: NaN,
    step_unit: facts.stepUnit,
  }
}

/** Columns of `tensors` for one split, interval and tensor. */
export function tensorRow(
  split: SplitState,
  facts: IntervalFacts,
  tensor: LcaTensor,
  s: TensorStatistics,
): Batch<'tensors'> {
  return {
    ...keys(split, facts),
    tensor: tensor.name,
    layer: tensor.layer,
    role: tensor.role,
    parameters: tensor.size,
    lca: s.lca,
    lca_helping: s.lcaHelping,
    lca_hurting: s.lcaHurting,
    helping: s.helping,
    hurting: s.hurting,
    still: s.still,
    first_order: s.firstOrder,
    update_norm: Math.sqrt(s.updateSquares),
    gradient_norm: Math.sqrt(s.gradientSquares),
    cosine: descentCosine(s.firstOrder, s.gradientSquares, s.updateSquares),
    cosine_previous: descentCosine(s.firstOrderPrevious, s.previousSquares, s.updateSquares),
    weight_norm: Math.sqrt(s.weightSquares),
    lca_se: NaN,
  }
}

/** Columns of `units` for one split, interval and tensor: a row per unit. */
export function unitRows(
  split: SplitState,
  facts: IntervalFacts,
  tensor: LcaTensor,
  interval: TensorInterval,
): Batch<'units'> {
  const { lca, helping, hurting, firstOrder } = unitStatistics(interval, tensor.units)
  return {
    ...keys(split, facts),
    tensor: tensor.name,
    unit: Int32Array.from({ length: tensor.units.count }, (_, unit) => unit),
    lca,
    helping,
    hurting,
    first_order: firstOrder,
  }
}

/** Columns of `parameters` for one split, interval and tensor: one row. */
export function parameterRow(
  split: SplitState,
  facts: IntervalFacts,
  tensor: LcaTensor,
  { lca }: TensorInterval,
): Batch<'parameters'> {
  return { ...keys(split, facts), tensor: tensor.name, shape: [tensor.shape], lca: [lca] }
}

/** Columns of `totals` for one split and tensor: a row per parameter. */
export function totalRows(
  split: string,
  tensor: LcaTensor,
  allocation: AllocationTotals,
  movement: MovementTotals,
): Batch<'totals'> {
  const { count, inner } = tensor.units
  return {
    split,
    tensor: tensor.name,
    index: Int32Array.from({ length: tensor.size }, (_, index) => index),
    unit: Int32Array.from({ length: tensor.size }, (_, index) => Math.floor(index / inner) % count),
    lca: allocation.lca.total,
    helped: allocation.helped,
    hurt: allocation.hurt,
    lca_flips: allocation.lcaFlips,
    movement_flips: movement.flips,
    gradient_flips: allocation.gradientFlips,
    undone: allocation.undone.total,
    movement: movement.movement.total,
    path_length: movement.pathLength.total,
    fisher: NaN,
  }
}
