import type { FloatArray } from '../tensor.js'
import type { ArrayFile } from './store/array-file.js'
import { withFiles, writeFile } from './store/array-file.js'
import { withBuffers } from './store/chunk-buffers.js'
import type { ChunkBuffers } from './store/chunk-buffers.js'
import { combine } from './store/combine.js'
import { CHUNK } from './store/layout.js'
import type { Layout, Piece } from './store/layout.js'
import { fileNames } from './store/store.js'
import type { ReplayStore, WeightElements } from './store/store.js'

/** Where the arrays of a replay lie. */
export interface Arrays {
  readonly store: ReplayStore
  /** Of the tensors that LCA is allocated to; the first ones of the files of weights. */
  readonly layout: Layout
  readonly weightElements: WeightElements
}

/** Reads the weights at both ends of an interval, chunk by chunk, into arrays that the next chunk overwrites. */
export class MovementReader {
  private readonly start: FloatArray
  private readonly end: FloatArray

  constructor(
    { weightElements }: Pick<Arrays, 'weightElements'>,
    private readonly files: readonly [ArrayFile, ArrayFile],
    buffers: ChunkBuffers,
  ) {
    this.start = buffers.of(weightElements, CHUNK)
    this.end = buffers.of(weightElements, CHUNK)
  }

  read(offset: number, count: number): { readonly from: FloatArray; readonly to: FloatArray } {
    const position = offset * this.start.BYTES_PER_ELEMENT
    const [from, to] = [this.start.subarray(0, count), this.end.subarray(0, count)]
    return { from: this.files[0].read(from, position), to: this.files[1].read(to, position) }
  }
}

/** Reads files of gradients or LCA, chunk by chunk, into arrays that the next chunk overwrites. */
export class TermReader {
  private readonly buffers: readonly Float64Array[]

  constructor(
    private readonly files: readonly ArrayFile[],
    buffers: ChunkBuffers,
  ) {
    this.buffers = files.map(() => buffers.float64(CHUNK))
  }

  read(offset: number, count: number): Float64Array[] {
    const position = offset * Float64Array.BYTES_PER_ELEMENT
    return this.files.map((file, i) => file.read(this.buffers[i]!.subarray(0, count), position))
  }
}

/**
 * LCA of one interval on one split (Lan et al. 2019, equation 3): movement times the integral of the gradient, formed in
 * float64. The integral is a combination of the gradients at both ends and of sums of gradients in between.
 *
 * @param sums files of the sums
 * @param combinations coefficients of [start, end, ...sums]; the first one's LCA is written to the interval's file
 * @returns for every combination the LCA of every tensor, summed in the order of its elements
 */
export function allocate(
  arrays: Arrays,
  at: { readonly interval: number; readonly split: number },
  sums: readonly string[],
  combinations: readonly (readonly number[])[],
): number[][] {
  const { store, layout } = arrays
  const { interval, split } = at
  const names = [
    fileNames.weights(interval),
    fileNames.weights(interval + 1),
    fileNames.gradient(interval, split),
    fileNames.gradient(interval + 1, split),
    ...sums,
  ]
  const results = combinations.map(() => layout.tensors.map(() => 0))
  withFiles(
    names.map((name) => store.path(name)),
    ([from, to, ...files]) => {
      writeFile(store.path(fileNames.lca(interval, split)), (out) => {
        withBuffers((buffers) => {
          const movement = new MovementReader(arrays, [from!, to!], buffers)
          const terms = new TermReader(files, buffers)
          const sum = buffers.float64(CHUNK)
          for (const { offset, count, pieces } of layout.chunks()) {
            const ends = movement.read(offset, count)
            const values = terms.read(offset, count)
            combinations.forEach((coefficients, index) => {
              const lca = combine(sum.subarray(0, count), values, coefficients)
              multiply(lca, ends.from, ends.to, pieces, results[index]!)
              if (index === 0) out.write(lca, offset * lca.BYTES_PER_ELEMENT)
            })
          }
        })
      })
    },
  )
  return results
}

/** Multiplies an integral with the movement, in place, and adds the products to the sums of their tensors. */
function multiply(
  integral: Float64Array,
  start: FloatArray,
  end: FloatArray,
  pieces: readonly Piece[],
  sums: number[],
): void {
  for (const { tensor, from, to } of pieces) {
    let sum = sums[tensor]!
    for (let i = from; i < to; i += 1) {
      const lca = integral[i]! * (end[i]! - start[i]!)
      integral[i] = lca
      sum += lca
    }
    sums[tensor] = sum
  }
}

/** How a gradient goes into a sum. */
export interface SumPlace {
  readonly weight: number
  /** Whether the sum begins with it. */
  readonly first: boolean
  /** Whether the gradient goes into no further sum, so that its file may go. */
  readonly last: boolean
}

/** Adds a gradient to a sum that lies in a file and begins with the first one: sum += weight * gradient. */
export function addToSum(
  { store, layout }: Arrays,
  sum: string,
  gradient: string,
  { weight, first, last }: SumPlace,
): void {
  if (first && last && weight === 1) {
    store.rename(gradient, sum)
    return
  }
  const names = first ? [gradient] : [gradient, sum]
  withFiles(
    names.map((name) => store.path(name)),
    (files) => {
      writeFile(store.path(`${sum}.next`), (out) => {
        withBuffers((buffers) => {
          const terms = new TermReader(files, buffers)
          const total = buffers.float64(CHUNK)
          for (const { offset, count } of layout.chunks()) {
            const values = terms.read(offset, count).toReversed()
            const next = combine(total.subarray(0, count), values, first ? [weight] : [1, weight])
            out.write(next, offset * next.BYTES_PER_ELEMENT)
          }
        })
      })
    },
  )
  store.rename(`${sum}.next`, sum)
  if (last) store.remove(gradient)
}
