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
  readonly weightSquares: number
}

/** Some neighbouring elements of a tensor in one interval: weights at both ends, gradients at the starts, and LCA. */
export interface IntervalElements {
  readonly from: FloatArray
  readonly to: FloatArray
  readonly start: Float64Array
  /** Gradient at the start of the interval before; absent in the first. */
  readonly previous: Float64Array | undefined
  readonly lca: Float64Array
}

/** Sums over the elements of a tensor, in their order, in float64. */
export class TensorSums implements TensorStatistics {
  lca = 0
  lcaHelping = 0
  lcaHurting = 0
  helping = 0
  hurting = 0
  still = 0
  firstOrder = 0
  firstOrderPrevious = 0
  updateSquares = 0
  gradientSquares = 0
  previousSquares = 0
  weightSquares = 0

  /** Adds elements `begin` to `end` of the arrays. */
  add({ from, to, start, previous, lca }: IntervalElements, begin: number, end: number): void {
    let [total, negative, positive, helping, hurting] = [this.lca, this.lcaHelping, this.lcaHurting, 0, 0]
    let [firstOrder, updates] = [this.firstOrder, this.updateSquares]
    let [gradients, weights] = [this.gradientSquares, this.weightSquares]
    for (let i = begin; i < end; i += 1) {
      const a = lca[i]!
      const g = start[i]!
      const weight = from[i]!
      const movement = to[i]! - weight
      total += a
      if (a < 0) {
        helping += 1
        negative += a
      } else if (a > 0) {
        hurting += 1
        positive += a
      }
      firstOrder += g * movement
      updates += movement * movement
      gradients += g * g
      weights += weight * weight
    }
    this.lca = total
    this.lcaHelping = negative
    this.lcaHurting = positive
    this.helping += helping
    this.hurting += hurting
    this.still += end - begin - helping - hurting
    this.firstOrder = firstOrder
    this.updateSquares = updates
    this.gradientSquares = gradients
    this.weightSquares = weights
    if (previous !== undefined) this.addPrevious(from, to, previous, begin, end)
  }

  private addPrevious(
    from: FloatArray,
    to: FloatArray,
    previous: Float64Array,
    begin: number,
    end: number,
  ): void {
    let [firstOrder, squares] = [this.firstOrderPrevious, this.previousSquares]
    for (let i = begin; i < end; i += 1) {
      const p = previous[i]!
      firstOrder += p * (to[i]! - from[i]!)
      squares += p * p
    }
    this.firstOrderPrevious = firstOrder
    this.previousSquares = squares
  }
}

/** The cosine between the negative gradient and the movement, NaN where one of them is zero. */
export function descentCosine(dot: number, gradientSquares: number, updateSquares: number): number {
  const norms = Math.sqrt(gradientSquares) * Math.sqrt(updateSquares)
  return norms > 0 ? -dot / norms : NaN
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
      if (a < 0) helping += 1
      else if (a > 0) hurting += 1
      firstOrder += start[i]! * (to[i]! - from[i]!)
    }
    this.lca[unit] = total
    this.helping[unit]! += helping
    this.hurting[unit]! += hurting
    this.firstOrder[unit] = firstOrder
  }
}
