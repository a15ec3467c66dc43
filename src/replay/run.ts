import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { deviceName } from '../engines/devices/choose.js'
import type { Placement } from '../engines/devices/placement.js'
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
import { recompute } from './recompute.js'
import type { RecomputeOptions } from './recompute.js'
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

/** Which intervals are computed anew. */
export interface Recomputing extends Omit<RecomputeOptions, 'batchSize' | 'mayHalve' | 'window' | 'signal'> {
  /** Called with what was opened before anything is computed; an error ends it. */
  readonly check: (prepared: Prepared) => Promise<void>
}

/**
 * Computes chosen intervals of a run anew, with `options` as `runReplay` takes them (its `out`, `quadrature`, `intervals`
 * and Fisher samples are not used), in a folder of its own, and hands their rows to `request.onInterval`.
 *
 * @param folder for arrays as large as the parameters; what is left there is the caller's to remove
 * @returns whether all was computed; false when the signal ended it
 * @throws every error class of retrograd, each naming file and remedy
 */
export async function recomputeIntervals(
  options: RunOptions,
  request: Recomputing,
  events: RunEvents,
  folder: string,
): Promise<boolean> {
  const workers = startWorkers(options)
  try {
    const prepared = await prepare(options, events)
    await request.check(prepared)
    return await new Run(options, events, prepared, new Date()).chosen(request, folder, workers)
  } finally {
    workers.stop()
  }
}

class Run {
  private readonly sizing: Sizing
  private readonly dataBytes: number
  /** Where the gradient's nodes ran, on a device that told; a resumed run has it from its journal. */
  private placement: Placement | undefined

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
        ...(this.placement && { placement: this.placement }),
      })
      return { manifest: await writer.commit(manifest) }
    } catch (error) {
      await keepFinished(writer)
      throw error
    }
  }

  /** Computes chosen intervals anew; returns false when the signal ended it. */
  async chosen(request: Recomputing, folder: string, workers: StartedWorkers): Promise<boolean> {
    const { signal } = this.events
    if (signal?.aborted === true) return false
    const store = new ReplayStore(join(folder, 'replay'))
    store.make()
    const shared = join(folder, 'shared')
    mkdirSync(shared)
    const arrays = this.arrays(store)
    const pool = this.pool(arrays, shared, workers)
    const { batchSize, mayHalve, window } = this.replayOptions()
    try {
      const how = { ...request, batchSize, mayHalve, window, ...(signal && { signal }) }
      const work = recompute(this.input(arrays, pool), how)
      return await untilAborted(work, signal)
    } finally {
      await pool.close()
    }
  }

  private async replay(writer: ResultsWriter, workers: StartedWorkers): Promise<Outcome> {
    const store = new ReplayStore(writer.work)
    store.make()
    const opened = ReplayJournal.open(store.folder)
    try {
      const arrays = this.arrays(store)
      this.placement = opened.records.findLast((record) => record.kind === 'placement')?.placement
      const pool = this.pool(arrays, writer.shared, workers, opened.journal)
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
    journal?: ReplayJournal,
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
      scratch: shared,
      engine,
      fixedBatch: typeof network.gradient.batch === 'number',
      threads,
      parameters,
      splits,
      keepBytes,
    }
    return new WorkerPool(workers.take(this.sizing.workers), setup, {
      onNote: this.events.onNote,
      onPlacement: (placement) => {
        if (this.placement !== undefined) return
        this.placement = placement
        journal?.append({ kind: 'placement', placement })
      },
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
      ...(device.device !== 'cpu' && { warmUp: deviceName(device) }),
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

/** Returns false when the signal came first; what the work does after that is nobody's concern. */
async function untilAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<boolean> {
  work.catch(() => undefined)
  let abort: () => void = () => undefined
  const aborted = new Promise<false>((resolve) => {
    abort = () => {
      resolve(false)
    }
    if (signal?.aborted === true) abort()
    else signal?.addEventListener('abort', abort)
  })
  try {
    return await Promise.race([work.then(() => true), aborted])
  } finally {
    signal?.removeEventListener('abort', abort)
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
