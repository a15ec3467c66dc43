import { reasonOf, RetrogradError, UsageError } from '../errors.js'
import type { RunEvents, RunOptions } from '../replay/options.js'
import { runReplay } from '../replay/run.js'
import { differences } from './inputs.js'
import type { RunInputs } from './inputs.js'
import type { PlannedRun } from './plan.js'
import { BatchTree } from './tree.js'

export type ReplayProgress = Parameters<NonNullable<RunEvents['onProgress']>>[0]

/** A run and what is known of it before any run begins. */
export interface Job {
  readonly run: PlannedRun
  readonly inputs: RunInputs
  /** What to replay; an error where that can't be told, such as a loss in a file that is corrupt. */
  readonly options: RunOptions | RetrogradError
}

/**
 * - `done`: replayed now; `finished`: replayed before, and nothing has changed since
 * - `failed`: the reason says why; the batch went on
 * - `interrupted`: begun, and goes on from there; `waiting`: not begun
 */
export type RunStatus = 'done' | 'finished' | 'failed' | 'interrupted' | 'waiting'

/** What came of a run. */
export interface RunRecord {
  readonly name: string
  readonly checkpoints: string
  readonly status: RunStatus
  readonly reason?: string
  /** Wall time of this replay, in seconds; a run that went on took longer altogether. */
  readonly seconds?: number
}

export interface BatchEvents {
  /** Before the first run: how many are replayed, and how many are finished already. */
  readonly onPlan?: (toReplay: number, finished: number) => void
  /** @param changed what differs from the results that are there; empty where there are none */
  readonly onBegin?: (run: PlannedRun, changed: readonly string[]) => void
  readonly onNote?: (run: PlannedRun, note: string) => void
  readonly onProgress?: (progress: ReplayProgress) => void
  readonly onEnd?: (record: RunRecord) => void
  readonly signal?: AbortSignal
}

export interface BatchOptions {
  readonly out: string
  /** Whether runs that are finished are replayed too. */
  readonly overwrite: boolean
}

/**
 * Goes through runs one after another into one tree of results. Finished runs whose inputs are as they were are left as
 * they are, one that was interrupted goes on, one that fails is recorded and the batch goes on with the next.
 *
 * @returns what came of every run, in their order
 * @throws UsageError when the tree holds another run under a name, before any run begins; ResultsError when the disk refuses
 */
export async function runBatch(
  jobs: readonly Job[],
  { out, overwrite }: BatchOptions,
  events: BatchEvents,
): Promise<RunRecord[]> {
  const tree = await BatchTree.open(out)
  try {
    return await new Batch(tree, jobs, events).run(overwrite)
  } finally {
    await tree.close()
  }
}

class Batch {
  private readonly records: Map<string, RunRecord>

  constructor(
    private readonly tree: BatchTree,
    private readonly jobs: readonly Job[],
    private readonly events: BatchEvents,
  ) {
    this.records = new Map(jobs.map(({ run }) => [run.name, record(run, 'waiting')]))
  }

  async run(overwrite: boolean): Promise<RunRecord[]> {
    const changes = await this.changes(overwrite)
    const toReplay = this.jobs.filter(({ run }) => changes.has(run.name))
    for (const { run } of this.jobs)
      if (!changes.has(run.name)) this.records.set(run.name, record(run, 'finished'))
    this.events.onPlan?.(toReplay.length, this.jobs.length - toReplay.length)
    for (const job of toReplay) {
      if (this.events.signal?.aborted === true) break
      this.events.onBegin?.(job.run, changes.get(job.run.name)!)
      const ended = await this.one(job)
      this.records.set(job.run.name, ended)
      this.events.onEnd?.(ended)
      await this.report()
    }
    await this.report()
    return [...this.records.values()]
  }

  /** The runs that are to be replayed, each with what has changed since its results were made. */
  private async changes(overwrite: boolean): Promise<Map<string, readonly string[]>> {
    const changes = new Map<string, readonly string[]>()
    for (const { run, inputs } of this.jobs) {
      await this.tree.settle(run.name)
      const before = await this.tree.finished(run.name)
      if (before !== undefined && !overwrite) refuseOther(this.tree.out, run, before, inputs)
      const changed = before === undefined ? [] : differences(before, inputs)
      if (overwrite || before === undefined || changed.length > 0) changes.set(run.name, changed)
    }
    if (overwrite) for (const { run } of this.jobs) await this.tree.forget(run.name)
    return changes
  }

  private async one({ run, inputs, options }: Job): Promise<RunRecord> {
    const started = Date.now()
    const ended = (status: RunStatus, reason?: string): RunRecord => ({
      ...record(run, status),
      ...(reason !== undefined && { reason }),
      seconds: (Date.now() - started) / 1000,
    })
    if (options instanceof RetrogradError) return ended('failed', options.message)
    try {
      return ended((await this.replay(run, inputs, options)) ? 'done' : 'interrupted')
    } catch (error) {
      return ended('failed', describe(error))
    }
  }

  /** Returns whether the run is complete, and in the tree. */
  private async replay(run: PlannedRun, inputs: RunInputs, options: RunOptions): Promise<boolean> {
    const { name } = run
    const begun = await this.tree.begun(name)
    const anew = begun === undefined || differences(begun, inputs).length > 0
    await this.tree.begin(name, inputs)
    const { signal, onProgress, onNote } = this.events
    const result = await runReplay(
      { ...options, out: this.tree.work(name), overwrite: anew },
      {
        ...(signal && { signal }),
        ...(onProgress && { onProgress }),
        onNote: (note) => onNote?.(run, note),
      },
    )
    if (result?.manifest.status !== 'complete') return false
    await this.tree.place(name)
    return true
  }

  private report(): Promise<void> {
    return this.tree.report({ finished: new Date().toISOString(), runs: [...this.records.values()] })
  }
}

function record({ name, checkpoints }: PlannedRun, status: RunStatus): RunRecord {
  return { name, checkpoints, status }
}

/** Another run's results must not be replaced because of a name. */
function refuseOther(
  out: string,
  { name, checkpoints }: PlannedRun,
  before: RunInputs,
  now: RunInputs,
): void {
  if (before.checkpoints === undefined || before.checkpoints === now.checkpoints) return
  throw new UsageError(
    `run ${name} of ${out} was replayed from other checkpoints (${JSON.stringify(before.checkpoints)}, seen from there) than ${checkpoints}: ` +
      'give one of them another name, choose another --out, or replace it with --overwrite',
  )
}

function describe(error: unknown): string {
  if (error instanceof RetrogradError) return error.message
  if (error instanceof Error && 'syscall' in error) return error.message
  return `internal error, please report it: ${error instanceof Error ? (error.stack ?? error.message) : reasonOf(error)}`
}
