import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { reasonOf } from '../../errors.js'
import { ADAPTER_ENVIRONMENT, adapterOf } from './adapter.js'
import type { Adapter } from './adapter.js'
import type { Device } from './names.js'
import type { Placement } from './placement.js'
import type { ProbeMessage, ProbeQuestion } from './probe-message.js'
import { whyNot } from './why-not.js'
import type { Obstacle } from './why-not.js'

const MAIN = fileURLToPath(new URL('./device-probe-main.js', import.meta.url))

/** A driver that takes longer to compute a few thousand numbers hangs. TensorRT builds its kernels first. */
const LIMIT_MS = 60_000
const TENSORRT_LIMIT_MS = 300_000

/** Libraries write much at the levels that are asked for; adapters and errors are among the last. */
const KEPT_LOG = 2 ** 20

/**
 * NVIDIA's libraries read it. Rounding to TF32 would be taken for the device's own error; runs set it for themselves.
 */
const EXACT_ENVIRONMENT = { NVIDIA_TF32_OVERRIDE: '0' } as const

/** How a device did: its numbers beside the CPU's, or why it could not be tried. */
export type ProbeResult = ProbeSuccess | { readonly obstacle: Obstacle }

export interface ProbeSuccess {
  readonly adapter: Adapter
  /** Largest difference to the CPU's numbers in the loss or a parameter's gradient, relative to the largest there. */
  readonly error: number
  /** Milliseconds of a small gradient, after the first. */
  readonly ms: number
  /** Undefined on the CPU. */
  readonly placement: Placement | undefined
}

/** Computes a small gradient on a device, in a child process with a time limit. Never throws: failure is an answer. */
export async function probe(
  device: Device,
  { main = MAIN, limit = device === 'tensorrt' ? TENSORRT_LIMIT_MS : LIMIT_MS } = {},
): Promise<ProbeResult> {
  const { message, log } = await answerOf(main, device, limit)
  if ('failure' in message) return { obstacle: whyNot(device, message, log) }
  const { error, ms, placement } = message
  if (device !== 'cpu' && (placement === undefined || placement.onDevice === 0))
    return { obstacle: { reason: 'ONNX Runtime computed everything on the CPU instead' } }
  return { adapter: adapterOf(device, log), error, ms, placement }
}

interface Answer {
  readonly message: ProbeMessage
  /** What the process wrote to stderr. */
  readonly log: string
}

/** Asks with a folder for the process' files, which is gone whatever becomes of the process. */
async function answerOf(main: string, device: Device, limit: number): Promise<Answer> {
  let scratch: string
  try {
    scratch = mkdtempSync(join(tmpdir(), 'retrograd-probe-'))
  } catch (error) {
    return { message: { failure: `no folder could be made for the trial (${reasonOf(error)})` }, log: '' }
  }
  try {
    return await ask(main, { device, scratch }, limit)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function ask(main: string, question: ProbeQuestion, limit: number): Promise<Answer> {
  return new Promise((resolve) => {
    let log = ''
    let message: ProbeMessage | undefined
    const child = fork(main, [], {
      env: { ...process.env, ...EXACT_ENVIRONMENT, ...ADAPTER_ENVIRONMENT },
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    const fail = (failure: string): void => {
      message ??= { failure }
    }
    const timer = setTimeout(() => {
      fail(`it did not answer within ${limit / 1000} s`)
      child.kill('SIGKILL')
    }, limit)
    child.stderr?.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-KEPT_LOG)
    })
    child.on('message', (answer: ProbeMessage) => {
      message ??= answer
    })
    child.on('error', (error) => {
      fail(`no process could be started to try it (${reasonOf(error)})`)
      clearTimeout(timer)
      resolve({ message: message!, log })
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      fail(`its driver ended the process that tried it (${signal ?? `exit code ${code ?? 0}`})`)
      resolve({ message: message!, log })
    })
    child.send(question, () => undefined)
  })
}
