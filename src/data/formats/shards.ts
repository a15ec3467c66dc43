import { readdir } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'

import { DataError, UsageError } from '../../errors.js'
import { compareNaturally } from '../../listing.js'
import type { ArrayFile, StoredArray } from '../stored-array.js'
import { concatArrays } from './concat.js'
import { severalFiles } from './format.js'
import { stackColumns } from './stack.js'

/** Tables that are split into several files, and how each is read. */
const READERS: Readonly<Record<string, (path: string) => Promise<StoredArray[]>>> = {
  '.parquet': async (path) => (await import('./parquet.js')).parquetArrays(path),
  '.arrow': async (path) => (await import('./arrow.js')).arrowArrays(path),
}

/** HF datasets' names: `train-00000-of-00002.parquet`, `data-00000-of-00001.arrow`. */
const SHARD = /^(.*)-(\d+)-of-(\d+)\.(parquet|arrow)$/

/** What HF datasets leaves beside the data: indices and results of map(). */
const CACHE = /^cache-/

/** The names of a folder's files that are parts of tables. */
export function shardNames(names: readonly string[]): string[] {
  return names.filter((name) => extname(name) in READERS && !CACHE.test(name)).sort(compareNaturally)
}

/**
 * A folder of Parquet or Arrow files as one table, in natural order.
 * @throws UsageError where it holds several data sets, with their names
 * @throws DataError when a part is missing, or they don't agree
 */
export async function openShards(folder: string, names: readonly string[]): Promise<ArrayFile> {
  const extensions = new Set(names.map((name) => extname(name)))
  if (extensions.size > 1)
    throw new UsageError(
      `${folder} holds files of ${[...extensions].join(' and ')}; name one: ${names.map((name) => join(folder, name)).join(' or ')}`,
    )
  const stems = new Set(names.map((name) => SHARD.exec(name)?.[1] ?? ''))
  if (
    stems.size > 1 ||
    (stems.has('') &&
      names.some((name) => /^(train|test|val(id(ation)?)?|dev)\b/.test(name)) &&
      names.length > 1)
  ) {
    const choices = stems.has('') ? names : [...stems]
    throw new UsageError(
      `${folder} holds ${choices.length} data sets; name one: ${choices.map((name) => join(folder, name)).join(' or ')}`,
    )
  }
  checkComplete(folder, names)
  return openParts(folder, folder, names)
}

/**
 * The parts `STEM-00000-of-00002.parquet` of a data set that is named by what they share: `data/train`.
 * @returns undefined where there are none
 */
export async function openStem(path: string): Promise<ArrayFile | undefined> {
  const folder = dirname(path)
  const all = await readdir(folder).catch(() => [])
  const names = shardNames(all).filter((name) => SHARD.exec(name)?.[1] === basename(path))
  if (names.length === 0) return undefined
  checkComplete(folder, names)
  return openParts(path, folder, names)
}

function checkComplete(folder: string, names: readonly string[]): void {
  const parts = names.map((name) => SHARD.exec(name))
  const [first] = parts
  if (first === null || first === undefined) return
  const count = Number(first[3])
  for (let part = 0; part < count; part += 1) {
    if (parts.some((match) => Number(match?.[2]) === part && Number(match?.[3]) === count)) continue
    throw new DataError(
      `${folder}: part ${part} of ${count} is missing (${first[1] ?? ''}-...-of-${first[3] ?? ''})`,
    )
  }
}

async function openParts(path: string, folder: string, names: readonly string[]): Promise<ArrayFile> {
  const files = names.map((name) => ({ name, path: join(folder, name) }))
  const parts: StoredArray[][] = []
  for (const file of files) parts.push(await READERS[extname(file.name)]!(file.path))
  const arrays = concatArrays(path, files, parts)
  return severalFiles(path, files, arrays, { stack: (columns) => stackColumns(path, columns) })
}
