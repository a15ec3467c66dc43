import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { StartedWorkers } from '../../src/replay/workers/start.js'
import { WorkerProcess } from '../../src/replay/workers/worker-process.js'

/** Variable that tells worker processes of a test where their faults are written down. */
const FAULTS = 'FAULTY_WORKER'
const MAIN = fileURLToPath(new URL('./faulty-worker.js', import.meta.url))

/**
 * What a worker does instead of its task, or of beginning: it is killed, ends by itself, is ended by V8 or C++ for want
 * of memory, or says that its engine ran out of it.
 */
export const FAULT_KINDS = [
  'killed',
  'exit',
  'heap',
  'bad_alloc',
  'engine: bad_alloc',
  'engine: CUDA out of memory',
] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

export interface Fault {
  readonly kind: FaultKind
  /** How the name of the task's file begins; 'start' for what befalls a process before it has an engine. */
  readonly at: string
  /** How often, in all workers together. */
  readonly times: number
  /** Only for micro-batches of this size or more. */
  readonly fromSize?: number
}

/** Runs `use` with workers that have faults. */
export async function withFaults<R>(
  faults: readonly Fault[],
  workers: number,
  use: (workers: StartedWorkers) => Promise<R>,
): Promise<R> {
  const folder = mkdtempSync(join(tmpdir(), 'retrograd-'))
  const file = join(folder, 'faults.json')
  writeFileSync(file, JSON.stringify(faults))
  process.env[FAULTS] = file
  try {
    return await use(new StartedWorkers(workers, () => new WorkerProcess({ main: MAIN })))
  } finally {
    Reflect.deleteProperty(process.env, FAULTS)
    rmSync(folder, { recursive: true })
  }
}

/** In a worker: the fault that it has at a task, each as often as it is to happen. */
export function faultAt(out: string, size: number): FaultKind | undefined {
  const file = process.env[FAULTS]!
  const faults = JSON.parse(readFileSync(file, 'utf8')) as Fault[]
  return faults.find(
    ({ at, times, fromSize = 0 }, i) =>
      out.startsWith(at) && size >= fromSize && countDown(`${file}-${i}`, times),
  )?.kind
}

/** Whether it is one of the first so many calls, in any process. */
function countDown(path: string, times: number): boolean {
  for (let time = 0; time < times; time += 1) {
    try {
      closeSync(openSync(`${path}-${time}`, 'wx'))
      return true
    } catch {
      continue
    }
  }
  return false
}
