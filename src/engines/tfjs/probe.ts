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

/** Which ways of running TensorFlow.js can be used here. Each is tried in a process of its own: a library may abort. */
export function tfjsBackends(): TfjsBackendReport[] {
  return TFJS_BACKENDS.map((name): TfjsBackendReport => {
    const { package: wanted } = TFJS_PACKAGES[name]
    const version = installedVersion(wanted)
    if (version !== undefined) return { name, package: wanted, installed: true, version, ...probe(name) }
    const reason = `not installed: ${INSTALL_LINE.replace('@tensorflow/tfjs-node', wanted)}`
    return { name, package: wanted, installed: false, loads: false, reason }
  })
}

function probe(name: TfjsBackendName): ProbeAnswer {
  const program = fileURLToPath(new URL('./probe-main.js', import.meta.url))
  const { stdout, stderr, signal, error } = spawnSync(process.execPath, [program, name], {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
  })
  const last = (stdout as string | null)?.trimEnd().split('\n').at(-1) ?? ''
  if (last.startsWith('{')) return JSON.parse(last) as ProbeAnswer
  const said = (stderr as string | null)?.trim().split('\n').at(-1) ?? ''
  const why = error?.message ?? (signal === null ? said : `ended by ${signal}`)
  return { loads: false, reason: `the process that loads it fails: ${why}` }
}
