import type { Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { compareNaturally } from '../listing.js'
import { CHECKPOINT_EXTENSION, isStepFolder, reasonToLeaveOut, reasonToLeaveOutFolder } from './names.js'

/** `lightning_logs/version_0/checkpoints` is three deep; no trainer goes much further. */
const MAX_DEPTH = 4

/** Folders looked into before the search is given up: a run's folder, not somebody's home. */
const MAX_FOLDERS = 500

/**
 * The folders below a run's folder in which its checkpoints lie, such as `lightning_logs/version_0/checkpoints`; where none
 * holds several, those that hold one.
 */
export async function checkpointFoldersBelow(folder: string): Promise<string[]> {
  const found: string[] = []
  const ofOne: string[] = []
  let level = [folder]
  let visited = 0
  for (let depth = 0; depth <= MAX_DEPTH && visited < MAX_FOLDERS; depth++) {
    const next: string[] = []
    for (const path of level.slice(0, MAX_FOLDERS - visited)) {
      visited++
      const entries = await readdir(path, { withFileTypes: true }).catch((): Dirent[] => [])
      const count = depth === 0 ? 0 : countCheckpoints(entries)
      if (count === 1) ofOne.push(path)
      if (count > 1) found.push(path)
      else next.push(...ordinaryFolders(entries).map((name) => join(path, name)))
    }
    level = next
  }
  return (found.length > 0 ? found : ofOne).sort(compareNaturally)
}

/** How many entries of a folder are named like checkpoints, as files or as folders; no file is opened. */
export function countCheckpoints(entries: readonly Dirent[]): number {
  return entries.filter(isCheckpoint).length
}

/** Names of the folders that may hold runs: not hidden ones, and not those of packages. */
export function ordinaryFolders(entries: readonly Dirent[]): string[] {
  return entries.filter(isOrdinaryFolder).map(({ name }) => name)
}

/** Extensions that only checkpoints have, and those that they have among others where the name tells a step. */
function isCheckpoint(entry: Dirent): boolean {
  const { name } = entry
  if (entry.isDirectory()) return isStepFolder(name) && reasonToLeaveOutFolder(name) === undefined
  if (reasonToLeaveOut(name) !== undefined) return false
  return CHECKPOINT_EXTENSION.test(name) || (isStepFolder(name) && STEP_FILE.test(name))
}

/** TensorFlow's `ckpt-1.index`, Flax' `checkpoint_100` and `checkpoint_100.msgpack`, Keras' `epoch_3.h5`. */
const STEP_FILE = /(?:^[^.]*|\.(?:index|msgpack|flax|h5|hdf5|bin|npz|onnx))$/i

/** Links are not followed, so that no circle is walked. */
function isOrdinaryFolder(entry: Dirent): boolean {
  return entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules'
}
