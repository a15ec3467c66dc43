import { CheckpointError } from '../errors.js'
import type { TableEntry } from '../tables/manifest.js'
import type { Granularity } from '../tables/schema.js'
import type { Trajectory } from '../trajectory/checkpoint.js'
import type { Arrays } from './allocation.js'
import { FisherFiles } from './fisher.js'
import { intervalFacts } from './interval-facts.js'
import { IntervalRows } from './interval-rows.js'
import type { FisherRecord, IntervalRecord } from './records.js'
import { blockRows, totalRows } from './rows.js'
import type { IntervalFacts, SummedElements, TableSink } from './rows.js'
import { fileNames } from './store/store.js'
import type { LcaTensor } from './tensors.js'
import { addBlock, addToBlock, BLOCK_INTERVALS, SumsFile } from './totals.js'
import type { IntervalRange } from './totals.js'

/** A sink whose rows can be closed into parts, and that goes on behind parts closed before. */
export interface ReplaySink extends TableSink {
  /** Closes the parts of the per-interval tables; returns the tables so far. */
  endBlock(): readonly TableEntry[]
  restore(entries: readonly TableEntry[]): void
}

export interface AdvanceContext {
  readonly arrays: Arrays
  readonly trajectory: Trajectory
  /** The tensors that LCA is allocated to. */
  readonly tensors: readonly LcaTensor[]
  readonly splits: readonly string[]
  readonly granularity: Granularity
  readonly restricted: boolean
  /** The intervals of the run, or of the part of it. */
  readonly range: { readonly from: number; readonly to: number; readonly part: boolean }
  readonly sink: ReplaySink
}

/** Bytes of arrays may gather on the disk up to this sum before they are added up and removed. */
export const GATHERED_BYTES = 256 * 2 ** 20

/**
 * After how many finished intervals rows are written and totals formed: 32, or for large networks a smaller power of two,
 * since the arrays of all of them lie on the disk until then. It depends on the network and the splits alone.
 */
export function intervalsAtOnce(parameters: number, splits: number): number {
  const bytes = parameters * (Float32Array.BYTES_PER_ELEMENT + 2 * splits * Float64Array.BYTES_PER_ELEMENT)
  const fitting = Math.max(1, Math.floor(GATHERED_BYTES / Math.max(1, bytes)))
  return Math.min(BLOCK_INTERVALS, 2 ** Math.floor(Math.log2(fitting)))
}

/** Turns finished intervals into rows and totals. */
export class Advance {
  constructor(private readonly context: AdvanceContext) {}

  /** The file of totals after so many intervals; undefined where no block has ended. */
  totalsAt(intervals: number): string | undefined {
    const { from, to } = this.context.range
    const ended = intervals === to ? to : intervals - (intervals % BLOCK_INTERVALS)
    return ended > from ? fileNames.totals(ended) : undefined
  }

  /** The file of the open block's sums after so many intervals; undefined where none is open. */
  blockAt(intervals: number): string | undefined {
    const { from, to } = this.context.range
    return intervals % BLOCK_INTERVALS === 0 || intervals === to || intervals === from
      ? undefined
      : fileNames.block(intervals)
  }

  /** Writes the rows of an interval, whose arrays and those that it looks back on are in the store. */
  writeRows(record: IntervalRecord): void {
    const { arrays, tensors, granularity, sink, splits } = this.context
    splits.forEach((_, split) => {
      const facts = this.factsOf(record, split)
      new IntervalRows(arrays, tensors, granularity, sink, facts, split).write(record.interval > 0)
    })
  }

  /** Adds intervals `from` to `to`, all of one block, to the totals, and closes the parts of the tables. */
  end(from: number, to: number): readonly TableEntry[] {
    const { range, sink, arrays } = this.context
    this.addTotals({ from, to, hasPrevious: from > 0 })
    if (this.blockAt(to) === undefined) {
      const block = fileNames.block(to)
      if (range.part) this.writeBlock(block, Math.floor(from / BLOCK_INTERVALS))
      arrays.store.remove(block)
    }
    return sink.endBlock()
  }

  /**
   * Writes the table of totals of all intervals.
   * @param measured what is measured of Fisher information, by split
   * @throws CheckpointError where it is not finite
   */
  writeTotals(measured: ReadonlyMap<number, FisherRecord>, onSplit: () => void): void {
    const { arrays, sink, range } = this.context
    const fisher = new FisherFiles(arrays, measured)
    try {
      this.eachElements(this.totalsAt(range.to), onSplit, (elements, split, offset) => {
        const rows = elements.to - elements.from
        const values = fisher.read(split, offset, rows)
        if (values !== undefined) this.checkFisher(values, elements)
        sink.append('totals', rows, totalRows(elements, values))
      })
    } finally {
      fisher.close()
    }
  }

  /** NaN in the table says that nothing was measured. */
  private checkFisher(values: Float64Array, { split, tensor }: SummedElements): void {
    const wrong = values.find((value) => !Number.isFinite(value))
    if (wrong === undefined) return
    const { checkpoints, stepUnit } = this.context.trajectory
    throw new CheckpointError(
      `at ${stepUnit} ${checkpoints.at(-1)!.step}: the gradient of a sample's loss on ${split} with respect to ${tensor.name} is not finite, ` +
        `so that its Fisher information is ${wrong}; leave --fisher-samples out, or end before it with --steps`,
    )
  }

  private addTotals(range: IntervalRange): void {
    const { arrays, splits } = this.context
    const path = (name: string | undefined) => (name === undefined ? undefined : arrays.store.path(name))
    const block = arrays.store.path(fileNames.block(range.to))
    addToBlock(arrays, splits.length, range, { before: path(this.blockAt(range.from)), after: block })
    if (this.blockAt(range.to) !== undefined) return
    const [before, after] = [path(this.totalsAt(range.from)), path(this.totalsAt(range.to))!]
    if (before === undefined && !this.context.range.part) {
      // added to zeros, the first block stays what it is
      arrays.store.rename(fileNames.block(range.to), this.totalsAt(range.to)!)
      return
    }
    addBlock(arrays, splits.length, { before, block, after })
  }

  private factsOf(record: IntervalRecord, split: number): IntervalFacts {
    const { trajectory, splits, restricted } = this.context
    return {
      ...intervalFacts(record, split, { trajectory, split: splits[split]!, restricted }),
      standardErrors: record.standardErrors?.[split],
    }
  }

  private writeBlock(file: string, block: number): void {
    this.eachElements(
      file,
      () => undefined,
      (elements) => {
        this.context.sink.append('blocks', elements.to - elements.from, blockRows(elements, block))
      },
    )
  }

  private eachElements(
    file: string | undefined,
    onSplit: () => void,
    use: (elements: SummedElements, split: number, offset: number) => void,
  ): void {
    const { arrays, splits, tensors } = this.context
    const sums = SumsFile.read(
      file === undefined ? undefined : arrays.store.path(file),
      arrays,
      splits.length,
    )
    try {
      splits.forEach((name, split) => {
        for (const { offset, count, pieces } of arrays.layout.chunks()) {
          const [allocation, movement] = [sums.allocation(split, offset, count), sums.movement(offset, count)]
          for (const { tensor, start, from, to } of pieces) {
            const elements = { split: name, tensor: tensors[tensor]!, start, allocation, movement, from, to }
            use(elements, split, offset + from)
          }
        }
        onSplit()
      })
    } finally {
      sums.close()
    }
  }
}
