import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { memoryLineOf } from '../../engines/out-of-memory.js'
import { reasonOf } from '../../errors.js'
import type { FromWorker, TaskPart, ToWorker, WorkerSetup } from './messages.js'

const MAIN = fileURLToPath(new URL('./worker-main.js', import.meta.url))

/**
 * Next to nothing of a worker's objects lives on, so that the space for new ones (in megabytes, held three times over) need
 * not grow with the length of a run, as V8 lets it.
 */
const KEEP_YOUNG_SMALL = '--max-semi-space-size=2'

/**
 * Blocks of memory from this size on go back to the system when they are freed. GNU's allocator raises the size to that of
 * the largest block freed so far, and keeps between smaller ones what was large.
 */
const MAPPED_BYTES = 4 * 2 ** 20

/** What a dying process says last is kept up to this length. */
const LAST_WORDS = 4000

/** What a worker process is. */
export interface WorkerKind {
  /** Its program; the worker's own by default. */
  readonly main?: string
  /** Whether NVIDIA's libraries may round the factors of float32 products to 10 bits (TF32); by default they may not. */
  readonly tf32?: boolean
}

/**
 * NVIDIA's libraries (cuBLAS, cuDNN) read it when they are loaded: 0 forbids TF32 whatever a program asks them for, and
 * ONNX Runtime asks for it unless it is told otherwise, which its Node binding can't.
 */
export const TF32_VARIABLE = 'NVIDIA_TF32_OVERRIDE'

/** How a worker process ended. */
export interface Death {
  /** `was killed by SIGKILL`, `ended with exit code 1`. */
  readonly how: string
  /** Whether it said that memory was short, or the system killed a process for want of memory meanwhile. */
  readonly memory: boolean
}

export interface WorkerEvents {
  readonly onMessage: (message: FromWorker) => void
  readonly onDeath: (death: Death) => void
}

/** A child process with one engine. */
export class WorkerProcess {
  private readonly child: ChildProcess | undefined
  private readonly killsBefore = memoryKills()
  private readonly ended: Promise<void>
  private events: WorkerEvents | undefined
  private death: Death | undefined
  private lastWords = ''
  /** The line of the last words that says that memory was short; a trace of many lines may follow it. */
  private memoryWords: string | undefined

  constructor(kind: WorkerKind = {}) {
    let end: () => void = () => undefined
    this.ended = new Promise((resolve) => {
      end = resolve
    })
    try {
      this.child = this.start(kind, end)
    } catch (error) {
      this.died(`could not be started (${reasonOf(error)})`)
      end()
    }
  }

  get pid(): number | undefined {
    return this.child?.pid
  }

  begin(setup: WorkerSetup, events: WorkerEvents): void {
    this.events = events
    if (this.death !== undefined) events.onDeath(this.death)
    else this.send({ kind: 'setup', setup })
  }

  compute(id: number, part: TaskPart): void {
    this.send({ kind: 'part', id, part })
  }

  /** Ends the process; resolves when it is gone, so that it writes nothing any more. */
  kill(): Promise<void> {
    this.events = undefined
    this.child?.kill('SIGKILL')
    return this.ended
  }

  private start({ main = MAIN, tf32 = false }: WorkerKind, end: () => void): ChildProcess {
    // the engine's libraries are loaded at once, while the parent still reads checkpoints and data
    const child = fork(main, [], {
      execArgv: [KEEP_YOUNG_SMALL],
      env: environment(tf32),
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      this.hear(chunk.toString())
    })
    child.on('message', (message: FromWorker) => this.events?.onMessage(message))
    child.on('exit', end)
    // unlike 'exit' it comes after the last message and the last word
    child.on('close', (code, signal) => {
      this.died(
        signal === null ? `ended with exit code ${code ?? 0}` : `was killed by ${signal}`,
        signal === 'SIGKILL' && memoryKills() > this.killsBefore,
      )
    })
    child.on('error', (error) => {
      // a message to a process that has just ended fails; its end is told by 'close'
      if (child.pid !== undefined) return
      this.died(`could not be started (${error.message})`)
      end()
    })
    return child
  }

  private send(message: ToWorker): void {
    if (this.child?.connected) this.child.send(message, () => undefined)
  }

  private hear(text: string): void {
    this.lastWords = (this.lastWords + text).slice(-LAST_WORDS)
    this.memoryWords ??= memoryLineOf(this.lastWords)
  }

  private died(end: string, killedForMemory = false): void {
    if (this.death !== undefined) return
    const words = this.memoryWords ?? this.lastWords.trim().split('\n').at(-1) ?? ''
    this.death = {
      how: words === '' ? end : `${end} (${words})`,
      memory: killedForMemory || this.memoryWords !== undefined,
    }
    this.events?.onDeath(this.death)
  }
}

function environment(tf32: boolean): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => name !== TF32_VARIABLE)
  return {
    ...Object.fromEntries(own),
    MALLOC_MMAP_THRESHOLD_: String(MAPPED_BYTES),
    ...(!tf32 && { [TF32_VARIABLE]: '0' }),
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
