import { ArrayFile } from './store/array-file.js'
import type { Numbers } from './store/array-file.js'
import type { Chunk } from './store/layout.js'
import { fileNames } from './store/store.js'
import type { FloatArray } from '../tensor.js'
import type { Arrays } from './allocation.js'

/**
 * Sums over a run are sums of blocks of this many absolute intervals, added in order, so that parts of a run can be
 * joined without changing a bit.
 */
export const BLOCK_INTERVALS = 32

/** What is summed of one split's LCA, and of the movement, which is the same on all splits; columns of `totals`. */
export const ALLOCATION_SUMS = {
  lca: Float64Array,
  undone: Float64Array,
  helped: Int32Array,
  hurt: Int32Array,
  lcaFlips: Int32Array,
  gradientFlips: Int32Array,
} as const
export const MOVEMENT_SUMS = { movement: Float64Array, pathLength: Float64Array, flips: Int32Array } as const

type Definition = Readonly<Record<string, typeof Float64Array | typeof Int32Array>>
/** Some elements of every sum. */
export type Sums<D extends Definition> = { readonly [N in keyof D]: InstanceType<D[N]> }
export type AllocationSums = Sums<typeof ALLOCATION_SUMS>
export type MovementSums = Sums<typeof MOVEMENT_SUMS>

/**
 * A file of sums over intervals: for every split ALLOCATION_SUMS, then MOVEMENT_SUMS, each an array of all elements.
 * A file that does not exist stands for zeros.
 */
export class SumsFile {
  private constructor(
    private readonly file: ArrayFile | undefined,
    private readonly size: number,
    private readonly splits: number,
  ) {}

  static read(path: string | undefined, { layout }: Arrays, splits: number): SumsFile {
    return new SumsFile(path === undefined ? undefined : ArrayFile.open(path), layout.size, splits)
  }

  static create(path: string, { layout }: Arrays, splits: number): SumsFile {
    return new SumsFile(ArrayFile.create(path), layout.size, splits)
  }

  allocation(split: number, offset: number, count: number): AllocationSums {
    return this.get(ALLOCATION_SUMS, this.baseOf(split), offset, count)
  }

  movement(offset: number, count: number): MovementSums {
    return this.get(MOVEMENT_SUMS, this.baseOf(this.splits), offset, count)
  }

  setAllocation(split: number, offset: number, sums: AllocationSums): void {
    this.set(sums, this.baseOf(split), offset)
  }

  setMovement(offset: number, sums: MovementSums): void {
    this.set(sums, this.baseOf(this.splits), offset)
  }

  close(): void {
    this.file?.close()
  }

  private baseOf(split: number): number {
    return split * bytesPerElement(ALLOCATION_SUMS) * this.size
  }

  private get<D extends Definition>(definition: D, base: number, offset: number, count: number): Sums<D> {
    let position = base
    const entries = Object.entries(definition).map(([name, Class]) => {
      const values = new Class(count)
      this.file?.read(values, position + offset * values.BYTES_PER_ELEMENT)
      position += this.size * values.BYTES_PER_ELEMENT
      return [name, values] as const
    })
    return Object.fromEntries(entries) as Sums<D>
  }

  private set(sums: Readonly<Record<string, Numbers>>, base: number, offset: number): void {
    let position = base
    for (const values of Object.values(sums)) {
      this.file!.write(values, position + offset * values.BYTES_PER_ELEMENT)
      position += this.size * values.BYTES_PER_ELEMENT
    }
  }
}

function bytesPerElement(definition: Definition): number {
  return Object.values(definition).reduce((sum, Class) => sum + Class.BYTES_PER_ELEMENT, 0)
}

/** Intervals whose LCA, gradients and weights are in the store, those of the interval before the first included. */
export interface IntervalRange {
  readonly from: number
  readonly to: number
  /** Whether there is an interval before the first. */
  readonly hasPrevious: boolean
}

/**
 * Adds intervals of one block to its sums.
 * @param before the block's sums so far; undefined where it begins
 */
export function addToBlock(
  arrays: Arrays,
  splits: number,
  range: IntervalRange,
  files: { readonly before: string | undefined; readonly after: string },
): void {
  const before = SumsFile.read(files.before, arrays, splits)
  const after = SumsFile.create(files.after, arrays, splits)
  try {
    for (const chunk of arrays.layout.chunks()) {
      after.setMovement(chunk.offset, movementSums(arrays, chunk, range, before))
      for (let split = 0; split < splits; split += 1)
        after.setAllocation(split, chunk.offset, allocationSums(arrays, chunk, range, split, before))
    }
  } finally {
    before.close()
    after.close()
  }
}

