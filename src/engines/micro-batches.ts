import { BYTES_PER_ELEMENT, elementCount } from '../tensor.js'
import type { TypedArray } from '../tensor.js'
import type { MicroBatch, SampleArray, SplitData } from './engine.js'

/** How a split is cut into micro-batches. */
export interface Cut {
  /** Samples in a micro-batch. */
  readonly size: number
  /** Samples in the first one, where it is to be shorter; the cut changes rounding, not the loss. */
  readonly first?: number
}

/**
 * Cuts samples into micro-batches in their order. With a fixed size every micro-batch has that size, padded where
 * samples run out; otherwise the last one is smaller.
 */
export function microBatches(samples: number, { size, first = size }: Cut, fixed: boolean): MicroBatch[] {
  const batches: MicroBatch[] = []
  for (let start = 0; start < samples;) {
    const count = Math.min(start === 0 ? first : size, samples - start)
    batches.push({ start, count, size: fixed ? size : count })
    start += count
  }
  return batches
}

/** The most groups that the micro-batches of a split are summed in, and the fewest micro-batches of one. */
const MOST_GROUPS = 4
const FEWEST_IN_GROUP = 4

/**
 * Micro-batches in groups of neighbours. A gradient is the sum of its groups' sums, in their order, so that its bits
 * don't depend on how many processes share the groups.
 */
export function grouped(batches: readonly MicroBatch[]): MicroBatch[][] {
  const groups = Math.max(1, Math.min(MOST_GROUPS, Math.floor(batches.length / FEWEST_IN_GROUP)))
  return Array.from({ length: groups }, (_, group) =>
    batches.slice(
      Math.floor((group * batches.length) / groups),
      Math.floor(((group + 1) * batches.length) / groups),
    ),
  )
}

/** Data of one run of several micro-batches take this many bytes at most: what comes in one run is in memory twice. */
const BYTES_AT_ONCE = 128 * 2 ** 20

/**
 * Micro-batches in stretches that an engine can sum by itself (Engine.sum): full ones of one size, as many as their data
 * may take. All others stand alone.
 */
export function stretches(
  batches: readonly MicroBatch[],
  bytesPerSample: number,
  most = BYTES_AT_ONCE,
): MicroBatch[][] {
  const found: MicroBatch[][] = []
  for (const batch of batches) {
    const last = found.at(-1)
    const joins =
      last !== undefined &&
      [...last.slice(0, 1), batch].every(({ size, count }) => count === size && size === batch.size) &&
      last.at(-1)!.start + batch.size === batch.start &&
      (last.length + 1) * batch.size * bytesPerSample <= most
    if (joins) last.push(batch)
    else found.push([batch])
  }
  return found
}

/** Bytes of one sample's inputs and target. */
export function bytesPerSample({ inputs, target }: SplitData): number {
  return [...inputs.values(), ...(target === undefined ? [] : [target])].reduce(
    (sum, { dtype, sampleShape }) => sum + BYTES_PER_ELEMENT[dtype] * elementCount(sampleShape),
    0,
  )
}

/** The rows of a micro-batch: a view of the data, or a copy where padding is needed (the first sample repeated). */
export function rows(array: SampleArray, { start, count, size }: MicroBatch): TypedArray {
  const width = elementCount(array.sampleShape)
  const view = samplesOf(array, start, count)
  if (count === size) return view
  const filled = new (view.constructor as new (length: number) => TypedArray)(size * width)
  copy(filled, view, 0)
  const padding = samplesOf(array, 0, 1)
  for (let row = count; row < size; row += 1) copy(filled, padding, row * width)
  return filled
}

function samplesOf(array: SampleArray, start: number, count: number): TypedArray {
  if ('read' in array) return array.read(start, count)
  const width = elementCount(array.sampleShape)
  return array.data.subarray(start * width, (start + count) * width)
}

function copy(to: TypedArray, from: TypedArray, offset: number): void {
  const bytes = new Uint8Array(to.buffer, to.byteOffset, to.byteLength)
  bytes.set(new Uint8Array(from.buffer, from.byteOffset, from.byteLength), offset * to.BYTES_PER_ELEMENT)
}

/** Weights of a micro-batch's samples: 1 for each, 0 for padding. */
export function weights(batch: MicroBatch, double: boolean): Float32Array | Float64Array {
  const values = double ? new Float64Array(batch.size) : new Float32Array(batch.size)
  return values.fill(1, 0, batch.count)
}

/** What a device holds of every parameter: its value, its gradient, and the gradient's sum in float64 twice (a loop's states). */
const COPIES_ON_DEVICE = 6

/** What a gradient graph takes of a device. */
export interface DeviceNeeds {
  /** Elements that the graph computes for one sample, and those of the largest value among them. */
  readonly elementsPerSample: number
  readonly largestPerSample: number
  readonly parameters: number
  /** Of the largest data set: no micro-batch need be larger. */
  readonly samples: number
}

/**
 * The size of a micro-batch that fits into a device's memory: a power of two. All values of the graph count, although about
 * half are there at once, since allocators take blocks by the power of two and convolutions have workspaces.
 *
 * @param memory bytes for everything, and for the largest value
 */
export function deviceBatchSize(
  { elementsPerSample, largestPerSample, parameters, samples }: DeviceNeeds,
  memory: { readonly bytes: number; readonly largestValue?: number },
): number {
  const element = BYTES_PER_ELEMENT.float32
  const left = memory.bytes - COPIES_ON_DEVICE * parameters * element
  const fitting = Math.min(
    left / (Math.max(1, elementsPerSample) * element),
    (memory.largestValue ?? Infinity) / (Math.max(1, largestPerSample) * element),
  )
  const enough = 2 ** Math.ceil(Math.log2(Math.max(1, samples)))
  return Math.min(enough, 2 ** Math.max(0, Math.floor(Math.log2(Math.max(1, fitting)))))
}

/** Bytes of all values of a micro-batch together; about half of them are in memory at once. */
const MICRO_BATCH_BYTES = 64 * 2 ** 20
/** They may be so many times the bytes of the parameters, where that is more. */
const COPIES_OF_PARAMETERS = 4
const LARGEST_MICRO_BATCH = 1024

/**
 * The default micro-batch size: as many samples as keep all values of the gradient graph within a fixed budget, so
 * that it depends on the model alone. A power of two, at most 1024.
 *
 * @param elementsPerSample number of elements that the graph computes for one sample
 * @param parameters of the network: every micro-batch costs a pass through all of them and their gradient's sum
 */
export function defaultBatchSize(elementsPerSample: number, parameters = 0): number {
  const budget = Math.max(MICRO_BATCH_BYTES, COPIES_OF_PARAMETERS * parameters * BYTES_PER_ELEMENT.float32)
  const fitting = budget / (Math.max(1, elementsPerSample) * BYTES_PER_ELEMENT.float32)
  return Math.min(LARGEST_MICRO_BATCH, 2 ** Math.max(0, Math.floor(Math.log2(fitting))))
}
