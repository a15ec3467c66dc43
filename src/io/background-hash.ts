import { statSync } from 'node:fs'
import { Worker } from 'node:worker_threads'

import type { ErrorClass } from './corrupt.js'
import { sha256File } from './hash.js'

/** Below this a hash takes less time than a thread does to start. */
const WORTH_A_THREAD = 8 * 2 ** 20

export type HashReply =
  { readonly id: number; readonly digest: string } | { readonly id: number; readonly failure: string }

export interface HashRequest {
  readonly id: number
  readonly path: string
}

/** The thread that hashes, one file after the other, and who waits for which of them. */
interface HashThread {
  readonly worker: Worker
  /** What is to be done with each reply that has not come yet. */
  readonly pending: Map<number, (reply: HashReply) => void>
  /** How many wait for a reply: the process stays alive for those. */
  awaited: number
}

let thread: HashThread | undefined
let requests = 0

/**
 * Begins to hash a file: a large one in a thread of its own, so that reading, computing and hashing overlap; a small one
 * when it is asked for. The process does not wait for a hash that nobody asks for.
 *
 * @returns gives SHA-256 (hex) of the whole file; throws Fault where the file can't be read to its end
 */
export function beginSha256(path: string, Fault: ErrorClass): () => Promise<string> {
  if (sizeOf(path) < WORTH_A_THREAD) {
    let digest: Promise<string> | undefined
    return () => (digest ??= sha256File(path, Fault))
  }
  const hashing = (thread ??= startThread())
  const id = (requests += 1)
  const reply = new Promise<HashReply>((resolve) => hashing.pending.set(id, resolve))
  hashing.worker.postMessage({ id, path } satisfies HashRequest)
  return async () => {
    const answer = await keepingAlive(hashing, reply)
    if ('failure' in answer) throw new Fault(`${path}: cannot be read: ${answer.failure}`)
    return answer.digest
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

async function keepingAlive<T>(hashing: HashThread, reply: Promise<T>): Promise<T> {
  if (hashing.awaited++ === 0) hashing.worker.ref()
  try {
    return await reply
  } finally {
    if (--hashing.awaited === 0) hashing.worker.unref()
  }
}

function startThread(): HashThread {
  // what the process was started with may be for its main script alone (--input-type, --import)
  const worker = new Worker(new URL('./hash-worker.js', import.meta.url), { execArgv: [] })
  const pending = new Map<number, (reply: HashReply) => void>()
  worker.on('message', (reply: HashReply) => {
    pending.get(reply.id)?.(reply)
    pending.delete(reply.id)
  })
  worker.on('error', (error: Error) => {
    thread = undefined
    for (const [id, resolve] of pending) resolve({ id, failure: error.message })
  })
  worker.unref()
  return { worker, pending, awaited: 0 }
}
