import type { Placement } from '../../engines/devices/placement.js'
import { lacksFloat16 } from '../../engines/devices/precision.js'
import { DeviceError, EngineError } from '../../errors.js'
import { ArrayFile, withFiles, writeFile } from '../store/array-file.js'
import { CHUNK } from '../store/layout.js'
import { ReplayStore } from '../store/store.js'
import type { Evaluator } from './evaluator.js'
import { groupFile } from './messages.js'
import type { Failure, FromWorker, GroupResult, PointTask, TaskPart, WorkerSetup } from './messages.js'
import { allocatedParameters, denominatorOf, groupsOf } from './point-evaluator.js'
import { WorkerProcess } from './worker-process.js'
import type { Death } from './worker-process.js'

/** A worker ran out of memory, so that smaller micro-batches may help. */
export class WorkerMemoryError extends EngineError {}

/** A task on its way: its parts' results by group. */
interface Job {
  readonly task: PointTask
  readonly order: number
  readonly groups: number
  readonly results: GroupResult[]
  readonly onSamples: (samples: number) => void
  readonly resolve: (groups: readonly GroupResult[]) => void
  readonly reject: (error: Error) => void
  left: number
  deaths: number
}

interface Assignment {
  readonly id: number
  readonly job: Job
  readonly part: TaskPart
  /**
   * The file that the worker writes, which has the task's name when it is whole. It is no other process' file: one that
   * outlived the run it belonged to, or was taken for dead, can't spoil what is computed anew.
   */
  readonly out: string
}

interface Worker {
  process: WorkerProcess
  /** Whether its engine is there, so that it computes. */
  ready: boolean
  /** What it was given, the first being computed. */
  readonly assigned: Assignment[]
}

/** What a pool tells, and how it replaces workers. */
export interface PoolOptions {
  readonly onNote?: ((note: string) => void) | undefined
  /** Where a worker's nodes run; each worker tells it once. */
  readonly onPlacement?: (placement: Placement) => void
  /** Which way a worker sums micro-batches, when it has measured; those begun later do as it does. */
  readonly onLoops?: (loops: boolean) => void
  readonly start?: () => WorkerProcess
}

/** So many workers may die without one finishing anything. */
const MOST_DEATHS = 4

/** A worker has this many tasks at hand, so that it need not wait for the next while this process is busy. */
const AT_HAND = 2

/**
 * Shares tasks among worker processes: whole ones while there are enough of them, groups of micro-batches of one where
 * there are not. A worker that dies is replaced, and what it computed is tried once more.
 */
export class WorkerPool implements Evaluator {
  private readonly workers: Worker[]
  private readonly queue: Job[] = []
  private readonly store: ReplayStore
  private nextId = 0
  private closed = false
  private restarting = false
  private deathsInARow = 0
  /** Why no worker can compute anything. */
  private broken: Error | undefined

  /** @param processes the workers, begun but not set up yet */
  constructor(
    processes: readonly WorkerProcess[],
    private setup: WorkerSetup,
    private readonly options: PoolOptions = {},
  ) {
    this.store = new ReplayStore(setup.store)
    this.workers = processes.map((process) => ({ process, ready: false, assigned: [] }))
    for (const worker of this.workers) this.begin(worker)
  }

  evaluate(
    task: PointTask,
    order: number,
    onSamples: (samples: number) => void,
  ): Promise<readonly GroupResult[]> {
    if (this.broken !== undefined) return Promise.reject(this.broken)
    const groups = this.groupsOf(task)
    return new Promise((resolve, reject) => {
      const job: Job = {
        task,
        order,
        groups,
        results: [],
        onSamples,
        resolve,
        reject,
        left: groups,
        deaths: 0,
      }
      this.enqueue(job)
      this.dispatch()
    })
  }

  async close(): Promise<void> {
    this.closed = true
    this.queue.length = 0
    await Promise.all(this.workers.map(({ process }) => process.kill()))
  }

  private groupsOf(task: PointTask): number {
    const { parameters, fixedBatch, splits } = this.setup
    const facts = { fixedBatch, parameters: allocatedParameters(parameters) }
    return groupsOf(splits[task.split]!, task, facts).length
  }

