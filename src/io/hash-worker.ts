import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'

import { reasonOf } from '../errors.js'
import type { HashReply, HashRequest } from './background-hash.js'

/** Bytes read at a time: few calls, and the bytes stay in the processor's cache until they are hashed. */
const BLOCK = new Uint8Array(2 ** 20)

parentPort!.on('message', ({ id, path }: HashRequest) => {
  parentPort!.postMessage(answer(id, path))
})

function answer(id: number, path: string): HashReply {
  try {
    return { id, digest: sha256(path) }
  } catch (error) {
    return { id, failure: reasonOf(error) }
  }
}

function sha256(path: string): string {
  const hash = createHash('sha256')
  const file = openSync(path, 'r')
  try {
    for (let count = readSync(file, BLOCK); count > 0; count = readSync(file, BLOCK))
      hash.update(BLOCK.subarray(0, count))
    return hash.digest('hex')
  } finally {
    closeSync(file)
  }
}
