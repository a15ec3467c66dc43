import type { Cut } from '../engines/micro-batches.js'
import { DataError, EngineError } from '../errors.js'
import type { Arrays } from './allocation.js'
import type { FisherRecord } from './records.js'
import { ArrayFile, withFiles, writeFile } from './store/array-file.js'
import { fileNames } from './store/store.js'
import type { WeightFiles } from './weight-files.js'
import type { Evaluator } from './workers/evaluator.js'
import { WorkerMemoryError } from './workers/pool.js'

/*
 * The diagonal of the empirical Fisher information (Kunstner, Balles and Hennig, "Limitations of the empirical Fisher
 * approximation for natural gradient descent", NeurIPS 2019; of the information itself, whose labels are the model's own
 * guesses, Amari, "Natural gradient works efficiently in learning", Neural Computation 1998) of every parameter i, at one
 * checkpoint, on samples s of a split:
 *
 *     F[i] = sum over s of d_s (dl_s / dtheta_i)^2 / sum over s of d_s,      l_s = y_s / d_s,
 *
 * y_s and d_s being the numerator and the denominator that sample s has in the loss. So every sample weighs as it does in
 * the loss, whose gradient is sum d_s dl_s / sum d_s: one without weight (all its labels ignored) counts as nothing, and
 * where all have one weight F is the plain mean of squared gradients.
 *
 * Samples are cut into blocks, by their number alone. A worker runs one sample at a time and adds d_s (dl_s)^2 = (dy_s)^2 / d_s
 * in float64; the blocks' sums are added in their order, so that no bit depends on who computed what.
 */

/** A block is what an interrupt may cost each worker, and what the sums are added up from. */
const FEWEST_IN_BLOCK = 16
const MOST_BLOCKS = 128

export interface FisherContext {
  readonly arrays: Arrays
  readonly evaluator: Pick<Evaluator, 'evaluate'>
  readonly weights: Pick<WeightFiles, 'ensure'>
  readonly cut: Cut
  readonly splits: readonly { readonly name: string }[]
  /** Numbers of the samples, by split. */
  readonly samples: readonly (readonly number[])[]
  readonly checkpoint: number
  /** How many blocks may be on their way at once. */
  readonly window: number
  /** What is finished, by split. */
  readonly finished: ReadonlyMap<number, FisherRecord>
  /** Takes what is finished down; afterwards the file that it replaces, if any, is nobody's. */
  readonly onBlock: (record: FisherRecord, replaced: string | undefined) => Promise<void>
  /** The share of the samples that is done. */
  readonly onShare: (share: number) => void
  /** Whether the replay has ended meanwhile. */
  readonly isOver: () => boolean
}

interface Block {
  readonly split: number
  readonly number: number
  readonly samples: readonly number[]
}

/** Samples cut into at most 128 blocks of at least 16. */
export function blocksOf(samples: readonly number[]): (readonly number[])[] {
  const size = Math.max(FEWEST_IN_BLOCK, Math.ceil(samples.length / MOST_BLOCKS))
  return Array.from({ length: Math.ceil(samples.length / size) }, (_, block) =>
    samples.slice(block * size, (block + 1) * size),
  )
}

/**
 * Leaves for every split the sum over s of d_s (dl_s)^2 in a file, with the sum of d_s in the last record. Blocks that are
 * finished already are not computed again.
 *
 * @throws EngineError when the network can't be run on one sample, WorkerMemoryError when memory is short
 * @throws DataError where no sample counts in the loss
 */
export async function measureFisher(context: FisherContext): Promise<void> {
  const { samples, finished, window, isOver, splits } = context
  const blocks = samples.flatMap((all, split) =>
    blocksOf(all).map((some, number): Block => ({ split, number, samples: some })),
  )
  const counter = new Counter(samples.flat().length, context.onShare)
  const pending = blocks.filter(({ split, number }) => number >= (finished.get(split)?.blocks ?? 0))
  counter.add(samples.flat().length - pending.flatMap((block) => block.samples).length)
  const begun: Promise<number>[] = []
  for (const [index, block] of pending.entries()) {
    for (const next of pending.slice(begun.length, index + window)) begun.push(begin(context, next, counter))
    const denominator = await begun[index]!
    if (isOver()) return
    await addBlock(context, block, denominator)
  }
  for (const [split, { name }] of splits.entries())
    if (finished.get(split)!.denominator === 0) throw withoutWeight(name, samples[split]!.length)
}

