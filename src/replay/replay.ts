import { setImmediate } from 'node:timers/promises'
import { Advance, GATHERED_BYTES, intervalsAtOnce } from './advance.js'
import type { ReplaySink } from './advance.js'
import { Attempt } from './attempt.js'
import { measureFisher } from './fisher.js'
import type { ReplayJournal } from './journal.js'
import { Progress } from './progress.js'
import type { BatchRecord, FisherRecord, ReplayRecord } from './records.js'
import type { ReplayInput, ReplayOptions } from './replay-input.js'
import { keptFiles, ReplayState } from './state.js'
import type { Outcome } from './state.js'
import { fileNames } from './store/store.js'
import { WeightFiles } from './weight-files.js'
import { WorkerMemoryError } from './workers/pool.js'

/** The open journal of a replay and what it held when it was opened. */
export interface OpenJournal {
  readonly journal: ReplayJournal
  readonly records: readonly ReplayRecord[]
}

/** Finished intervals are brought to the disk at least this often, so that a machine that stops loses little. */
const SYNC_MS = 30_000

/**
 * Replays a trajectory: for every interval integrates the gradient along the segment between its checkpoints, on every
 * split, and hands the rows of all tables to `sink`, in order. Finished intervals are journalled; what the journal holds
 * already is not computed again. Arrays as large as the parameters lie in files, so that memory grows neither with the
 * network nor with the trajectory. An aborted signal ends it, with the journal as it is. The evaluator is closed when all
 * gradients are there.
 *
 * @throws CheckpointError when a checkpoint can't be read or is not finite, or the loss overflows
 * @throws EngineError when the engine fails or its processes die
 * @throws ResultsError when the disk refuses
 */
export function replay(
  input: ReplayInput,
  options: ReplayOptions,
  journal: OpenJournal,
  sink: ReplaySink,
): Promise<Outcome> {
  return new Replay(input, options, journal, sink).run()
}

class Replay {
  private readonly state: ReplayState
  private readonly weights: WeightFiles
  private readonly advance: Advance
  private readonly progress: Progress
  private readonly range: { readonly from: number; readonly to: number; readonly part: boolean }
  private readonly atOnce: number
  private readonly journal: ReplayJournal
  private advanced: number
  /** Rows of all intervals before it are written, if not yet in closed parts. */
  private written: number
  private advancing: Promise<void> = Promise.resolve()
  private lastSync = Date.now()
  /** Counts how often the unfinished intervals were begun: what an earlier attempt still finishes is dropped. */
  private attempt = 0
  /** Sums of squared gradients that later ones have replaced, and that go when this is on the disk. */
  private readonly replaced: string[] = []

  constructor(
    private readonly input: ReplayInput,
    private readonly options: ReplayOptions,
    { journal, records }: OpenJournal,
    private readonly sink: ReplaySink,
  ) {
    const { trajectory, tensors, arrays, splits } = input
    const intervals = trajectory.checkpoints.length - 1
    const { from, to } = options.intervals ?? { from: 0, to: intervals }
    this.range = { from, to, part: options.intervals !== undefined }
    this.journal = journal
    this.state = new ReplayState(records, { from, batchSize: options.batchSize })
    this.advanced = this.state.advanced
    this.written = this.advanced
    this.weights = new WeightFiles(arrays.store, trajectory.checkpoints, tensors, arrays.weightElements)
    this.atOnce = intervalsAtOnce(arrays.layout.size, splits.length)
    const { granularity } = options
    this.advance = new Advance({
      arrays,
      trajectory,
      tensors: tensors.slice(0, arrays.layout.tensors.length),
      splits: splits.map(({ name }) => name),
      granularity,
      restricted: tensors.length > arrays.layout.tensors.length,
      range: this.range,
      sink,
    })
    this.progress = new Progress(splits, to - from, options)
  }

  async run(): Promise<Outcome> {
    await this.restore()
    const interrupted = await this.untilAborted(this.allGradients())
    if (interrupted) return this.state.outcome(true)
    // the processes end, and give their memory back, while totals are written
    void this.input.evaluator.close()
    const total = this.input.splits.length
    let written = 0
    this.advance.writeTotals(this.state.fisher, () => {
      written += 1
      this.progress.after('writing totals', written / total)
    })
    return this.state.outcome(false)
  }

  /** Takes up what the journal holds, and clears what no record speaks of. */
  private async restore(): Promise<void> {
    const { state, input } = this
    // what is removed here, what the disk holds of the journal may still speak of
    if (state.advanced > this.range.from) await this.sync()
    input.arrays.store.keepOnly(this.keptFiles())
    this.sink.restore(state.tables)
    this.weights.take(state.endpoints)
    this.keepSize()
    this.progress.finished(state.finishedIn(this.range), state.lastRecord)
  }

