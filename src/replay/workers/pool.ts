import { EngineError } from '../../errors.js'
import { ArrayFile, withFiles, writeFile } from '../store/array-file.js'
import { CHUNK } from '../store/layout.js'
import { ReplayStore } from '../store/store.js'
import type { Evaluator } from './evaluator.js'
import { groupFile } from './messages.js'
import type { Failure, FromWorker, GroupResult, PointTask, TaskPart, WorkerSetup } from './messages.js'
import { denominatorOf, groupsOf } from './point-evaluator.js'
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
}

interface Worker {
  process: WorkerProcess
  /** What it was given, the first being computed. */
  readonly assigned: Assignment[]
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
  private deathsInARow = 0

  /** @param processes the workers, begun but not set up yet */
  constructor(
    processes: readonly WorkerProcess[],
    private readonly setup: WorkerSetup,
    private readonly onNote: (note: string) => void = () => undefined,
  ) {
    this.store = new ReplayStore(setup.store)
    this.workers = processes.map((process) => ({ process, assigned: [] }))
    for (const worker of this.workers) this.begin(worker)
  }

  evaluate(
    task: PointTask,
    order: number,
    onSamples: (samples: number) => void,
  ): Promise<readonly GroupResult[]> {
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

  close(): Promise<void> {
    this.closed = true
    this.queue.length = 0
    for (const { process } of this.workers) process.kill()
    return Promise.resolve()
  }

  private groupsOf({ split, cut }: PointTask): number {
    const { parameters, program, splits } = this.setup
    const size = parameters.tensors
      .slice(0, parameters.allocated)
      .reduce((sum, tensor) => sum + tensor.size, 0)
    return groupsOf(splits[split]!, cut, { fixedBatch: program.fixedBatch, parameters: size }).length
  }

  private begin(worker: Worker): void {
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
    if (this.closed) return
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
    worker.assigned.push({ id, job, part })
    worker.process.compute(id, part)
  }

  private receive(worker: Worker, message: FromWorker): void {
    if (message.kind === 'ready') return
    const index = worker.assigned.findIndex(({ id }) => id === message.id)
    if (message.kind === 'progress') {
      worker.assigned[index]?.job.onSamples(message.samples)
      return
    }
    const [assignment] = index === -1 ? [] : worker.assigned.splice(index, 1)
    if (message.kind === 'failed') this.fail(assignment, message.failure)
    else if (assignment !== undefined) this.finish(assignment, message.groups)
    this.dispatch()
  }

  private finish({ job, part }: Assignment, groups: readonly GroupResult[]): void {
    this.deathsInARow = 0
    groups.forEach((group, i) => {
      job.results[part.first + i] = group
    })
    job.left -= groups.length
    if (job.left > 0) return
    try {
      if (!part.whole) this.combine(job)
      job.resolve(job.results)
    } catch (error) {
      job.reject(error as Error)
    }
  }

  /** Adds the groups' sums in order and divides once, as a worker does that computes the whole task. */
  private combine({ task, groups, results }: Job): void {
    const names = Array.from({ length: groups }, (_, group) => groupFile(task.out, group))
    const divisor = denominatorOf(results)
    const { tensors, allocated } = this.setup.parameters
    const size = tensors.slice(0, allocated).reduce((sum, tensor) => sum + tensor.size, 0)
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

  /** An error of a task ends that task; one of the engine's setup ends all. */
  private fail(assignment: Assignment | undefined, { message, memory, expected }: Failure): void {
    const error = memory
      ? new WorkerMemoryError(message)
      : expected
        ? new EngineError(message)
        : new Error(message)
    if (assignment === undefined) this.failAll(error)
    else assignment.job.reject(error)
  }

  private failAll(error: Error): void {
    const jobs = [
      ...this.queue.splice(0),
      ...this.workers.flatMap(({ assigned }) => assigned.splice(0).map(({ job }) => job)),
    ]
    for (const job of jobs) job.reject(error)
  }

  private bury(worker: Worker, death: Death): void {
    if (this.closed) return
    const how = `worker process ${worker.process.pid ?? 0} ${death.how}`
    const [current] = worker.assigned
    if (current !== undefined) current.job.deaths += 1
    this.deathsInARow += 1
    if (death.memory) this.restartAll(new WorkerMemoryError(`${how}: memory was short`))
    else if ((current?.job.deaths ?? 0) > 1)
      this.restartAll(new EngineError(`${how}, the second one to die there`))
    else if (this.deathsInARow > MOST_DEATHS) this.failAll(new EngineError(`${how}, like all before it`))
    else this.replace(worker, how)
  }

  private replace(worker: Worker, how: string): void {
    this.onNote(`${how}; a new one does its work again`)
    worker.process = new WorkerProcess()
    this.begin(worker)
    for (const { job, part } of worker.assigned.splice(0)) this.assign(worker, job, part)
    this.dispatch()
  }

  /** Ends all tasks; none of them may still write its file when its like is asked for again. */
  private restartAll(error: Error): void {
    const workers = [...this.workers]
    for (const { process } of workers) process.kill()
    this.failAll(error)
    for (const worker of workers) {
      worker.process = new WorkerProcess()
      this.begin(worker)
    }
  }
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