  private begin(worker: Worker): void {
    worker.ready = false
    worker.process.begin(this.setup, {
      onMessage: (message) => {
        this.receive(worker, message)
      },
      onDeath: (death) => {
        this.bury(worker, death)
      },
    })
  }

  private enqueue(job: Job): void {
    const later = this.queue.findIndex(({ order }) => order > job.order)
    this.queue.splice(later === -1 ? this.queue.length : later, 0, job)
  }

  private dispatch(): void {
    if (this.closed || this.restarting) return
    for (let depth = 0; depth < AT_HAND; depth += 1) {
      const free = this.workers.filter(({ assigned }) => assigned.length === depth)
      while (free.length > 0 && this.queue.length > 0) {
        const job = this.queue.shift()!
        const sharing = depth === 0 ? free.splice(0, this.shares(job, free.length)) : free.splice(0, 1)
        this.share(job, sharing)
      }
    }
  }

  /** How many of the free workers a task is divided among: all, when it is the last in the queue. */
  private shares({ groups }: Job, free: number): number {
    return Math.max(1, Math.min(groups, Math.floor(free / (this.queue.length + 1))))
  }

  private share(job: Job, workers: readonly Worker[]): void {
    const whole = workers.length === 1
    workers.forEach((worker, i) => {
      const first = Math.floor((i * job.groups) / workers.length)
      const last = Math.floor(((i + 1) * job.groups) / workers.length)
      this.assign(worker, job, { task: job.task, first, last, whole })
    })
  }

  private assign(worker: Worker, job: Job, part: TaskPart): void {
    const id = this.nextId++
    const out = `${part.task.out}.${worker.process.pid ?? 0}-${id}`
    worker.assigned.push({ id, job, part, out })
    worker.process.compute(id, { ...part, task: { ...part.task, out } })
  }

  private receive(worker: Worker, message: FromWorker): void {
    if (message.kind === 'ready') {
      worker.ready = true
      return
    }
    if (message.kind === 'placement') {
      this.options.onPlacement?.(message.placement)
      return
    }
    if (message.kind === 'loops') {
      this.takeLoops(message.loops)
      return
    }
    const index = worker.assigned.findIndex(({ id }) => id === message.id)
    if (message.kind === 'progress') {
      worker.assigned[index]?.job.onSamples(message.samples)
      return
    }
    if (message.kind === 'failed' && message.id === undefined) {
      this.break(errorOf(message.failure))
      return
    }
    if (index === -1) return
    const assignment = worker.assigned.splice(index, 1)[0]!
    if (message.kind === 'failed') this.fail(assignment, message.failure)
    else this.finish(assignment, message.groups)
    this.dispatch()
  }

  private takeLoops(loops: boolean): void {
    const { engine } = this.setup
    if (engine.engine === 'onnxruntime') this.setup = { ...this.setup, engine: { ...engine, loops } }
    this.options.onLoops?.(loops)
  }

  private finish(assignment: Assignment, groups: readonly GroupResult[]): void {
    const { job, part } = assignment
    this.deathsInARow = 0
    try {
      groups.forEach((group, i) => {
        job.results[part.first + i] = group
      })
      this.takeFiles(assignment)
      job.left -= groups.length
      if (job.left > 0) return
      if (!part.whole) this.combine(job)
      job.resolve(job.results)
    } catch (error) {
      job.reject(error as Error)
    }
  }

  /** Gives what a worker wrote the name that it is asked for by. */
  private takeFiles({ part: { task, first, last, whole }, out }: Assignment): void {
    if (whole) this.store.rename(out, task.out)
    else
      for (let group = first; group < last; group += 1)
        this.store.rename(groupFile(out, group), groupFile(task.out, group))
  }

  /** Adds the groups' sums in order and divides once, as a worker does that computes the whole task. */
  private combine({ task, groups, results }: Job): void {
    const names = Array.from({ length: groups }, (_, group) => groupFile(task.out, group))
    const divisor = denominatorOf(results)
    const size = allocatedParameters(this.setup.parameters)
    withFiles(
      names.map((name) => this.store.path(name)),
      (files) => {
        writeFile(this.store.path(task.out), (out) => {
          addFiles(files, out, size, divisor)
        })
      },
    )
    this.store.remove(...names)
  }

