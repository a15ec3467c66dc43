import type { FloatArray } from '../tensor.js'
import type { ArrayFile } from './store/array-file.js'
import { withFiles, writeFile } from './store/array-file.js'
import { CHUNK } from './store/layout.js'
import type { Layout, Piece } from './store/layout.js'
import { fileNames } from './store/store.js'
import type { ReplayStore, WeightElements } from './store/store.js'
import { WEIGHT_ARRAYS } from './workers/point.js'

/**
 * Arrays of a chunk's length that are used again and again: making them anew for every interval costs more than what is
 * computed in them. Whoever takes some is done with them before anyone else takes any.
 */
export class Buffers {
  private readonly arrays: Float64Array[] = []
  private readonly weights: FloatArray[] = []

  /** So many arrays of float64; what they hold is anything. */
  take(count: number): readonly Float64Array[] {
    while (this.arrays.length < count) this.arrays.push(new Float64Array(CHUNK))
    return this.arrays.slice(0, count)
  }

  /** So many arrays for weights. */
  takeWeights(count: number, elements: WeightElements): readonly FloatArray[] {
    while (this.weights.length < count) this.weights.push(new WEIGHT_ARRAYS[elements](CHUNK))
    return this.weights.slice(0, count)
  }
}

/** Where the arrays of a replay lie. */
export interface Arrays {
  readonly store: ReplayStore
  readonly buffers: Buffers
  /** Of the tensors that LCA is allocated to; the first ones of the files of weights. */
  readonly layout: Layout
  readonly weightElements: WeightElements
}

/** Some weights at both ends of an interval, and at the start of the one before where that was asked for. */
export interface MovementElements {
  readonly from: FloatArray
  readonly to: FloatArray
  readonly before: FloatArray | undefined
}

/** Reads the weights at the ends of an interval, chunk by chunk, into arrays that the next chunk overwrites. */
export class MovementReader {
  private readonly chunks: readonly FloatArray[]

  /** @param files of the weights at the start, at the end and, where it is wanted, at the start of the interval before */
  constructor(
    { weightElements, buffers }: Pick<Arrays, 'weightElements' | 'buffers'>,
    private readonly files: readonly ArrayFile[],
  ) {
    this.chunks = buffers.takeWeights(files.length, weightElements)
  }

  read(offset: number, count: number): MovementElements {
    const [from, to, before] = this.files.map((file, i) => {
      const chunk = this.chunks[i]!.subarray(0, count)
      return file.read(chunk, offset * chunk.BYTES_PER_ELEMENT)
    })
    return { from: from!, to: to!, before }
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
    ([from, to, ...terms]) => {
      writeFile(store.path(fileNames.lca(interval, split)), (out) => {
        const movement = new MovementReader(arrays, [from!, to!])
        allocateChunks(arrays, movement, terms, combinations, results, (lca, offset) => {
          out.write(lca, offset * BYTES)
        })
      })
    },
  )
  return results
}

/** @param write takes the first combination's LCA, chunk by chunk */
function allocateChunks(
  { layout, buffers }: Arrays,
  movement: MovementReader,
  terms: readonly ArrayFile[],
  combinations: readonly (readonly number[])[],
  results: readonly number[][],
  write: (lca: Float64Array, offset: number) => void,
): void {
  const [out, ...arrays] = buffers.take(terms.length + 1)
  for (const { offset, count, pieces } of layout.chunks()) {
    const { from, to } = movement.read(offset, count)
    const values = terms.map((file, i) => file.read(arrays[i]!.subarray(0, count), offset * BYTES))
    combinations.forEach((coefficients, index) => {
      const lca = combine(out!.subarray(0, count), values, coefficients)
      multiplyByMovement(lca, from, to, pieces, results[index]!)
      if (index === 0) write(lca, offset)
    })
  }
}

const BYTES = Float64Array.BYTES_PER_ELEMENT

/** A linear combination of arrays, terms added in their order. */
function combine(
  out: Float64Array,
  terms: readonly Float64Array[],
  coefficients: readonly number[],
): Float64Array {
  const used = [...terms.keys()].filter((k) => (coefficients[k] ?? 0) !== 0)
  const [first, second, ...others] = used.map((k) => ({ term: terms[k]!, factor: coefficients[k]! }))
  if (first === undefined) return out.fill(0)
  if (second === undefined) setMultiple(out, first)
  else setSum(out, first, second)
  for (const other of others) addMultiple(out, other)
  return out
}

interface Multiple {
  readonly term: Float64Array
  readonly factor: number
}

function setMultiple(out: Float64Array, { term, factor }: Multiple): void {
  for (let i = 0; i < out.length; i += 1) out[i] = factor * term[i]!
}

function setSum(out: Float64Array, a: Multiple, b: Multiple): void {
  const [first, second, m, n] = [a.term, b.term, a.factor, b.factor]
  for (let i = 0; i < out.length; i += 1) out[i] = m * first[i]! + n * second[i]!
}

function addMultiple(out: Float64Array, { term, factor }: Multiple): void {
  for (let i = 0; i < out.length; i += 1) out[i]! += factor * term[i]!
}

/** Multiplies a chunk's values by its movement, and adds them to the sums of their tensors. */
function multiplyByMovement(
  values: Float64Array,
  starts: FloatArray,
  ends: FloatArray,
  pieces: readonly Piece[],
  sums: number[],
): void {
  for (const { tensor, from, to } of pieces) {
    let sum = sums[tensor]!
    for (let i = from; i < to; i += 1) {
      const value = values[i]! * (ends[i]! - starts[i]!)
      values[i] = value
      sum += value
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
  { store, layout, buffers }: Arrays,
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
    (terms) => {
      writeFile(store.path(`${sum}.next`), (out) => {
        const [total, ...arrays] = buffers.take(terms.length + 1)
        for (const { offset, count } of layout.chunks()) {
          const values = terms.map((file, i) => file.read(arrays[i]!.subarray(0, count), offset * BYTES))
          const next = combine(total!.subarray(0, count), values.toReversed(), first ? [weight] : [1, weight])
          out.write(next, offset * BYTES)
        }
      })
    },
  )
  store.rename(`${sum}.next`, sum)
  if (last) store.remove(gradient)
}
