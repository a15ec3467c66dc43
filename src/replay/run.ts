import { resolve } from 'node:path'
import type { Placement } from '../engines/devices/placement.js'
import { UsageError } from '../errors.js'
import type { Manifest } from '../tables/manifest.js'
import { assertFree, ResultsWriter } from '../tables/writer.js'
import { collectGarbage } from './collect.js'
import { Computation } from './computation.js'
import type { EngineNews } from './computation.js'
import { identityOf, manifestFacts, runFacts } from './manifest.js'
import { ReplayJournal } from './journal.js'
import type { RunEvents, RunOptions } from './options.js'
import { prepare } from './prepare.js'
import { replay } from './replay.js'
import type { OpenJournal } from './replay.js'
import type { Outcome } from './state.js'
import { ReplayStore } from './store/store.js'
import { startWorkers } from './workers/start.js'
import type { StartedWorkers } from './workers/start.js'

/** Data of fewer bytes are left to V8: to look through all objects takes some milliseconds. */
const WORTH_COLLECTING = 2 ** 27

export interface RunResult {
  readonly manifest: Manifest
}

/**
 * Replays a recorded run and writes its results folder: checkpoints, network and data by path in, tables out. Nothing
 * appears in the folder before the whole replay is done, but finished intervals are kept there, out of sight: when the
 * run is interrupted, fails or is killed, the same call goes on from them.
 *
 * @param workers processes that were begun early; they are ended when this returns
 * @returns undefined when the replay was interrupted
 * @throws every error class of retrograd, each naming file and remedy
 */
export async function runReplay(
  options: RunOptions,
  events: RunEvents,
  workers: StartedWorkers = startWorkers(options),
): Promise<RunResult | undefined> {
  const started = new Date()
  try {
    if (resolve(options.out) === resolve(options.checkpoints))
      throw new UsageError(`--out ${options.out}: that is the folder of the checkpoints; name another`)
    assertFree(options.out, options.overwrite)
    const prepared = await prepare(options, events)
    return await new Run(options, events, new Computation(options, events, prepared), started).into(workers)
  } finally {
    workers.stop()
  }
}

class Run {
  /** Where the gradient's nodes ran, on a device that told; a resumed run has it from its journal. */
  private placement: Placement | undefined
  /** Whether micro-batches were looped over in the graph, where that was measured. */
  private loops: boolean | undefined

  constructor(
    private readonly options: RunOptions,
    private readonly events: RunEvents,
    private readonly computation: Computation,
    private readonly started: Date,
  ) {}

  async into(workers: StartedWorkers): Promise<RunResult | undefined> {
    const { granularity, overwrite, intervals, out } = this.options
    const { prepared, sizing } = this.computation
    const facts = await runFacts(this.options, prepared, sizing)
    const identity = { ...identityOf(facts, prepared), intervals: intervals ?? null }
    const of = intervals === undefined ? 'run' : 'part'
    const writer = await ResultsWriter.create(out, { granularity, of, overwrite, facts, identity })
    if (writer.finished !== undefined) return { manifest: writer.finished }
    try {
      const outcome = await this.replay(writer, workers)
      if (outcome.interrupted) {
        await this.interrupted(writer, outcome)
        return undefined
      }
      const manifest = await manifestFacts(facts, prepared, outcome, {
        started: this.started,
        ...(intervals && { intervals }),
        ...(this.placement && { placement: this.placement }),
        ...(this.loops !== undefined && { loops: this.loops }),
      })
      return { manifest: await writer.commit(manifest) }
    } catch (error) {
      await keepFinished(writer)
      throw error
    }
  }

  private async replay(writer: ResultsWriter, workers: StartedWorkers): Promise<Outcome> {
    const store = new ReplayStore(writer.work)
    store.make()
    const opened = ReplayJournal.open(store.folder)
    try {
      const { computation } = this
      const arrays = computation.arrays(store)
      const pool = computation.pool(arrays, writer.shared, workers, this.engineNews(opened))
      if (computation.dataBytes > WORTH_COLLECTING) collectGarbage()
      try {
        return await replay(computation.input(arrays, pool), computation.replayOptions(), opened, writer)
      } finally {
        await pool.close()
      }
    } finally {
      opened.journal.close()
    }
  }

  /** What an earlier process was told of the engine, and what is told now and kept for a later one. */
  private engineNews({ journal, records }: OpenJournal): EngineNews {
    this.placement = records.findLast((record) => record.kind === 'placement')?.placement
    this.loops = records.findLast((record) => record.kind === 'loops')?.loops
    return {
      loops: this.loops,
      onLoops: (loops) => {
        this.loops = loops
        journal.append({ kind: 'loops', loops })
      },
      onPlacement: (placement) => {
        if (this.placement !== undefined) return
        this.placement = placement
        journal.append({ kind: 'placement', placement })
      },
    }
  }

  private async interrupted(writer: ResultsWriter, { intervals }: Outcome): Promise<void> {
    await keepFinished(writer)
    const all = this.computation.prepared.trajectory.checkpoints.length - 1
    const { from, to } = this.options.intervals ?? { from: 0, to: all }
    this.events.onInterrupted?.({ finished: intervals, intervals: to - from })
  }
}

/** Keeps finished intervals for a later run; where there are none the folder is left as it was. */
async function keepFinished(writer: ResultsWriter): Promise<void> {
  if (hasFinished(writer.work)) await writer.leave()
  else await writer.discard()
}

function hasFinished(folder: string): boolean {
  try {
    const { journal, records } = ReplayJournal.open(folder)
    journal.close()
    return records.some(({ kind }) => kind === 'interval')
  } catch {
    return true
  }
}