  /** Journals the size of micro-batches where a device's memory chose it; one that is journalled already counts. */
  private keepSize(): void {
    const { batchSize: size, fromMemory: message, onNote } = this.options
    if (message === undefined || this.state.sizeChosen) return
    this.takeSize({
      kind: 'batch size',
      size,
      from: this.state.unfinished(this.range),
      chosen: true,
      message,
    })
    onNote?.(message)
  }

  private takeSize(record: BatchRecord): void {
    this.journal.append(record)
    this.state.take(record)
  }

  /** Names of the files that what is finished rests on. */
  private keptFiles(): Set<string> {
    const { state, advanced, input } = this
    const sums = [this.advance.totalsAt(advanced), this.advance.blockAt(advanced)]
    const kept = keptFiles(state, this.range.from, input.splits.length)
    return new Set([...kept, ...sums.filter((name) => name !== undefined)])
  }

  /** Returns whether the signal ended the work. */
  private async untilAborted(work: Promise<void>): Promise<boolean> {
    const { signal } = this.options
    let abort: () => void = () => undefined
    const aborted = new Promise<boolean>((resolve) => {
      abort = () => {
        resolve(true)
      }
      if (signal?.aborted === true) abort()
      else signal?.addEventListener('abort', abort)
    })
    try {
      return await Promise.race([work.then(() => false), aborted])
    } finally {
      signal?.removeEventListener('abort', abort)
      this.attempt += 1
      // what has begun to write is let finish: the next run writes to the same files
      await this.advancing.catch(() => undefined)
      await this.weights.close()
    }
  }

  private async allGradients(): Promise<void> {
    await this.allIntervals()
    await this.fisher()
  }

  /** Measures Fisher information at the last checkpoint, where it is asked for. */
  private async fisher(): Promise<void> {
    const { input, options, state, weights, attempt } = this
    const { fisher: samples, window } = options
    if (samples === undefined || attempt !== this.attempt) return
    const { arrays, evaluator, splits, trajectory } = input
    await measureFisher({
      ...{ arrays, evaluator, weights, splits, samples, window },
      cut: { size: state.batchSize },
      checkpoint: trajectory.checkpoints.length - 1,
      finished: state.fisher,
      onBlock: (record, replaced) => this.takeBlock(record, replaced),
      onShare: (share) => {
        this.progress.after('Fisher information', share)
      },
      isOver: () => attempt !== this.attempt,
    })
  }

  /** What the disk holds of the journal may speak of replaced files until it is synced. */
  private async takeBlock(record: FisherRecord, replaced: string | undefined): Promise<void> {
    this.record(record, this.attempt)
    if (replaced !== undefined) this.replaced.push(replaced)
    const { store, layout } = this.input.arrays
    const bytes = this.replaced.length * layout.size * Float64Array.BYTES_PER_ELEMENT
    if (bytes < GATHERED_BYTES && Date.now() - this.lastSync < SYNC_MS) return
    this.advancing = this.sync().then(() => {
      store.remove(...this.replaced.splice(0))
    })
    await this.advancing
  }

  private async allIntervals(): Promise<void> {
    for (;;) {
      const before = this.state.unfinished(this.range)
      try {
        await this.tryIntervals()
        return
      } catch (error) {
        if (!(error instanceof WorkerMemoryError)) throw error
        this.attempt += 1
        await this.settled()
        this.halve(error, before)
      }
    }
  }

  /** Waits for what is being written; that it waited for a task that failed for want of memory is no harm. */
  private async settled(): Promise<void> {
    try {
      await this.advancing
    } catch (error) {
      if (!(error instanceof WorkerMemoryError)) throw error
      this.advancing = Promise.resolve()
    }
  }

