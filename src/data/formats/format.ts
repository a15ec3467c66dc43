import { createHash } from 'node:crypto'

import { DataError, reasonOf, RetrogradError } from '../../errors.js'
import { beginSha256 } from '../../io/background-hash.js'
import type { ArrayFile, StoredArray } from '../stored-array.js'

/** What is known of a file before it is opened. */
export interface Candidate {
  readonly path: string
  /** The first bytes, at most HEAD_BYTES. */
  readonly head: Uint8Array
  readonly size: number
  /** Whether the user asked for sequences of tokens, by which a raw `.bin` of tokens is told from others. */
  readonly tokens: boolean
}

/** First bytes of a file that formats are told apart by. */
export const HEAD_BYTES = 16

/** A format of data files: a cheap look at name and first bytes, then the headers. */
export interface DataFormat {
  readonly match: (candidate: Candidate) => boolean
  /** @throws DataError when the file is corrupt */
  readonly open: (candidate: Candidate) => Promise<ArrayFile>
}

/** What is thrown on the way through a corrupt file (RangeError, TypeError, a library's own) is the file's fault. */
export function asDataError(what: string, error: unknown): RetrogradError {
  return error instanceof RetrogradError ? error : new DataError(`${what}: ${reasonOf(error)}`)
}

export function startsWith(head: Uint8Array, signature: string): boolean {
  return Buffer.from(head).subarray(0, signature.length).equals(Buffer.from(signature, 'latin1'))
}

/** Parts of an ArrayFile that few formats have. */
export type Extras = Partial<Pick<ArrayFile, 'hint' | 'stack'>>

/** The arrays of one file. */
export function singleFile(path: string, arrays: readonly StoredArray[], extras: Extras = {}): ArrayFile {
  return { path, arrays, ...extras, beginHash: () => beginSha256(path, DataError) }
}

/** The arrays of several files that belong together; `names` are the paths as they enter the hash, in order. */
export function severalFiles(
  path: string,
  files: readonly { readonly name: string; readonly path: string }[],
  arrays: readonly StoredArray[],
  extras: Extras = {},
): ArrayFile {
  const beginHash: ArrayFile['beginHash'] = () => {
    const begun = files.map((file) => ({ name: file.name, sha256: beginSha256(file.path, DataError) }))
    return async () => {
      const hash = createHash('sha256')
      for (const { name, sha256 } of begun) hash.update(`${name} ${await sha256()}\n`)
      return hash.digest('hex')
    }
  }
  return { path, arrays, ...extras, beginHash }
}
