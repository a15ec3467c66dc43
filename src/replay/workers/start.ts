import { availableParallelism } from 'node:os'
import { WorkerProcess } from './worker-process.js'

/** So many workers are begun before it is known how many there will be. */
const EARLY = 4

/** Processes that load the engine while checkpoints and data are still being read. */
export class StartedWorkers {
  private readonly processes: WorkerProcess[]

  /** @param start begins a process */
  constructor(
    early: number,
    readonly start: () => WorkerProcess = () => new WorkerProcess(),
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

export function startWorkers(asked: number | undefined): StartedWorkers {
  return new StartedWorkers(Math.min(EARLY, asked ?? availableParallelism()))
}
