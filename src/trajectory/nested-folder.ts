import type { Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { CheckpointError } from '../errors.js'
import { listNames } from '../listing.js'
import { CHECKPOINT_EXTENSION, isStepFolder, reasonToLeaveOut, reasonToLeaveOutFolder } from './names.js'

/** `lightning_logs/version_0/checkpoints` is three deep; no trainer goes much further. */
const MAX_DEPTH = 4

/** Folders looked into before the search is given up: a run's folder, not somebody's home. */
const MAX_FOLDERS = 500

/**
 * Says where a run's checkpoints lie when its folder was named instead of theirs (`lightning_logs/version_0/checkpoints`).
 * @throws CheckpointError with the path to name, where some folder below holds several checkpoints
 */
export async function rejectNested(folder: string): Promise<void> {
  const found: string[] = []
  let level = [folder]
  let visited = 0
  for (let depth = 0; depth <= MAX_DEPTH && visited < MAX_FOLDERS; depth++) {
    const next: string[] = []
    for (const path of level.slice(0, MAX_FOLDERS - visited)) {
      visited++
      const entries = await readdir(path, { withFileTypes: true }).catch((): Dirent[] => [])
      if (depth > 0 && entries.filter(isCheckpoint).length > 1) found.push(path)
      else next.push(...entries.filter(isOrdinaryFolder).map(({ name }) => join(path, name)))
    }
    level = next
  }
  if (found.length === 0) return
  const what =
    found.length === 1 ? `those of ${found[0]!} are below it: name that` : 'several below it do: name one of'
  const rest = found.length === 1 ? '' : ` ${listNames(found)}`
  throw new CheckpointError(`${folder}: this folder itself holds no checkpoints; ${what}${rest}`)
}

function isCheckpoint(entry: Dirent): boolean {
  const { name } = entry
  if (entry.isDirectory()) return isStepFolder(name) && reasonToLeaveOutFolder(name) === undefined
  return CHECKPOINT_EXTENSION.test(name) && reasonToLeaveOut(name) === undefined
}

/** Links are not followed, so that no circle is walked. */
function isOrdinaryFolder(entry: Dirent): boolean {
  return entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules'
}
