import { lstat, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { reasonOf, UsageError } from '../errors.js'
import { listNames } from '../listing.js'

/** A file to be written. */
export interface Output {
  readonly path: string
  readonly content: string | Uint8Array
}

/** Throws UsageError where something is in the way of files to be written, before time is spent on what goes into them. */
export async function assertFree(paths: readonly string[], overwrite: boolean): Promise<void> {
  const taken: string[] = []
  for (const path of paths) {
    const found = await lstat(path).catch(() => undefined)
    if (found === undefined) continue
    if (!found.isFile()) throw new UsageError(`${path} is no file: choose another --out`)
    taken.push(path)
  }
  if (taken.length > 0 && !overwrite)
    throw new UsageError(
      `${listNames(taken, 3)} ${taken.length === 1 ? 'exists' : 'exist'}: choose another --out, or give --overwrite`,
    )
}

/** Writes files, each whole or not at all; folders are made. Throws UsageError that names the file. */
export async function writeFiles(files: readonly Output[]): Promise<void> {
  for (const { path, content } of files) {
    const partial = `${path}.partial`
    try {
      await mkdir(dirname(path), { recursive: true })
      await writeFile(partial, content)
      await rename(partial, path)
    } catch (error) {
      await rm(partial, { force: true }).catch(() => undefined)
      throw new UsageError(`cannot write ${path}: ${reasonOf(error)}; choose another --out`, { cause: error })
    }
  }
}