function movementSums(arrays: Arrays, chunk: Chunk, range: IntervalRange, before: SumsFile): MovementSums {
  const sums = before.movement(chunk.offset, chunk.count)
  const first = range.hasPrevious ? range.from - 1 : range.from
  let [previous, steps] = arrays.buffers.take(2).map((buffer) => buffer.subarray(0, chunk.count).fill(0))
  let [from, to] = arrays.buffers
    .takeWeights(2, arrays.weightElements)
    .map((buffer) => buffer.subarray(0, chunk.count))
  readChunk(arrays, fileNames.weights(first), from!, chunk.offset)
  for (let interval = first; interval < range.to; interval += 1) {
    readChunk(arrays, fileNames.weights(interval + 1), to!, chunk.offset)
    subtract(steps!, to!, from!)
    if (interval >= range.from) addMovement(sums, steps!, previous!)
    ;[previous, steps] = [steps, previous]
    ;[from, to] = [to, from]
  }
  return sums
}

function subtract(out: Float64Array, a: FloatArray, b: FloatArray): void {
  for (let i = 0; i < out.length; i += 1) out[i] = a[i]! - b[i]!
}

function addMovement(
  { movement, pathLength, flips }: MovementSums,
  steps: Float64Array,
  previous: Float64Array,
): void {
  for (let i = 0; i < steps.length; i += 1) {
    const step = steps[i]!
    movement[i]! += step
    pathLength[i]! += Math.abs(step)
    flips[i]! += opposed(step, previous[i]!)
  }
}

function allocationSums(
  arrays: Arrays,
  chunk: Chunk,
  range: IntervalRange,
  split: number,
  before: SumsFile,
): AllocationSums {
  const sums = before.allocation(split, chunk.offset, chunk.count)
  const [a, b, c, d] = arrays.buffers.take(4).map((buffer) => buffer.subarray(0, chunk.count))
  let [last, now]: Allocated[] = [
    { lca: a!, gradient: b! },
    { lca: c!, gradient: d! },
  ]
  const read = (into: Allocated, interval: number): void => {
    readChunk(arrays, fileNames.lca(interval, split), into.lca, chunk.offset)
    readChunk(arrays, fileNames.gradient(interval, split), into.gradient, chunk.offset)
  }
  if (range.hasPrevious) read(last!, range.from - 1)
  for (let interval = range.from; interval < range.to; interval += 1) {
    read(now!, interval)
    addAllocation(sums, now!.lca)
    if (range.hasPrevious || interval > range.from) addFlips(sums, now!, last!)
    ;[last, now] = [now, last]
  }
  return sums
}

interface Allocated {
  readonly lca: Float64Array
  readonly gradient: Float64Array
}

/** Signs are as good as random, so that adding 0 or 1 is more than twice as quick as branching. */
function addAllocation({ lca, helped, hurt }: AllocationSums, now: Float64Array): void {
  for (let i = 0; i < lca.length; i += 1) {
    const a = now[i]!
    lca[i]! += a
    helped[i]! += Number(a < 0)
    hurt[i]! += Number(a > 0)
  }
}

function addFlips(
  { undone, lcaFlips, gradientFlips }: AllocationSums,
  { lca, gradient }: Allocated,
  { lca: lcaBefore, gradient: gradientBefore }: Allocated,
): void {
  for (let i = 0; i < undone.length; i += 1) {
    const [a, b] = [lca[i]!, lcaBefore[i]!]
    const flips = opposed(a, b)
    lcaFlips[i]! += flips
    undone[i]! += flips * Math.min(Math.abs(a), Math.abs(b))
    gradientFlips[i]! += opposed(gradient[i]!, gradientBefore[i]!)
  }
}

/** 1 where two numbers have opposite signs; zero has none. */
function opposed(a: number, b: number): number {
  return (Number(a < 0) & Number(b > 0)) | (Number(a > 0) & Number(b < 0))
}

/** Adds a finished block's sums to those of the blocks before it. */
export function addBlock(
  arrays: Arrays,
  splits: number,
  files: { readonly before: string | undefined; readonly block: string; readonly after: string },
): void {
  const [before, block] = [
    SumsFile.read(files.before, arrays, splits),
    SumsFile.read(files.block, arrays, splits),
  ]
  const after = SumsFile.create(files.after, arrays, splits)
  try {
    for (const { offset, count } of arrays.layout.chunks()) {
      after.setMovement(offset, added(before.movement(offset, count), block.movement(offset, count)))
      for (let split = 0; split < splits; split += 1)
        after.setAllocation(
          split,
          offset,
          added(before.allocation(split, offset, count), block.allocation(split, offset, count)),
        )
    }
  } finally {
    for (const file of [before, block, after]) file.close()
  }
}

function added<S extends Readonly<Record<string, Numbers>>>(sums: S, block: S): S {
  for (const [name, values] of Object.entries(sums)) {
    const other = block[name]!
    for (let i = 0; i < values.length; i += 1) values[i]! += other[i]!
  }
  return sums
}

function readChunk<T extends Numbers>({ store }: Arrays, name: string, into: T, offset: number): T {
  const file = ArrayFile.open(store.path(name))
  try {
    return file.read(into, offset * into.BYTES_PER_ELEMENT)
  } finally {
    file.close()
  }
}
