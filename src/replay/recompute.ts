import type { Batch, Granularity, TableName } from '../tables/schema.js'
import { Endpoints } from './endpoints.js'
import { integrate } from './integrate.js'
import type { Integrator } from './integrate.js'
import { intervalFacts } from './interval-facts.js'
import { IntervalRows } from './interval-rows.js'
import type { Rule } from './quadrature/rule.js'
import type { IntervalRecord } from './records.js'
import type { ReplayInput } from './replay-input.js'
import type { IntervalFacts, TableSink } from './rows.js'
import { fileNames } from './store/store.js'
import { WeightFiles } from './weight-files.js'
import { WorkerMemoryError } from './workers/pool.js'
import type { Evaluator } from './workers/evaluator.js'

/** An interval to compute anew, and how. */
export interface IntervalTask {
  /** Its number in the trajectory. */
  readonly interval: number
  readonly rule: Rule
  /** In units of the loss. */
  readonly tolerance: number
  /** A power of two. */
  readonly maxSplits: number
}

/** The rows of one interval as they were appended, by table. */
export type IntervalTables = { readonly [T in TableName]?: readonly Batch<T>[] }

export interface RecomputedInterval {
  readonly record: IntervalRecord
  /** Columns that look back on the interval before hold NaN, and standard errors too. */
  readonly tables: IntervalTables
}

export interface RecomputeOptions {
  readonly tasks: readonly IntervalTask[]
  readonly batchSize: number
  /** Whether a smaller micro-batch gives the same loss, so that it may be tried where memory is short. */
  readonly mayHalve: boolean
  readonly granularity: Granularity
  /** Errors below it are rounding, in units of the loss. */
  readonly noiseFloor: number
  /** How many intervals may be on their way at once. */
  readonly window: number
  /** Called when an interval is there, with one at a time. */
  readonly onInterval: (interval: RecomputedInterval) => Promise<void>
  /** Called now and then with the evaluations of single splits that were done since the last call, as a fraction. */
  readonly onEvaluated: (interval: number, evaluations: number) => void
  readonly onNote?: (note: string) => void
  /** Stops what is being written; the caller closes the evaluator, and waits for nothing more. */
  readonly signal?: AbortSignal
}

/**
 * Computes chosen intervals of a trajectory, in any order and with a rule for each, into memory: nothing is journalled,
 * and no totals are formed. Neighbours among them share the gradient at their common checkpoint. The evaluator stays
 * open.
 *
 * @throws CheckpointError when a checkpoint can't be read or is not finite, or the loss overflows
 * @throws EngineError when the engine fails or its processes die
 */
export async function recompute(input: ReplayInput, options: RecomputeOptions): Promise<void> {
  let { tasks, batchSize } = options
  for (;;) {
    const attempt = new Recomputation(input, options, batchSize)
    const failed = await attempt.run(tasks)
    if (failed === undefined) return
    if (!(failed instanceof WorkerMemoryError) || !options.mayHalve || batchSize === 1) throw failed as Error
    tasks = tasks.filter(({ interval }) => !attempt.finished.has(interval))
    batchSize = Math.ceil(batchSize / 2)
    options.onNote?.(`${failed.message}; going on with micro-batches of ${batchSize} samples`)
  }
}

/** The computation of unfinished intervals with one size of the micro-batch. */
class Recomputation {
  readonly finished = new Set<number>()
  private readonly endpoints: Endpoints
  private readonly weights: WeightFiles
  /** How many intervals still need a checkpoint. */
  private readonly uses = new Map<number, number>()
  /** Evaluations on their way: none may write when the next attempt begins. */
  private readonly running = new Set<Promise<unknown>>()
  private failed: unknown
  private handing: Promise<void> = Promise.resolve()

  constructor(
    private readonly input: ReplayInput,
    private readonly options: RecomputeOptions,
    private readonly batchSize: number,
  ) {
    const { trajectory, arrays, tensors } = input
    const { checkpoints, stepUnit } = trajectory
    this.weights = new WeightFiles(arrays.store, checkpoints, tensors, arrays.weightElements)
    this.endpoints = new Endpoints({
      ...this.common,
      last: checkpoints.length - 1,
      onSamples: () => undefined,
      onEndpoint: () => undefined,
      where: (checkpoint) => `at ${stepUnit} ${checkpoints[checkpoint]!.step}`,
    })
  }

