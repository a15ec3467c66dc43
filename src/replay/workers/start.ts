import { availableParallelism } from 'node:os'
import type { DeviceChoice } from '../../engines/devices/names.js'
import { WorkerProcess } from './worker-process.js'

/** So many workers are begun before it is known how many there will be. */
const EARLY = 4

/** Processes that load the engine while checkpoints and data are still being read. */
export class StartedWorkers {
  private readonly processes: WorkerProcess[]

  /**
   * @param start begins a process
   * @param tf32 whether the processes may compute in TF32
   */
  constructor(
    early: number,
    readonly start: () => WorkerProcess = () => new WorkerProcess(),
    readonly tf32 = false,
  ) {
    this.processes = Array.from({ length: early }, start)
  }

  /** So many processes, which are the caller's to end; those begun in vain are ended. */
  take(count: number): WorkerProcess[] {
    const taken = this.processes.splice(0, count)
    this.stop()
    while (taken.length < count) taken.push(this.start())
    return taken
  }

  /** Ends the processes that were not taken. */
  stop(): void {
    for (const process of this.processes.splice(0)) void process.kill()
  }
}

/** What is known of a run's processes before anything is read. */
export interface EarlyWorkers {
  readonly workers?: number | undefined
  /** Devices but the CPU have one process, unless more are asked for. */
  readonly device?: DeviceChoice | undefined
  readonly tf32?: boolean | undefined
}

export function startWorkers({ workers, device = 'auto', tf32 = false }: EarlyWorkers): StartedWorkers {
  const several = device === 'cpu' || device === 'auto'
  const early = Math.min(EARLY, workers ?? (several ? availableParallelism() : 1))
  return new StartedWorkers(early, () => new WorkerProcess({ tf32 }), tf32)
}
