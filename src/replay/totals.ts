import { addTo } from '../tensor.js'
import type { TensorInterval } from './statistics.js'

/**
 * Sums over a run are sums of blocks of this many absolute intervals, added in order, so that parts of a run can be
 * joined without changing a bit.
 */
export const BLOCK_INTERVALS = 32

/** A sum over intervals, element by element, in blocks. */
class BlockSum {
  readonly block: Float64Array
  /** Without the open block. */
  readonly total: Float64Array

  constructor(size: number) {
    this.block = new Float64Array(size)
    this.total = new Float64Array(size)
  }

  endBlock(): void {
    addTo(this.total, this.block)
    this.block.fill(0)
  }
}

/** What a run sums of one tensor's LCA on one split; columns of `totals`. */
export class AllocationTotals {
  readonly lca: BlockSum
  readonly undone: BlockSum
  readonly helped: Int32Array
  readonly hurt: Int32Array
  readonly lcaFlips: Int32Array
  readonly gradientFlips: Int32Array
  private readonly before: Float64Array
  private readonly gradientSign: Int8Array

  constructor(size: number) {
    this.lca = new BlockSum(size)
    this.undone = new BlockSum(size)
    this.helped = new Int32Array(size)
    this.hurt = new Int32Array(size)
    this.lcaFlips = new Int32Array(size)
    this.gradientFlips = new Int32Array(size)
    this.before = new Float64Array(size)
    this.gradientSign = new Int8Array(size)
  }

  add({ lca, start }: TensorInterval): void {
    const { before, gradientSign } = this
    for (let i = 0; i < lca.length; i += 1) {
      const [a, b] = [lca[i]!, before[i]!]
      this.lca.block[i]! += a
      if (a < 0) this.helped[i]! += 1
      else if (a > 0) this.hurt[i]! += 1
      if ((a < 0 && b > 0) || (a > 0 && b < 0)) {
        this.lcaFlips[i]! += 1
        this.undone.block[i]! += Math.min(Math.abs(a), Math.abs(b))
      }
      const sign = Math.sign(start[i]!)
      if (sign * gradientSign[i]! < 0) this.gradientFlips[i]! += 1
      gradientSign[i] = sign
      before[i] = a
    }
  }

  endBlock(): void {
    this.lca.endBlock()
    this.undone.endBlock()
  }
}

/** What a run sums of one tensor's movement, the same for all splits. */
export class MovementTotals {
  readonly movement: BlockSum
  readonly pathLength: BlockSum
  readonly flips: Int32Array
  private readonly sign: Int8Array

  constructor(size: number) {
    this.movement = new BlockSum(size)
    this.pathLength = new BlockSum(size)
    this.flips = new Int32Array(size)
    this.sign = new Int8Array(size)
  }

  add({ from, to }: Pick<TensorInterval, 'from' | 'to'>): void {
    for (let i = 0; i < from.length; i += 1) {
      const step = to[i]! - from[i]!
      this.movement.block[i]! += step
      this.pathLength.block[i]! += Math.abs(step)
      const sign = Math.sign(step)
      if (sign * this.sign[i]! < 0) this.flips[i]! += 1
      this.sign[i] = sign
    }
  }

  endBlock(): void {
    this.movement.endBlock()
    this.pathLength.endBlock()
  }
}
