import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'

import { reasonOf } from '../errors.js'
import { PROGRESS, type Hdf5Reply, type Hdf5Request, type Hdf5WorkerData } from './hdf5-protocol.js'

/**
 * How long the library may go without reading a byte, in processor time of this process and in time passed (ms), and
 * how much longer for every byte of the file: headers are small, values may be one large chunk that is being unpacked.
 * Only a loop in a corrupt file takes longer.
 */
const STALL_MS = { describe: 250, read: 500 } as const
const STALL_MS_PER_BYTE = 1e-4
const TICK_MS = 50

/** A thread that holds the library. */
interface Thread {
  readonly worker: Worker
  readonly progress: Int32Array
  readonly ready: Promise<void>
}

/** More threads than these gain little, since each waits for the disk as well; a thread holds some 50 MB. */
const MAX_THREADS = Math.min(4, availableParallelism())
/** Requests that wait for a thread before another one is started, which takes as long as many of them. */
const MAX_WAITING = 4

/** A thread and those who wait for it; the thread is started when it is first asked, and another at once after a failure. */
interface Lane {
  thread: Thread | undefined
  last: Promise<unknown>
  waiting: number
}

type Answer = Exclude<Hdf5Reply, { failure: string }>

const lanes: Lane[] = []

/**
 * Asks the HDF5 library, which runs in threads of its own: a corrupt file can make it loop or trap, and then the
 * thread is ended. After any failure a new one takes its place, since the library is left in the middle of a call.
 * @throws Error with the library's reason, or that of the thread's end
 */
export function askHdf5(request: Hdf5Request): Promise<Answer> {
  const lane = chooseLane()
  lane.waiting += 1
  const turn = lane.last.then(() => ask(lane, request))
  lane.last = turn
    .catch(() => undefined)
    .then(() => {
      lane.waiting -= 1
    })
  return turn
}

function chooseLane(): Lane {
  const [first, ...more] = lanes
  const least = more.reduce((a, b) => (b.waiting < a!.waiting ? b : a), first)
  if (least !== undefined && (least.waiting < MAX_WAITING || lanes.length === MAX_THREADS)) return least
  const lane: Lane = { thread: undefined, last: Promise.resolve(), waiting: 0 }
  lanes.push(lane)
  return lane
}

async function ask(lane: Lane, request: Hdf5Request): Promise<Answer> {
  const { worker, progress, ready } = (lane.thread ??= startThread())
  worker.ref()
  try {
    await ready
    const reply = await exchange(worker, progress, request)
    if ('failure' in reply) throw new Error(reply.failure)
    return reply
  } catch (error) {
    lane.thread = startThread()
    await worker.terminate()
    throw error
  } finally {
    worker.unref()
  }
}

function startThread(): Thread {
  const shared = new SharedArrayBuffer(PROGRESS.count * Int32Array.BYTES_PER_ELEMENT)
  const workerData: Hdf5WorkerData = { progress: shared }
  // The library writes its own complaints to the standard streams beside throwing them.
  const worker = new Worker(new URL('./hdf5-worker.js', import.meta.url), {
    workerData,
    stdout: true,
    stderr: true,
  })
  const ready = new Promise<void>((resolve, reject) => {
    worker.once('message', () => {
      resolve()
    })
    worker.once('error', reject)
  })
  // who asks for the thread learns why it did not start; until then nobody waits, nor does the process
  ready.catch(() => undefined)
  worker.unref()
  return { worker, progress: new Int32Array(shared), ready }
}

function exchange(worker: Worker, progress: Int32Array, request: Hdf5Request): Promise<Hdf5Reply> {
  return new Promise((resolve, reject) => {
    const watch = watchProgress(progress, stallLimit(request), () => {
      end()
      reject(new Error('corrupt: reading it goes round in circles'))
    })
    const onMessage = (reply: Hdf5Reply): void => {
      end()
      resolve(reply)
    }
    const onError = (error: unknown): void => {
      end()
      reject(new Error(reasonOf(error)))
    }
    const onExit = (): void => {
      onError('the library ended')
    }
    const end = (): void => {
      clearInterval(watch)
      worker.off('message', onMessage).off('error', onError).off('exit', onExit)
    }
    worker.on('message', onMessage).on('error', onError).on('exit', onExit)
    worker.postMessage(request)
  })
}

/** Calls `onStall` when the thread neither moves nor waits for the disk although the process computes. */
function watchProgress(progress: Int32Array, limit: number, onStall: () => void): NodeJS.Timeout {
  let seen = -1
  let since = performance.now()
  let cpu = process.cpuUsage()
  return setInterval(() => {
    const now = Atomics.load(progress, PROGRESS.moves)
    const { user, system } = process.cpuUsage(cpu)
    if (now !== seen || Atomics.load(progress, PROGRESS.isReading) === 1) {
      seen = now
      since = performance.now()
      cpu = process.cpuUsage()
    } else if (performance.now() - since > limit && (user + system) / 1000 > limit) onStall()
  }, TICK_MS)
}

function stallLimit({ kind, source }: Hdf5Request): number {
  const bytes = 'bytes' in source ? source.bytes.length : source.length
  return STALL_MS[kind] + bytes * STALL_MS_PER_BYTE
}
