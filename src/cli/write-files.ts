import { lstat, mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { UsageError } from '../errors.js'
import { listNames } from '../listing.js'
import { writeWhole } from './whole-file.js'

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
  for (const { path, content } of files)
    await writeWhole(path, async (partial) => {
      await mkdir(dirname(path), { recursive: true })
      await writeFile(partial, content)
    })
}
