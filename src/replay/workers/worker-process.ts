import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { FromWorker, TaskPart, ToWorker, WorkerSetup } from './messages.js'

const MAIN = fileURLToPath(new URL('./worker-main.js', import.meta.url))

/**
 * Garbage is collected after so many megabytes: by default they grow with a run's length to 16, held three times over,
 * while next to nothing of a worker's objects lives on.
 */
const YOUNG_MEGABYTES = 2

/** What a dying process says last is kept up to this length. */
const LAST_WORDS = 2000

/** How a worker process ended. */
export interface Death {
  /** `was killed by SIGKILL`, `ended with exit code 1`. */
  readonly how: string
  /** Whether the system killed a process for want of memory meanwhile. */
  readonly memory: boolean
}

export interface WorkerEvents {
  readonly onMessage: (message: FromWorker) => void
  readonly onDeath: (death: Death) => void
}

/** A child process with one engine. */
export class WorkerProcess {
  private readonly child: ChildProcess
  private readonly killsBefore = memoryKills()
  private events: WorkerEvents | undefined
  private death: Death | undefined
  private lastWords = ''

  constructor() {
    // the engine's libraries are loaded at once, while the parent still reads checkpoints and data
    this.child = fork(MAIN, [], {
      execArgv: [`--max-semi-space-size=${YOUNG_MEGABYTES}`],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.child.stderr!.on('data', (chunk: Buffer) => {
      this.lastWords = (this.lastWords + chunk.toString()).slice(-LAST_WORDS)
    })
    this.child.on('message', (message: FromWorker) => this.events?.onMessage(message))
    this.child.on('exit', (code, signal) => {
      this.died(code, signal)
    })
    // a message to a process that has just ended fails; its end is told by 'exit'
    this.child.on('error', () => undefined)
  }

  get pid(): number | undefined {
    return this.child.pid
  }

  begin(setup: WorkerSetup, events: WorkerEvents): void {
    this.events = events
    if (this.death !== undefined) events.onDeath(this.death)
    else this.send({ kind: 'setup', setup })
  }

  compute(id: number, part: TaskPart): void {
    this.send({ kind: 'part', id, part })
  }

  /** Ends the process at once. */
  kill(): void {
    this.events = undefined
    this.child.kill('SIGKILL')
  }

  private send(message: ToWorker): void {
    if (this.child.connected) this.child.send(message, () => undefined)
  }

  private died(code: number | null, signal: NodeJS.Signals | null): void {
    const words = this.lastWords.trim().split('\n').at(-1) ?? ''
    const how = signal === null ? `ended with exit code ${code ?? 0}` : `was killed by ${signal}`
    const killed = signal === 'SIGKILL' && memoryKills() > this.killsBefore
    this.death = {
      how: words === '' ? how : `${how} (${words})`,
      memory: killed || /out of memory|bad_alloc/i.test(words),
    }
    this.events?.onDeath(this.death)
  }
}

/** How many processes Linux has ended since its start because memory was short. */
function memoryKills(): number {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync('/proc/vmstat', 'utf8'))?.[1] ?? 0)
  } catch {
    return 0
  }
}
