import { createHash } from 'node:crypto'
import { readdirSync, type Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { CheckpointError, reasonOf } from '../../errors.js'
import { fingerprintFile } from '../../io/hash.js'
import { npyFile } from '../../io/npy.js'
import { withFile } from '../../io/ranged-file.js'
import { requireFloat, type FolderFormat } from './format.js'
import { describeArray, headIn, readArray, splitCounters, type NumpyTensor } from './numpy-arrays.js'

const NPY = '.npy'

/** Folders within folders: modules nest less deeply. */
const MAX_DEPTH = 16

/** Folders that are looked into before one counts as no checkpoint: the first modules of any network hold arrays. */
const MAX_FOLDERS_LOOKED_INTO = 64

/** As many as an archive may have entries. */
const MAX_FILES = 500_000

/**
 * A folder of .npy files for each checkpoint, one for each tensor; folders in it become `folder/name`. Its own name must
 * hold a number, since folders without one are data as often as checkpoints.
 */
export const npyFolder: FolderFormat = {
  name: 'folders of NumPy arrays',
  alsoHolds: 'data in NumPy arrays, not a checkpoint',
  matchFolder: (names, path) =>
    path === undefined
      ? [...names].some((name) => name.endsWith(NPY))
      : /\d/.test(basename(path)) && holdsArrays(names, path),
  open: async (path) => {
    const files = await listArrays(path, '', 0)
    const all = new Map<string, NumpyTensor>()
    for (const name of files) all.set(name, await describeFile(join(path, `${name}${NPY}`), name))
    const { tensors, counters } = await splitCounters(all)
    const save = {
      path,
      fileName: basename(path),
      bytes: [...all.values()].reduce((sum, { source }) => sum + source.size, 0),
      tensors,
      counters,
      read: async (name: string) => readArray(requireFloat(tensors, name, path)),
      fingerprint: () => fingerprintAll(path, files),
    }
    return { saves: [save] }
  },
}

/** Whether there is an array in the folder or below: the first levels are looked through, nearest first. */
function holdsArrays(names: ReadonlySet<string>, path: string): boolean {
  if ([...names].some((name) => name.endsWith(NPY))) return true
  const folders = [path]
  for (let looked = 0; looked < Math.min(folders.length, MAX_FOLDERS_LOOKED_INTO); looked++) {
    const entries = listEntries(folders[looked]!)
    if (entries.some((entry) => entry.isFile() && entry.name.endsWith(NPY))) return true
    folders.push(...entries.filter((entry) => entry.isDirectory()).map((entry) => entryPath(entry)))
  }
  return false
}

function listEntries(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
}

const entryPath = ({ parentPath, name }: Dirent): string => join(parentPath, name)

/** The arrays' names, sorted: their paths within the folder, without the extension. */
async function listArrays(folder: string, prefix: string, depth: number): Promise<string[]> {
  if (depth > MAX_DEPTH) throw new CheckpointError(`${folder}: more than ${MAX_DEPTH} folders deep`)
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw new CheckpointError(`${folder}: cannot be listed: ${reasonOf(error)}`)
  })
  const found: string[] = []
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.isDirectory())
      found.push(...(await listArrays(entryPath(entry), `${prefix}${entry.name}/`, depth + 1)))
    else if (entry.name.endsWith(NPY)) found.push(`${prefix}${entry.name.slice(0, -NPY.length)}`)
    if (found.length > MAX_FILES) throw new CheckpointError(`${folder}: more than ${MAX_FILES} arrays`)
  }
  return found
}

/** A file's header by range, with the file's size for what it promises. */
async function describeFile(path: string, name: string): Promise<NumpyTensor> {
  const source = await npyFile(path, name, CheckpointError)
  return withFile(path, CheckpointError, (file) => describeArray(source, () => headIn(file, 0, file.size)))
}

async function fingerprintAll(folder: string, names: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const name of names)
    hash.update(`${name}:${await fingerprintFile(join(folder, `${name}${NPY}`), CheckpointError)}\n`)
  return hash.digest('hex')
}
