import { createHash } from 'node:crypto'
import { basename } from 'node:path'

import type { ErrorClass } from './corrupt.js'
import { streamRange, withFile } from './ranged-file.js'

/** Bytes at each end of a file that its fingerprint covers: headers live at one end or the other. */
const FINGERPRINT_END = 64 * 1024

/**
 * A cheap identity of a large file: SHA-256 (hex) over its size, its first and last 64 KiB, and `part` where the
 * file holds many things.
 */
export async function fingerprintFile(path: string, Fault: ErrorClass, part = ''): Promise<string> {
  return withFile(path, Fault, async (file) => {
    const end = Math.min(FINGERPRINT_END, file.size)
    const hash = createHash('sha256').update(`${file.size}:${part}:`)
    hash.update(await file.read(0, end))
    hash.update(await file.read(file.size - end, end))
    return hash.digest('hex')
  })
}

/** The identity of several files that are one thing, in their order: that of the one, or SHA-256 (hex) over those of all. */
export async function fingerprintFiles(paths: readonly string[], Fault: ErrorClass): Promise<string> {
  if (paths.length === 1) return fingerprintFile(paths[0]!, Fault)
  const hash = createHash('sha256')
  for (const path of paths) hash.update(`${basename(path)}:${await fingerprintFile(path, Fault)}\n`)
  return hash.digest('hex')
}

/** SHA-256 (hex) of a whole file, read in pieces. */
export async function sha256File(path: string, Fault: ErrorClass): Promise<string> {
  const size = await withFile(path, Fault, (file) => Promise.resolve(file.size))
  const hash = createHash('sha256')
  for await (const chunk of streamRange(path, 0, size, Fault)) hash.update(chunk)
  return hash.digest('hex')
}
