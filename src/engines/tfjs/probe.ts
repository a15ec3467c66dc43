import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { INSTALL_LINE, TFJS_BACKENDS, TFJS_PACKAGES, installedVersion } from './packages.js'
import type { TfjsBackendName } from './packages.js'

/** Whether one way of running TensorFlow.js can be used here. */
export interface TfjsBackendReport {
  readonly name: TfjsBackendName
  readonly package: string
  readonly installed: boolean
  /** Whether it loads, with its native binding where it has one. */
  readonly loads: boolean
  readonly version?: string
  /** Version of the TensorFlow library behind a native binding. */
  readonly tensorflow?: string
  /** Whether it computes on a GPU. */
  readonly gpu?: boolean
  /** Why it can't be used, with the remedy. */
  readonly reason?: string
}

/** What probe-main prints. */
export type ProbeAnswer =
  | { readonly loads: true; readonly tensorflow?: string; readonly gpu: boolean }
  | { readonly loads: false; readonly reason: string }

/** A library of 800 MB on a slow disk. */
const TIMEOUT_MS = 60_000

/** How a way is tried; tests put programs of their own. */
export interface Trial {
  readonly program?: string
  readonly timeout?: number
}

/** Which ways of running TensorFlow.js can be used here. */
export function tfjsBackends(): TfjsBackendReport[] {
  return TFJS_BACKENDS.map((name) => tryBackend(name))
}

/** Whether one way can be used. It is tried in a process of its own: a library may abort. */
export function tryBackend(name: TfjsBackendName, trial: Trial = {}): TfjsBackendReport {
  const { package: wanted } = TFJS_PACKAGES[name]
  const version = installedVersion(wanted)
  if (version !== undefined) return { name, package: wanted, installed: true, version, ...probe(name, trial) }
  const reason = `not installed: ${INSTALL_LINE.replace('@tensorflow/tfjs-node', wanted)}`
  return { name, package: wanted, installed: false, loads: false, reason }
}

const PROGRAM = fileURLToPath(new URL('./probe-main.js', import.meta.url))

function probe(name: TfjsBackendName, { program = PROGRAM, timeout = TIMEOUT_MS }: Trial): ProbeAnswer {
  const { stdout, stderr, signal, error, status } = spawnSync(process.execPath, [program, name], {
    encoding: 'utf8',
    timeout,
    // one that is stuck in a library hears nothing else
    killSignal: 'SIGKILL',
  })
  // both are null where the process could not be started, whatever their types say
  const answer = answerIn(lastLine(stdout))
  if (answer !== undefined) return answer
  return { loads: false, reason: `the process that loads it fails: ${why()}` }

  function why(): string {
    if (error !== undefined && 'code' in error && error.code === 'ETIMEDOUT')
      return `it did not answer within ${timeout / 1000} s`
    if (error !== undefined) return error.message
    if (signal !== null) return `ended by ${signal}`
    return lastLine(stderr) || `exit code ${status ?? 0} without an answer`
  }
}

function lastLine(text: string | null): string {
  return text?.trim().split('\n').at(-1) ?? ''
}

/** What the process says; undefined where it says something else. */
function answerIn(line: string): ProbeAnswer | undefined {
  try {
    const answer = JSON.parse(line) as Partial<ProbeAnswer> | null
    return typeof answer?.loads === 'boolean' ? (answer as ProbeAnswer) : undefined
  } catch {
    return undefined
  }
}
