import { join, resolve } from 'node:path'
import { UsageError } from '../errors.js'
import type { Manifest } from '../tables/manifest.js'
import { assertFree, ResultsWriter } from '../tables/writer.js'
import { Buffers } from './allocation.js'
import type { Arrays } from './allocation.js'
import { collectGarbage } from './collect.js'
import { identityOf, manifestFacts, runFacts } from './manifest.js'
import { ReplayJournal } from './journal.js'
import type { RunEvents, RunOptions } from './options.js'
import { prepare } from './prepare.js'
import type { Prepared } from './prepare.js'
import { checkIntervals } from './range.js'
import { RULES } from './quadrature/rules.js'
import { replay } from './replay.js'
import type { ReplayInput, ReplayOptions } from './replay-input.js'
import type { Outcome } from './state.js'
import { Layout } from './store/layout.js'
import { ReplayStore } from './store/store.js'
import { weightElements } from './weight-files.js'
import { WorkerPool } from './workers/pool.js'
import { bytesOf, withoutArrays, writeSplit } from './workers/sample-files.js'
import { askedWorkers, sizing } from './workers/sizing.js'
import type { Sizing } from './workers/sizing.js'
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
    return await new Run(options, events, prepared, started).into(workers)
  } finally {
    workers.stop()
  }
}

class Run {
  private readonly sizing: Sizing
  private readonly dataBytes: number

  constructor(
    private readonly options: RunOptions,
    private readonly events: RunEvents,
    private readonly prepared: Prepared,
    private readonly started: Date,
  ) {
    checkIntervals(options.intervals, prepared.trajectory)
    checkSplits(options)
    const { threads, device: choice = 'auto' } = options
    const { device } = prepared.device
    const workers = askedWorkers(options.workers, { device, choice }, events.onNote ?? (() => undefined))
    const parameters = prepared.network.tensors.reduce((sum, { size }) => sum + size, 0)
    this.dataBytes = [...prepared.data.values()].reduce((sum, set) => sum + bytesOf(set), 0)
    this.sizing = sizing({ parameters, dataBytes: this.dataBytes, workers, threads, device })
  }

  async into(workers: StartedWorkers): Promise<RunResult | undefined> {
    const { granularity, overwrite, intervals, out } = this.options
    const facts = await runFacts(this.options, this.prepared, this.sizing)
    const identity = { ...identityOf(facts, this.prepared), intervals: intervals ?? null }
    const of = intervals === undefined ? 'run' : 'part'
    const writer = await ResultsWriter.create(out, { granularity, of, overwrite, facts, identity })
    if (writer.finished !== undefined) return { manifest: writer.finished }
    try {
      const outcome = await this.replay(writer, workers)
      if (outcome.interrupted) {
        await this.interrupted(writer, outcome)
        return undefined
      }
      const manifest = await manifestFacts(facts, this.prepared, outcome, {
        started: this.started,
        ...(intervals && { intervals }),
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
      const arrays = this.arrays(store)
      const pool = this.pool(arrays, writer.shared, workers)
      if (this.dataBytes > WORTH_COLLECTING) collectGarbage()
      try {
        return await replay(this.input(arrays, pool), this.replayOptions(), opened, writer)
      } finally {
        await pool.close()
      }
    } finally {
      opened.journal.close()
    }
  }

  private arrays(store: ReplayStore): Arrays {
    const { network, trajectory } = this.prepared
    const { tensors, allocated } = network
    return {
      store,
      buffers: new Buffers(),
      layout: new Layout(tensors.slice(0, allocated)),
      weightElements: weightElements(trajectory.checkpoints, tensors),
    }
  }

  /** Hands workers the graph and the data, decoded once, as files. */
  private pool(
    { store, layout, weightElements }: Arrays,
    shared: string,
    workers: StartedWorkers,
  ): WorkerPool {
    const { network, data, samples } = this.prepared
    const engine = network.engineSetup(shared)
    const splits = [...data].map(([name, set], i) =>
      writeSplit(join(shared, `data-${i}`), set, samples.get(name)?.groups),
    )
    for (const [name, set] of data) data.set(name, withoutArrays(set))
    const parameters = {
      tensors: network.tensors.map(({ name, size }) => ({ name, size })),
      allocated: layout.tensors.length,
      weightElements,
    }
    const { threads, keepBytes } = this.sizing
    const setup = {
      store: store.folder,
      engine,
      fixedBatch: typeof network.gradient.batch === 'number',
      threads,
      parameters,
      splits,
      keepBytes,
    }
    return new WorkerPool(workers.take(this.sizing.workers), setup, {
      onNote: this.events.onNote,
      start: workers.start,
    })
  }

  private input(arrays: Arrays, evaluator: WorkerPool): ReplayInput {
    const { trajectory, data, samples, network } = this.prepared
    const { tensors, gradient } = network
    const { perSample, coupledBy } = gradient
    return {
      trajectory,
      tensors,
      arrays,
      evaluator,
      splits: [...data].map(([name, set]) => {
        const sample = samples.get(name)
        return { name, samples: set.samples, ...(sample && { population: sample.population }) }
      }),
      lossOf: perSample && coupledBy === undefined ? 'sample' : 'micro-batch',
    }
  }

  private replayOptions(): ReplayOptions {
    const { quadrature = 'simpson', tolerance, maxSplits, granularity, intervals } = this.options
    const { batchSize, fromMemory, network, fisher, device } = this.prepared
    const { gradient } = network
    const { signal, onProgress, onNote } = this.events
    return {
      rule: RULES[quadrature],
      tolerance,
      maxSplits,
      granularity,
      batchSize,
      ...(fromMemory !== undefined && { fromMemory }),
      onDevice: device.device !== 'cpu',
      mayHalve: gradient.coupledBy === undefined && typeof gradient.batch === 'string',
      window: this.sizing.workers + 2,
      ...(intervals && { intervals }),
      ...(fisher && { fisher: [...fisher.values()] }),
      ...(signal && { signal }),
      ...(onProgress && { onProgress }),
      ...(onNote && { onNote }),
    }
  }

  private async interrupted(writer: ResultsWriter, { intervals }: Outcome): Promise<void> {
    await keepFinished(writer)
    const all = this.prepared.trajectory.checkpoints.length - 1
    const { from, to } = this.options.intervals ?? { from: 0, to: all }
    this.events.onInterrupted?.({ finished: intervals, intervals: to - from })
  }
}

/** A rule begins with some number of parts. */
function checkSplits({ quadrature = 'simpson', maxSplits }: RunOptions): void {
  const fewest = RULES[quadrature].level(0).splits
  if (maxSplits < fewest)
    throw new UsageError(`--max-splits ${maxSplits}: ${quadrature} takes ${fewest} parts at least`)
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
