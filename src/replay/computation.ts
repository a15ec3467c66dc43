import { join } from 'node:path'
import { deviceName } from '../engines/devices/choose.js'
import type { Placement } from '../engines/devices/placement.js'
import type { EngineSetup } from '../engines/setup.js'
import { UsageError } from '../errors.js'
import { Buffers } from './allocation.js'
import type { Arrays } from './allocation.js'
import type { RunEvents, RunOptions } from './options.js'
import type { Prepared } from './prepare.js'
import { checkIntervals } from './range.js'
import { RULES } from './quadrature/rules.js'
import type { ReplayInput, ReplayOptions } from './replay-input.js'
import { Layout } from './store/layout.js'
import type { ReplayStore } from './store/store.js'
import { weightElements } from './weight-files.js'
import { WorkerPool } from './workers/pool.js'
import { bytesOf, withoutArrays, writeSplit } from './workers/sample-files.js'
import { askedWorkers, sizing } from './workers/sizing.js'
import type { Sizing } from './workers/sizing.js'
import type { StartedWorkers } from './workers/start.js'

/** What workers tell of their engine, and what is known of it from an earlier process. */
export interface EngineNews {
  readonly onPlacement?: (placement: Placement) => void
  /** The way that micro-batches are summed (OnnxRuntimeSetup.loops), where it is known already. */
  readonly loops?: boolean | undefined
  readonly onLoops?: (loops: boolean) => void
}

/** Opened checkpoints, network and data, made ready for workers: what a replay and a recomputation have in common. */
export class Computation {
  readonly sizing: Sizing
  readonly dataBytes: number

  /** @throws UsageError where options don't fit what was opened */
  constructor(
    private readonly options: RunOptions,
    private readonly events: RunEvents,
    readonly prepared: Prepared,
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

  arrays(store: ReplayStore): Arrays {
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
  pool(
    { store, layout, weightElements }: Arrays,
    shared: string,
    workers: StartedWorkers,
    { onPlacement, onLoops, loops }: EngineNews = {},
  ): WorkerPool {
    const { network, data, samples } = this.prepared
    const several = this.sizing.workers > 1
    const engine = withWay(network.engineSetup(shared), several ? false : loops)
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
      ...(onPlacement && { onPlacement }),
      ...(onLoops && { onLoops }),
      start: workers.start,
    })
  }

  input(arrays: Arrays, evaluator: WorkerPool): ReplayInput {
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

  replayOptions(): ReplayOptions {
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
}

/** A rule begins with some number of parts. */
function checkSplits({ quadrature = 'simpson', maxSplits }: RunOptions): void {
  const fewest = RULES[quadrature].level(0).splits
  if (maxSplits < fewest)
    throw new UsageError(`--max-splits ${maxSplits}: ${quadrature} takes ${fewest} parts at least`)
}

/** Several workers would each measure for themselves, and disturb each other: they run micro-batches one by one. */
function withWay(setup: EngineSetup, loops: boolean | undefined): EngineSetup {
  return setup.engine === 'tfjs' || loops === undefined ? setup : { ...setup, loops }
}