  /** Returns why it failed, when nothing is on its way any more; undefined where all is done. */
  async run(tasks: readonly IntervalTask[]): Promise<unknown> {
    this.options.signal?.addEventListener('abort', () => {
      this.failed ??= new Error('the work was stopped')
      void this.weights.close()
    })
    for (const { interval } of tasks)
      for (const checkpoint of [interval, interval + 1])
        this.uses.set(checkpoint, (this.uses.get(checkpoint) ?? 0) + 1)
    const pending = tasks.values()
    const lane = async (): Promise<void> => {
      for (const task of pending) {
        if (this.failed !== undefined) return
        await this.interval(task)
      }
    }
    const lanes = Array.from({ length: this.options.window }, () =>
      lane().catch((error: unknown) => {
        this.failed ??= error
      }),
    )
    await Promise.all(lanes)
    await Promise.allSettled(this.running)
    await this.weights.close()
    return this.failed
  }

  private async interval(task: IntervalTask): Promise<void> {
    const record = await integrate(this.integrator(task), task.interval)
    const tables = this.rowsOf(record)
    this.release(task.interval)
    this.handing = this.handing.then(() => this.options.onInterval({ record, tables }))
    await this.handing
    this.finished.add(task.interval)
  }

  private integrator({ interval, rule, tolerance, maxSplits }: IntervalTask): Integrator {
    const { arrays, tensors, trajectory } = this.input
    const { checkpoints, stepUnit } = trajectory
    const step = (checkpoint: number): string => `${stepUnit} ${checkpoints[checkpoint]!.step}`
    return {
      ...this.common,
      ...{ arrays, tensors, rule, tolerance, maxSplits },
      restricted: tensors.length > arrays.layout.tensors.length,
      endpoint: (checkpoint) => this.endpoints.get(checkpoint),
      noiseFloor: () => Promise.resolve(this.options.noiseFloor),
      onSamples: (_, split, samples) => {
        this.options.onEvaluated(interval, samples / this.input.splits[split]!.samples)
      },
      where: () => `between ${step(interval)} and ${step(interval + 1)}`,
    }
  }

  private get common() {
    return {
      evaluator: this.evaluator,
      weights: this.weights,
      // standard errors are not asked for, and cost the movements of neighbouring intervals
      splits: this.input.splits.map(({ name, samples }) => ({ name, samples })),
      cut: { size: this.batchSize },
    }
  }

  private get evaluator(): Pick<Evaluator, 'evaluate'> {
    return {
      evaluate: (...task) => {
        if (this.failed !== undefined) return Promise.reject(new Error('the attempt is over'))
        const evaluation = this.input.evaluator.evaluate(...task)
        const settled = evaluation.catch((error: unknown) => {
          this.failed ??= error
        })
        this.running.add(settled)
        void settled.then(() => this.running.delete(settled))
        return evaluation
      },
    }
  }

  private rowsOf(record: IntervalRecord): IntervalTables {
    const { arrays, tensors, splits } = this.input
    const sink = new Rows()
    const allocated = tensors.slice(0, arrays.layout.tensors.length)
    splits.forEach((_, split) => {
      const facts = this.factsOf(record, split)
      new IntervalRows(arrays, allocated, this.options.granularity, sink, facts, split).write(false)
    })
    return sink.tables
  }

  private factsOf(record: IntervalRecord, split: number): IntervalFacts {
    const { trajectory, splits, tensors, arrays } = this.input
    const restricted = tensors.length > arrays.layout.tensors.length
    return intervalFacts(record, split, { trajectory, split: splits[split]!.name, restricted })
  }

  /** Removes the arrays that only this interval still needed. */
  private release(interval: number): void {
    const { store } = this.input.arrays
    for (const split of this.input.splits.keys()) store.remove(fileNames.lca(interval, split))
    for (const checkpoint of [interval, interval + 1]) {
      const left = this.uses.get(checkpoint)! - 1
      this.uses.set(checkpoint, left)
      if (left > 0) continue
      this.weights.release(checkpoint)
      this.endpoints.release(checkpoint)
      for (const split of this.input.splits.keys()) store.remove(fileNames.gradient(checkpoint, split))
    }
  }
}

/** Keeps rows in memory. */
class Rows implements TableSink {
  readonly tables: { [T in TableName]?: Batch<T>[] } = {}

  append<T extends TableName>(table: T, _rows: number, batch: Batch<T>): void {
    const batches = (this.tables[table] ??= []) as Batch<T>[]
    batches.push(batch)
  }
}