  /**
   * Begins the unfinished intervals again with half the micro-batch. On the CPU once for the first of them: where half does
   * not help, something else fills the memory. A device's memory holds little else, so that smaller ones are tried in turn.
   */
  private halve(error: WorkerMemoryError, before: number): void {
    const { batchSize, halvedAt } = this.state
    const first = this.state.unfinished(this.range)
    const { mayHalve, onDevice = false } = this.options
    if (!mayHalve)
      throw new WorkerMemoryError(
        `${error.message}; the micro-batch is part of the loss and stays as it is: ${onDevice ? 'use --device cpu' : 'use fewer --workers'}`,
      )
    if (batchSize === 1 || (!onDevice && halvedAt === first && before === first))
      throw new WorkerMemoryError(
        `${error.message}, with micro-batches of ${batchSize === 1 ? 'one sample' : `${batchSize} samples`}; ` +
          (onDevice ? 'use --device cpu' : 'use fewer --workers, or a smaller --batch-size'),
      )
    const size = Math.ceil(batchSize / 2)
    const message = `${error.message}; what is unfinished, from interval ${first} on, has micro-batches of ${size} samples instead of ${batchSize}`
    this.takeSize({ kind: 'batch size', size, from: first, message })
    this.options.onNote?.(message)
  }

  private async tryIntervals(): Promise<void> {
    const attempt = new Attempt(this.input, this.options, this.weights, this.state, this.attempt, {
      isOver: (number) => number !== this.attempt,
      onSamples: (interval, split, samples) => {
        this.progress.samples(interval, split, samples)
      },
      onEndpoint: (endpoint) => {
        this.record({ kind: 'endpoint', ...endpoint }, attempt.number)
      },
      onNoise: (floor, evaluations) => {
        this.record({ kind: 'noise', floor, evaluations }, attempt.number)
      },
      onInterval: (record) => {
        this.record(record, attempt.number)
      },
    })
    // an earlier process may have finished interval 0 and not this
    if (this.state.advanced === 0) attempt.beginNoise()
    const pending = this.state.pending(this.range)
    let failed = false
    const lane = async (): Promise<void> => {
      for (const interval of pending) {
        if (failed || attempt.number !== this.attempt) return
        await attempt.interval(interval)
        if (attempt.number !== this.attempt) return
        await this.advanceTo(this.state.unfinished(this.range), attempt)
      }
    }
    const lanes = Array.from({ length: this.options.window }, () => lane())
    try {
      await Promise.all(lanes)
    } catch (error) {
      failed = true
      throw error
    }
    await this.advanceTo(this.range.to, attempt)
    await attempt.noiseIfBegun()
  }

  private record(record: ReplayRecord, attempt: number): void {
    if (attempt !== this.attempt) return
    this.journal.append(record)
    this.state.take(record)
    if (record.kind === 'interval') this.progress.finished(this.state.finishedIn(this.range), record)
  }

  /** Writes rows of finished intervals in their order, while others are computed, and totals of whole steps of them. */
  private advanceTo(finished: number, attempt: Attempt): Promise<void> {
    this.advancing = this.advancing.then(async () => {
      for (;;) {
        if (this.written > this.advanced && this.written === this.nextStep()) await this.step(attempt)
        if (this.written >= finished) break
        this.advance.writeRows(this.state.interval(this.written)!)
        this.written += 1
        // workers are waiting to be heard
        await setImmediate()
      }
      if (Date.now() - this.lastSync > SYNC_MS) await this.sync()
    })
    return this.advancing
  }

  /** The end of the next step: steps end at multiples of their length and at the end of the run. */
  private nextStep(): number {
    const { atOnce, advanced, range } = this
    return Math.min(range.to, (Math.floor(advanced / atOnce) + 1) * atOnce)
  }

  private async step(attempt: Attempt): Promise<void> {
    const [from, to] = [this.advanced, this.nextStep()]
    if (from === 0) await attempt.noiseIfBegun()
    const tables = this.advance.end(from, to)
    const old = [this.advance.totalsAt(from), this.advance.blockAt(from)]
    const record = { kind: 'advance', intervals: to, tables } as const
    this.journal.append(record)
    this.state.take(record)
    this.advanced = to
    // what follows the last step is brought to the disk by itself
    if (to === this.range.to) return
    await this.sync()
    const kept = [this.advance.totalsAt(to), this.advance.blockAt(to)]
    this.release(
      from,
      to,
      attempt,
      old.filter((name) => name !== undefined && !kept.includes(name)) as string[],
    )
  }

  private async sync(): Promise<void> {
    await this.journal.sync(this.keptFiles())
    this.lastSync = Date.now()
  }

  /** Removes the arrays that only intervals before `to` needed; those of the last one are what the next looks back on. */
  private release(from: number, to: number, attempt: Attempt, sums: readonly string[]): void {
    const { store } = this.input.arrays
    store.remove(...sums)
    for (let index = Math.max(0, from - 1); index < to - 1; index += 1) {
      this.weights.release(index)
      attempt.release(index)
      for (const split of this.input.splits.keys())
        store.remove(fileNames.gradient(index, split), fileNames.lca(index, split))
    }
    this.state.release()
  }
}