  /** An error of a task ends that task; want of memory ends all, since all begin again. */
  private fail({ job }: Assignment, failure: Failure): void {
    const error = errorOf(failure)
    if (error instanceof WorkerMemoryError) void this.restartAll(error, [job])
    else job.reject(error)
  }

  /** Ends all tasks, those to come included. */
  private break(error: Error): void {
    this.broken ??= error
    this.failAll(error)
  }

  private failAll(error: Error): void {
    for (const job of this.takeJobs()) job.reject(error)
  }

  /** All tasks that are not done; they are nobody's then. */
  private takeJobs(): Job[] {
    const assigned = this.workers.flatMap((worker) => this.unassign(worker))
    return [...this.queue.splice(0), ...assigned.map(({ job }) => job)]
  }

  /** Takes a worker's tasks away, and what it had begun to write. */
  private unassign({ assigned }: Worker): Assignment[] {
    const taken = assigned.splice(0)
    for (const { part, out } of taken) {
      const groups = Array.from({ length: part.last - part.first }, (_, i) => groupFile(out, part.first + i))
      this.store.remove(...(part.whole ? [out] : groups))
    }
    return taken
  }

  private bury(worker: Worker, death: Death): void {
    if (this.closed) return
    const how = `worker process ${worker.process.pid ?? 0} ${death.how}`
    const [current] = worker.ready ? worker.assigned : []
    if (current !== undefined) current.job.deaths += 1
    this.deathsInARow += 1
    if (this.deathsInARow > MOST_DEATHS) this.break(new EngineError(`${how}, like all before it`))
    else if (death.memory) void this.restartAll(new WorkerMemoryError(`${how}: memory was short`))
    else if ((current?.job.deaths ?? 0) > 1)
      this.break(new EngineError(`${how}, the second one to die at the same task`))
    else this.replace(worker, how)
  }

  private replace(worker: Worker, how: string): void {
    this.options.onNote?.(`${how}; a new one does its work again`)
    this.renew(worker)
    for (const { job, part } of this.unassign(worker)) this.assign(worker, job, part)
    this.dispatch()
  }

  private renew(worker: Worker): void {
    worker.process = this.options.start?.() ?? new WorkerProcess()
    this.begin(worker)
  }

  /** Ends all processes; when new ones are begun, all tasks fail, so that their callers may begin again. */
  private async restartAll(error: Error, further: readonly Job[] = []): Promise<void> {
    if (this.restarting) return
    this.restarting = true
    await Promise.all(this.workers.map(({ process }) => process.kill()))
    this.restarting = false
    if (this.closed) return
    const jobs = [...further, ...this.takeJobs()]
    for (const worker of this.workers) this.renew(worker)
    for (const job of jobs) job.reject(error)
  }
}

/** An error that a worker met, as one of this process. */
function errorOf({ message, memory, expected, device }: Failure): Error {
  if (device) return new DeviceError(message)
  if (memory) return new WorkerMemoryError(message)
  const refused = lacksFloat16(message)
  if (refused !== undefined) return refused
  return expected ? new EngineError(message) : new Error(message)
}

function addFiles(files: readonly ArrayFile[], out: ArrayFile, size: number, divisor: number): void {
  const [sum, buffer] = [new Float64Array(Math.min(CHUNK, size)), new Float64Array(Math.min(CHUNK, size))]
  for (let offset = 0; offset < size; offset += CHUNK) {
    const count = Math.min(CHUNK, size - offset)
    const [total, part] = [sum.subarray(0, count).fill(0), buffer.subarray(0, count)]
    const position = offset * total.BYTES_PER_ELEMENT
    for (const file of files) {
      file.read(part, position)
      for (let i = 0; i < count; i += 1) total[i]! += part[i]!
    }
    if (divisor !== 1) for (let i = 0; i < count; i += 1) total[i]! /= divisor
    out.write(total, position)
  }
}
