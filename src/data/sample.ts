import { UsageError } from '../errors.js'
import { elementCount, type TypedArray } from '../tensor.js'
import type { DataSet, Samples } from './needs.js'
import { Random } from '../random.js'

/** A standard error from fewer groups is hardly one: from 8 it is known to a quarter of itself (1 / sqrt(2 (8 - 1))). */
export const FEWEST_GROUPS = 8
/** From 32 groups it is known to an eighth; more cost sums and smaller micro-batches, and tell little. */
export const MOST_GROUPS = 32
const FEWEST_SAMPLES = 2 * FEWEST_GROUPS
/** What may be left out of the sample for the sake of more groups. */
const SPARED = 0.01

export interface SampleOptions {
  /** Samples to use at most. */
  readonly maximum: number
  /** A whole number; 0 by default. */
  readonly seed?: number
  /**
   * What the size of a group must be a multiple of: the micro-batch, where micro-batches define the loss (BatchNorm on
   * their statistics, a loss that is one number for all of them). 1 by default.
   */
  readonly multipleOf?: number
  /** Groups are at least as large where 8 can be: the micro-batch, so that more groups don't make it smaller. */
  readonly microBatch?: number
}

/** A random part of a split, in groups of one size that lie one after another, each random itself. */
export interface Sample {
  /** Samples of the whole split. */
  readonly population: number
  readonly groups: number
  readonly groupSize: number
  readonly seed: number
  /** Group h is the samples `h * groupSize` up to `(h + 1) * groupSize`. */
  readonly data: DataSet
}

/**
 * Draws a simple random sample without replacement in 8 to 32 equal groups: the largest number of groups that leaves
 * out at most 1 % more than must be. The same seed, split and options choose the same samples on every platform.
 * @returns undefined where the whole split is no more than asked for: nothing is sampled then
 * @throws UsageError when there are too few samples for 8 groups
 */
export function drawSample(data: DataSet, options: SampleOptions): Sample | undefined {
  const { maximum, seed = 0 } = options
  if (!Number.isSafeInteger(maximum) || maximum < 1)
    throw new UsageError(`--max-samples ${maximum}: a whole number from ${FEWEST_SAMPLES} on is needed`)
  if (!Number.isSafeInteger(seed)) throw new UsageError(`seed ${seed}: a whole number is needed`)
  const population = data.samples
  if (maximum >= population) return undefined
  const { groups, groupSize } = cutGroups(data, options)
  const rows = Random.ofSeed(seed).choose(groups * groupSize, population)
  const note = describe(data, options, { groups, groupSize, seed })
  return { population, groups, groupSize, seed, data: pick(data, rows, note) }
}

/**
 * The numbers of `count` of so many samples, chosen at random without repeats, in random order; all in their order where
 * there are no more. What a smaller `count` chooses is the beginning of what a larger one does, and what `drawSample` draws
 * with the same seed.
 */
export function chooseSamples(count: number, population: number, seed: number): number[] {
  return count < population
    ? Random.ofSeed(seed).choose(count, population)
    : Array.from({ length: population }, (_, i) => i)
}

function cutGroups(
  data: DataSet,
  { maximum, multipleOf = 1, microBatch = 1 }: SampleOptions,
): { groups: number; groupSize: number } {
  const fewest = Math.max(FEWEST_SAMPLES, FEWEST_GROUPS * multipleOf)
  if (maximum < fewest) throw tooFew(data, maximum, multipleOf, fewest)
  const units = Math.floor(maximum / multipleOf)
  const most = Math.min(MOST_GROUPS, Math.max(FEWEST_GROUPS, Math.floor(maximum / microBatch)))
  const groups = chooseGroups(units, most)
  return { groups, groupSize: Math.floor(units / groups) * multipleOf }
}

function tooFew({ path, samples }: DataSet, maximum: number, multipleOf: number, fewest: number): UsageError {
  const why =
    multipleOf === 1
      ? `standard errors need at least ${fewest} samples`
      : `the loss is that of micro-batches of ${multipleOf} samples, and standard errors need ${FEWEST_GROUPS} of them, ${fewest} samples`
  const remedies = [
    ...(fewest < samples ? [`raise it to ${fewest}`] : []),
    ...(multipleOf > 1 ? ['lower --batch-size'] : []),
    `leave it out, which uses all ${samples} samples of ${path}`,
  ]
  return new UsageError(`--max-samples ${maximum}: ${why}; ${remedies.join(', or ')}`)
}

/** Into how many equal groups of whole units: as many as leave out hardly more than the number that leaves out least. */
function chooseGroups(units: number, most: number): number {
  const used = (groups: number): number => groups * Math.floor(units / groups)
  const choices = Array.from({ length: most - FEWEST_GROUPS + 1 }, (_, more) => most - more)
  const best = Math.max(...choices.map(used))
  return choices.find((groups) => used(groups) >= (1 - SPARED) * best)!
}

function describe(
  { path, samples }: DataSet,
  { maximum }: SampleOptions,
  { groups, groupSize, seed }: { groups: number; groupSize: number; seed: number },
): string {
  const used = groups * groupSize
  return (
    `${path}: ${used} of ${samples} samples, drawn at random (seed ${seed}) in ${groups} groups of ${groupSize}` +
    (used < maximum ? `; ${maximum} don't make equal groups` : '')
  )
}

function pick(data: DataSet, rows: readonly number[], note: string): DataSet {
  const { inputs, target } = data
  return {
    ...data,
    samples: rows.length,
    inputs: new Map([...inputs].map(([name, array]) => [name, pickRows(array, rows)])),
    ...(target && { target: pickRows(target, rows) }),
    notes: [...data.notes, note],
  }
}

/** Copies rows as bytes, which serves every element type. */
function pickRows(array: Samples, rows: readonly number[]): Samples {
  const { data, sampleShape } = array
  const width = elementCount(sampleShape)
  const picked = new (data.constructor as new (length: number) => TypedArray)(rows.length * width)
  const [from, to] = [bytesOf(data), bytesOf(picked)]
  const bytes = width * data.BYTES_PER_ELEMENT
  for (const [place, row] of rows.entries())
    to.set(from.subarray(row * bytes, (row + 1) * bytes), place * bytes)
  return { ...array, data: picked }
}

function bytesOf({ buffer, byteOffset, byteLength }: TypedArray): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}
