import type { Batch, TableName } from '../tables/schema.js'
import type { StepUnit } from '../trajectory/checkpoint.js'
import type { IntervalErrors } from './standard-error.js'
import { cosineOf, descentCosine } from './statistics.js'
import type { TensorStatistics, UnitSums } from './statistics.js'
import type { LcaTensor, UnitAxis } from './tensors.js'
import type { AllocationSums, MovementSums } from './totals.js'

/** Where rows go: a results folder, or a test's memory. */
export interface TableSink {
  append<T extends TableName>(table: T, rows: number, batch: Batch<T>): void
}

/** One interval on one split. */
export interface IntervalFacts {
  readonly split: string
  readonly interval: number
  readonly stepFrom: number
  readonly stepTo: number
  readonly stepUnit: StepUnit
  readonly splits: number
  readonly converged: boolean
  readonly lossFrom: number
  readonly lossTo: number
  readonly evaluations: number
  /** Whether LCA is allocated to some tensors only. */
  readonly restricted: boolean
  readonly standardErrors?: IntervalErrors | null | undefined
}

/** What the rows of an interval share. */
function keys({ split, interval, stepFrom, stepTo }: IntervalFacts) {
  return { split, interval, step_from: stepFrom, step_to: stepTo }
}

/** Columns of `steps` for one split and interval. Counts, norms and the cosine leave buffers out, sums do not. */
export function stepRow(
  facts: IntervalFacts,
  tensors: readonly (readonly [LcaTensor, TensorStatistics])[],
): Batch<'steps'> {
  const total = (of: (s: TensorStatistics) => number, all = tensors): number =>
    all.reduce((sum, [, statistics]) => sum + of(statistics), 0)
  const trained = tensors.filter(([{ role }]) => role !== 'buffer')
  const lca = total((s) => s.lca)
  const change = facts.lossTo - facts.lossFrom
  const [updates, gradients] = [
    total((s) => s.updateSquares, trained),
    total((s) => s.gradientSquares, trained),
  ]
  return {
    ...keys(facts),
    loss_from: facts.lossFrom,
    loss_to: facts.lossTo,
    loss_change: change,
    lca,
    residual: facts.restricted ? NaN : lca - change,
    rest: facts.restricted ? change - lca : NaN,
    first_order: total((s) => s.firstOrder),
    splits: facts.splits,
    evaluations: facts.evaluations,
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
    cosine_movement: cosineOf(
      total((s) => s.movementPrevious, trained),
      total((s) => s.updatePreviousSquares, trained),
      updates,
    ),
    lca_se: facts.standardErrors?.lca ?? NaN,
    loss_change_se: facts.standardErrors?.lossChange ?? NaN,
    step_unit: facts.stepUnit,
  }
}

/** Columns of `tensors` for one split, interval and tensor. */
export function tensorRow(
  facts: IntervalFacts,
  tensor: LcaTensor,
  s: TensorStatistics,
  standardError = NaN,
): Batch<'tensors'> {
  return {
    ...keys(facts),
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
    cosine_movement: cosineOf(s.movementPrevious, s.updatePreviousSquares, s.updateSquares),
    weight_norm: Math.sqrt(s.weightSquares),
    lca_se: standardError,
  }
}

/** Columns of `units` for one split, interval and tensor: a row per unit. */
export function unitRows(facts: IntervalFacts, tensor: LcaTensor, sums: UnitSums): Batch<'units'> {
  return {
    ...keys(facts),
    tensor: tensor.name,
    unit: Int32Array.from({ length: tensor.units.count }, (_, unit) => unit),
    lca: sums.lca,
    helping: sums.helping,
    hurting: sums.hurting,
    first_order: sums.firstOrder,
  }
}

/** Columns of `parameters` for one split, interval and tensor: one row. */
export function parameterRow(
  facts: IntervalFacts,
  tensor: LcaTensor,
  lca: Float32Array,
): Batch<'parameters'> {
  return { ...keys(facts), tensor: tensor.name, shape: [tensor.shape], lca: [lca] }
}

/** Some neighbouring elements of one tensor, with their sums over intervals. */
export interface SummedElements {
  readonly split: string
  readonly tensor: LcaTensor
  /** Position of the first one in the tensor. */
  readonly start: number
  readonly allocation: AllocationSums
  readonly movement: MovementSums
  /** Where they lie in the sums. */
  readonly from: number
  readonly to: number
}

/**
 * Columns of `totals`: a row per parameter.
 * @param fisher of these elements, where it was measured. Buffers have none: nothing trains them
 */
export function totalRows(elements: SummedElements, fisher: Float64Array | undefined): Batch<'totals'> {
  const { split, tensor } = elements
  const information = tensor.role === 'buffer' ? undefined : fisher
  return { split, tensor: tensor.name, ...sumColumns(elements), fisher: information ?? NaN }
}

/** Columns of `blocks`: a row per parameter. */
export function blockRows(elements: SummedElements, block: number): Batch<'blocks'> {
  return { split: elements.split, block, tensor: elements.tensor.name, ...sumColumns(elements) }
}

function sumColumns({ tensor, start, allocation, movement, from, to }: SummedElements) {
  return {
    index: countingFrom(start, to - from),
    unit: unitsOf(tensor.units, start, to - from),
    lca: allocation.lca.subarray(from, to),
    helped: allocation.helped.subarray(from, to),
    hurt: allocation.hurt.subarray(from, to),
    lca_flips: allocation.lcaFlips.subarray(from, to),
    movement_flips: movement.flips.subarray(from, to),
    gradient_flips: allocation.gradientFlips.subarray(from, to),
    undone: allocation.undone.subarray(from, to),
    movement: movement.movement.subarray(from, to),
    path_length: movement.pathLength.subarray(from, to),
  }
}

/** The unit of each of `length` neighbouring elements. */
function unitsOf({ count, inner }: UnitAxis, start: number, length: number): Int32Array {
  const units = new Int32Array(length)
  let unit = Math.floor(start / inner) % count
  let left = inner - (start % inner)
  for (let i = 0; i < length; i += 1) {
    units[i] = unit
    left -= 1
    if (left > 0) continue
    left = inner
    unit = unit + 1 === count ? 0 : unit + 1
  }
  return units
}

function countingFrom(start: number, length: number): Int32Array {
  const numbers = new Int32Array(length)
  for (let i = 0; i < length; i += 1) numbers[i] = start + i
  return numbers
}
