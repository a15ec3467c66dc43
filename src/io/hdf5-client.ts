import { Worker } from 'node:worker_threads'

import { reasonOf } from '../errors.js'
import type { Hdf5Reply, Hdf5Request, Hdf5WorkerData } from './hdf5-protocol.js'

/**
 * How long the library may go without reading a byte, in processor time of this process and in time passed (ms), and
 * how much longer for every byte of the file: it may be unpacking one large chunk. Only a loop in a corrupt file takes
 * longer.
 */
const STALL_MS = 500
const STALL_MS_PER_BYTE = 1e-4
const TICK_MS = 100

/** A thread that holds the library. */
interface Thread {
  readonly worker: Worker
  readonly progress: Int32Array
  readonly ready: Promise<void>
}

let thread: Thread | undefined
let queue: Promise<unknown> = Promise.resolve()

/**
 * Asks the HDF5 library, which runs in a thread of its own: a corrupt file can make it loop or trap, and then the
 * thread is ended. After any failure a new one is started, since the library is left in the middle of a call.
 * @throws Error with the library's reason, or that of the thread's end
 */
export function askHdf5(request: Hdf5Request): Promise<Exclude<Hdf5Reply, { failure: string }>> {
  const turn = queue.then(() => ask(request))
  queue = turn.catch(() => undefined)
  return turn
}

async function ask(request: Hdf5Request): Promise<Exclude<Hdf5Reply, { failure: string }>> {
  thread ??= startThread()
  const { worker, progress, ready } = thread
  worker.ref()
  try {
    await ready
    const reply = await exchange(worker, progress, request)
    if ('failure' in reply) throw new Error(reply.failure)
    return reply
  } catch (error) {
    thread = undefined
    await worker.terminate()
    throw error
  } finally {
    worker.unref()
  }
}

function startThread(): Thread {
  const shared = new SharedArrayBuffer(4)
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
  return { worker, progress: new Int32Array(shared), ready }
}

function exchange(worker: Worker, progress: Int32Array, request: Hdf5Request): Promise<Hdf5Reply> {
  return new Promise((resolve, reject) => {
    const watch = watchProgress(progress, sizeOf(request), () => {
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

/** Calls `onStall` when the counter stands still although the process computes. */
function watchProgress(progress: Int32Array, bytes: number, onStall: () => void): NodeJS.Timeout {
  const limit = STALL_MS + bytes * STALL_MS_PER_BYTE
  let seen = -1
  let since = performance.now()
  let cpu = process.cpuUsage()
  return setInterval(() => {
    const now = Atomics.load(progress, 0)
    const { user, system } = process.cpuUsage(cpu)
    if (now !== seen) {
      seen = now
      since = performance.now()
      cpu = process.cpuUsage()
    } else if (performance.now() - since > limit && (user + system) / 1000 > limit) onStall()
  }, TICK_MS)
}

function sizeOf({ source }: Hdf5Request): number {
  return 'bytes' in source ? source.bytes.length : source.length
}