/** Counts samples that are done. */
class Counter {
  private done = 0

  constructor(
    private readonly total: number,
    private readonly onShare: (share: number) => void,
  ) {}

  add(samples: number): void {
    this.done += samples
    this.onShare(this.done / this.total)
  }
}

/** Resolves to the sum of the block's denominators when its sum of squares is in its file. */
function begin(context: FisherContext, block: Block, counter: Counter): Promise<number> {
  const sums = evaluate(context, block, counter)
  // a rejection is thrown where the block's turn comes
  sums.catch(() => undefined)
  return sums
}

async function evaluate(
  { evaluator, weights, cut, checkpoint }: FisherContext,
  { split, number, samples }: Block,
  counter: Counter,
): Promise<number> {
  const out = fileNames.fisherBlock(split, number)
  const point = { split, from: checkpoint, to: checkpoint, a: 0, cut, out, movements: [] }
  await weights.ensure(checkpoint)
  try {
    const task = { ...point, squaresOf: samples }
    let told = 0
    const [sums] = await evaluator.evaluate(task, checkpoint, (count) => {
      told += count
      counter.add(count)
    })
    counter.add(samples.length - told)
    return sums!.denominator
  } catch (error) {
    throw inContext(error)
  }
}

function inContext(error: unknown): unknown {
  if (error instanceof WorkerMemoryError)
    return new WorkerMemoryError(`${error.message}, with one sample at a time; use fewer --workers`)
  return error instanceof EngineError
    ? new EngineError(`--fisher-samples, in a micro-batch of one sample: ${error.message}`)
    : error
}

/** Adds a block's sum to that of the blocks before it, in a file of its own: the record of either names its file. */
async function addBlock(
  { arrays, finished, onBlock }: FisherContext,
  { split, number }: Block,
  denominator: number,
): Promise<void> {
  const { store } = arrays
  const block = fileNames.fisherBlock(split, number)
  const [before, after] = [fileNames.fisher(split, number), fileNames.fisher(split, number + 1)]
  if (number === 0) store.rename(block, after)
  else {
    writeSum(arrays, [before, block], after)
    store.remove(block)
  }
  const total = (finished.get(split)?.denominator ?? 0) + denominator
  const record = { kind: 'fisher', split, blocks: number + 1, denominator: total } as const
  await onBlock(record, number === 0 ? undefined : before)
}

function writeSum({ store, layout, buffers }: Arrays, names: readonly [string, string], sum: string): void {
  withFiles(
    names.map((name) => store.path(name)),
    ([one, other]) => {
      writeFile(store.path(sum), (out) => {
        const [a, b] = buffers.take(2)
        for (const { offset, count } of layout.chunks()) {
          const position = offset * a!.BYTES_PER_ELEMENT
          const total = one!.read(a!.subarray(0, count), position)
          const part = other!.read(b!.subarray(0, count), position)
          for (let i = 0; i < count; i += 1) total[i]! += part[i]!
          out.write(total, position)
        }
      })
    },
  )
}

function withoutWeight(split: string, samples: number): DataError {
  return new DataError(
    `--fisher-samples ${samples}: none of the samples of ${split} that were chosen counts in the loss (all their labels are ` +
      'ignored, or of classes without weight); ask for more, or give another --seed',
  )
}

/** Fisher information as it was measured, by split. */
export class FisherFiles {
  private readonly files: ReadonlyMap<number, { readonly file: ArrayFile; readonly denominator: number }>

  constructor({ store }: Arrays, finished: ReadonlyMap<number, FisherRecord>) {
    this.files = new Map(
      [...finished].map(([split, { blocks, denominator }]) => {
        const file = ArrayFile.open(store.path(fileNames.fisher(split, blocks)))
        return [split, { file, denominator }]
      }),
    )
  }

  /** Of some neighbouring parameters; undefined where it was not measured. */
  read(split: number, offset: number, count: number): Float64Array | undefined {
    const measured = this.files.get(split)
    if (measured === undefined) return undefined
    const values = new Float64Array(count)
    measured.file.read(values, offset * values.BYTES_PER_ELEMENT)
    for (let i = 0; i < count; i += 1) values[i]! /= measured.denominator
    return values
  }

  close(): void {
    for (const { file } of this.files.values()) file.close()
  }
}
