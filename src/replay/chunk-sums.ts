import type { FloatArray } from '../tensor.js'
import { TermReader } from './allocation.js'
import type { Arrays } from './allocation.js'
import { withFiles } from './store/array-file.js'
import { withBuffers } from './store/chunk-buffers.js'
import type { Chunk } from './store/layout.js'
import { fileNames } from './store/store.js'
import type { AllocationSums, MovementSums, SumsFile } from './totals.js'

/** What an interval left behind that the next one is compared with. */
interface Left {
  readonly lca: Float64Array
  readonly gradient: Float64Array
}

/**
 * The sums of the open block for the elements of one chunk, to which intervals are added one after another. Their
 * weights, gradients and LCA are in the store, those of the interval before the first included.
 */
export class ChunkSums {
  private readonly movement: MovementSums
  private readonly allocations: readonly AllocationSums[]
  private readonly steps: Float64Array
  private readonly left: readonly Left[]

  /**
   * @param before the block's sums so far
   * @param first the interval that is added next
   */
  constructor(
    private readonly arrays: Arrays,
    private readonly chunk: Chunk,
    splits: number,
    before: SumsFile,
    first: number,
  ) {
    const { offset, count } = chunk
    const numbers = Array.from({ length: splits }, (_, split) => split)
    this.movement = before.movement(offset, count)
    this.allocations = numbers.map((split) => before.allocation(split, offset, count))
    this.steps = new Float64Array(count)
    this.left = numbers.map(() => ({ lca: new Float64Array(count), gradient: new Float64Array(count) }))
    if (first > 0) this.lookBack(first - 1)
  }

  add(interval: number): void {
    this.withMovement(interval, (from, to) => {
      addMovement(this.movement, from, to, this.steps)
    })
    this.allocations.forEach((sums, split) => {
      this.withAllocation(interval, split, (lca, gradient) => {
        addAllocation(sums, lca, gradient, this.left[split]!)
      })
    })
  }

  write(file: SumsFile): void {
    const { offset } = this.chunk
    file.setMovement(offset, this.movement)
    this.allocations.forEach((sums, split) => {
      file.setAllocation(split, offset, sums)
    })
  }

  private lookBack(interval: number): void {
    this.withMovement(interval, (from, to) => {
      for (let i = 0; i < this.steps.length; i += 1) this.steps[i] = to[i]! - from[i]!
    })
    this.left.forEach((left, split) => {
      this.withAllocation(interval, split, (lca, gradient) => {
        left.lca.set(lca)
        left.gradient.set(gradient)
      })
    })
  }

  private withMovement(interval: number, use: (from: FloatArray, to: FloatArray) => void): void {
    const { store, weightElements } = this.arrays
    const { offset, count } = this.chunk
    const paths = [interval, interval + 1].map((checkpoint) => store.path(fileNames.weights(checkpoint)))
    withFiles(paths, (files) => {
      withBuffers((buffers) => {
        const [from, to] = files.map((file) => {
          const values = buffers.of(weightElements, count)
          return file.read(values, offset * values.BYTES_PER_ELEMENT)
        })
        use(from!, to!)
      })
    })
  }

  private withAllocation(
    interval: number,
    split: number,
    use: (lca: Float64Array, gradient: Float64Array) => void,
  ): void {
    const { store } = this.arrays
    const { offset, count } = this.chunk
    const names = [fileNames.lca(interval, split), fileNames.gradient(interval, split)]
    withFiles(
      names.map((name) => store.path(name)),
      (files) => {
        withBuffers((buffers) => {
          const [lca, gradient] = new TermReader(files, buffers).read(offset, count)
          use(lca!, gradient!)
        })
      },
    )
  }
}

function addMovement(
  { movement, pathLength, flips }: MovementSums,
  from: FloatArray,
  to: FloatArray,
  previous: Float64Array,
): void {
  for (let i = 0; i < previous.length; i += 1) {
    const step = to[i]! - from[i]!
    movement[i]! += step
    pathLength[i]! += Math.abs(step)
    if (oppose(step, previous[i]!)) flips[i]! += 1
    previous[i] = step
  }
}

function addAllocation(
  { lca, undone, helped, hurt, lcaFlips, gradientFlips }: AllocationSums,
  nowLca: Float64Array,
  nowGradient: Float64Array,
  left: Left,
): void {
  for (let i = 0; i < nowLca.length; i += 1) {
    const [a, b] = [nowLca[i]!, left.lca[i]!]
    lca[i]! += a
    if (a < 0) helped[i]! += 1
    else if (a > 0) hurt[i]! += 1
    if (oppose(a, b)) {
      lcaFlips[i]! += 1
      undone[i]! += Math.min(Math.abs(a), Math.abs(b))
    }
    const g = nowGradient[i]!
    if (oppose(g, left.gradient[i]!)) gradientFlips[i]! += 1
    left.lca[i] = a
    left.gradient[i] = g
  }
}

/** Whether two numbers have opposite signs; zero has none. */
function oppose(a: number, b: number): boolean {
  return (a < 0 && b > 0) || (a > 0 && b < 0)
}
