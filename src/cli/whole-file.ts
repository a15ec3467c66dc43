import { lstat, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { reasonOf, RetrogradError, UsageError } from '../errors.js'

/** Refuses, before any work is done, a file that can't be written, or is there and not to be replaced. */
export async function assertFree(out: string, overwrite: boolean): Promise<void> {
  const folder = await stat(dirname(out)).catch(() => undefined)
  if (folder?.isDirectory() !== true) throw new UsageError(`--out ${out}: there is no folder ${dirname(out)}`)
  const found = await lstat(out).catch(() => undefined)
  if (found === undefined) return
  if (!found.isFile()) throw new UsageError(`--out ${out}: that is no file; name a file to write`)
  if (!overwrite) throw new UsageError(`--out ${out}: the file exists; name another, or give --overwrite`)
}

/** Where a file is written before it has its name. */
export function partialOf(out: string): string {
  return `${out}.partial`
}

/** A file whole or not at all: `write` writes it under another name first. */
export async function writeWhole(out: string, write: (partial: string) => Promise<void>): Promise<void> {
  const partial = partialOf(out)
  try {
    await write(partial)
    await rename(partial, out)
  } catch (error) {
    await rm(partial, { force: true }).catch(() => undefined)
    if (error instanceof RetrogradError) throw error
    throw new UsageError(`cannot write ${out}: ${reasonOf(error)}; choose another --out`, { cause: error })
  }
}
