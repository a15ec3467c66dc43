import type { FloatArray } from '../tensor.js'
import type { UnitAxis } from './tensors.js'

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
  /** The movement of the interval before times the movement. */
  readonly movementPrevious: number
  readonly updatePreviousSquares: number
  readonly weightSquares: number
}

/** Some neighbouring elements of a tensor in one interval: weights at both ends, gradients at the starts, and LCA. */
export interface IntervalElements {
  readonly from: FloatArray
  readonly to: FloatArray
  readonly start: Float64Array
  /** Weights and gradient at the start of the interval before; absent in the first. */
  readonly before: FloatArray | undefined
  readonly previous: Float64Array | undefined
  readonly lca: Float64Array
}

/** Where each sum lies. */
const AT = {
  lca: 0,
  lcaHelping: 1,
  lcaHurting: 2,
  helping: 3,
  hurting: 4,
  still: 5,
  firstOrder: 6,
  firstOrderPrevious: 7,
  updateSquares: 8,
  gradientSquares: 9,
  previousSquares: 10,
  movementPrevious: 11,
  updatePreviousSquares: 12,
  weightSquares: 13,
} as const satisfies Record<keyof TensorStatistics, number>

/**
 * Sums over the elements of a tensor, in their order, in float64. They lie in an array: fields that begin as 0 and become
 * fractions change the object's layout, which makes V8 drop the compiled loop after every call.
 */
export class TensorSums {
  private readonly sums = new Float64Array(Object.keys(AT).length)

  /** Adds elements `begin` to `end` of the arrays. */
  add(elements: IntervalElements, begin: number, end: number): void {
    addAllocated(this.sums, elements.lca, begin, end)
    addNorms(this.sums, elements, begin, end)
    const { previous, before } = elements
    if (previous !== undefined) addPrevious(this.sums, elements, previous, begin, end)
    if (before !== undefined) addMovements(this.sums, elements, before, begin, end)
  }

  read(): TensorStatistics {
    const entries = Object.entries(AT).map(([name, at]) => [name, this.sums[at]!] as const)
    return Object.fromEntries(entries) as Record<keyof typeof AT, number>
  }
}

/** Signs are as good as random, so that adding products with 0 or 1 is twice as quick as branching. */
function addAllocated(sums: Float64Array, lca: Float64Array, begin: number, end: number): void {
  let [total, negative, positive] = [sums[AT.lca]!, sums[AT.lcaHelping]!, sums[AT.lcaHurting]!]
  let [helping, hurting] = [0, 0]
  for (let i = begin; i < end; i += 1) {
    const a = lca[i]!
    const helps = Number(a < 0)
    const hurts = Number(a > 0)
    total += a
    negative += a * helps
    positive += a * hurts
    helping += helps
    hurting += hurts
  }
  sums[AT.lca] = total
  sums[AT.lcaHelping] = negative
  sums[AT.lcaHurting] = positive
  sums[AT.helping]! += helping
  sums[AT.hurting]! += hurting
  sums[AT.still]! += end - begin - helping - hurting
}

function addNorms(
  sums: Float64Array,
  { from, to, start }: IntervalElements,
  begin: number,
  end: number,
): void {
  let [firstOrder, updates] = [sums[AT.firstOrder]!, sums[AT.updateSquares]!]
  let [gradients, weights] = [sums[AT.gradientSquares]!, sums[AT.weightSquares]!]
  for (let i = begin; i < end; i += 1) {
    const g = start[i]!
    const weight = from[i]!
    const movement = to[i]! - weight
    firstOrder += g * movement
    updates += movement * movement
    gradients += g * g
    weights += weight * weight
  }
  sums[AT.firstOrder] = firstOrder
  sums[AT.updateSquares] = updates
  sums[AT.gradientSquares] = gradients
  sums[AT.weightSquares] = weights
}

function addPrevious(
  sums: Float64Array,
  { from, to }: IntervalElements,
  previous: Float64Array,
  begin: number,
  end: number,
): void {
  let [firstOrder, squares] = [sums[AT.firstOrderPrevious]!, sums[AT.previousSquares]!]
  for (let i = begin; i < end; i += 1) {
    const p = previous[i]!
    firstOrder += p * (to[i]! - from[i]!)
    squares += p * p
  }
  sums[AT.firstOrderPrevious] = firstOrder
  sums[AT.previousSquares] = squares
}

/** The squares are those that the interval before has in its own row, added in the same order. */
function addMovements(
  sums: Float64Array,
  { from, to }: IntervalElements,
  before: FloatArray,
  begin: number,
  end: number,
): void {
  let [product, squares] = [sums[AT.movementPrevious]!, sums[AT.updatePreviousSquares]!]
  for (let i = begin; i < end; i += 1) {
    const weight = from[i]!
    const earlier = weight - before[i]!
    product += earlier * (to[i]! - weight)
    squares += earlier * earlier
  }
  sums[AT.movementPrevious] = product
  sums[AT.updatePreviousSquares] = squares
}

/** The cosine between two vectors from their product and the squares of their norms, NaN where one of them is zero. */
export function cosineOf(dot: number, squaresOfOne: number, squaresOfOther: number): number {
  const norms = Math.sqrt(squaresOfOne) * Math.sqrt(squaresOfOther)
  return norms > 0 ? dot / norms : NaN
}

/** The cosine between the negative gradient and the movement, NaN where one of them is zero. */
export function descentCosine(dot: number, gradientSquares: number, updateSquares: number): number {
  return cosineOf(-dot, gradientSquares, updateSquares)
}

/** Columns of `units` for one tensor: one entry per unit, sums over its elements in their order. */
export class UnitSums {
  readonly lca: Float64Array
  readonly helping: Float64Array
  readonly hurting: Float64Array
  readonly firstOrder: Float64Array

  constructor(private readonly units: UnitAxis) {
    this.lca = new Float64Array(units.count)
    this.helping = new Float64Array(units.count)
    this.hurting = new Float64Array(units.count)
    this.firstOrder = new Float64Array(units.count)
  }

  /** @param position of element `begin` in the tensor */
  add(elements: IntervalElements, begin: number, end: number, position: number): void {
    const { inner, count } = this.units
    for (let i = begin; i < end;) {
      const at = position + i - begin
      const last = Math.min(end, i + inner - (at % inner))
      this.addRun(elements, i, last, Math.floor(at / inner) % count)
      i = last
    }
  }

  /** Elements that lie next to each other and belong to one unit. */
  private addRun({ from, to, start, lca }: IntervalElements, begin: number, end: number, unit: number): void {
    let [total, helping, hurting, firstOrder] = [this.lca[unit]!, 0, 0, this.firstOrder[unit]!]
    for (let i = begin; i < end; i += 1) {
      const a = lca[i]!
      total += a
      helping += Number(a < 0)
      hurting += Number(a > 0)
      firstOrder += start[i]! * (to[i]! - from[i]!)
    }
    this.lca[unit] = total
    this.helping[unit]! += helping
    this.hurting[unit]! += hurting
    this.firstOrder[unit] = firstOrder
  }
}
