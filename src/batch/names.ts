import { basename, dirname, resolve } from 'node:path'
import { UsageError } from '../errors.js'

/** Folders whose name says only that they hold a run's checkpoints: the run is what lies around them. */
const CHECKPOINT_FOLDER = /^(?:checkpoints?|ckpts?|weights|saves|snapshots)$/i

/** The folder that a run is: that of its checkpoints, or the one around a folder that is just called `checkpoints`. */
export function runFolder(checkpoints: string): string {
  return CHECKPOINT_FOLDER.test(basename(resolve(checkpoints))) ? dirname(checkpoints) : checkpoints
}

/**
 * What a run is called by where its checkpoints lie: `a/b/checkpoints` is `a-b`. What can't stand in the name of a folder
 * everywhere becomes a dash.
 *
 * @param relative the path from where runs were looked for, '' where that is the run itself
 */
export function nameOf(checkpoints: string, relative: string): string {
  const tells = relative !== '' && !CHECKPOINT_FOLDER.test(relative)
  const name = withoutCheckpoints(tells ? relative.split(/[\\/]/) : lastParts(checkpoints))
    .map(safe)
    .filter(Boolean)
    .join('-')
  if (name !== '') return name
  throw new UsageError(
    `${checkpoints}: no name can be made of that path; name the run in a batch file: runs: [{name: ..., checkpoints: ...}]`,
  )
}

function withoutCheckpoints(parts: readonly string[]): readonly string[] {
  return parts.length > 1 && CHECKPOINT_FOLDER.test(parts.at(-1)!) ? parts.slice(0, -1) : parts
}

/** A path's own name, and before a name that tells nothing the one of the folder around it. */
function lastParts(path: string): string[] {
  const absolute = resolve(path)
  const name = basename(absolute)
  return CHECKPOINT_FOLDER.test(name) ? [basename(dirname(absolute)), name] : [name]
}

function safe(part: string): string {
  return part
    .normalize('NFC')
    .replace(/[^\p{L}\p{N}._-]+/gu, '-')
    .replace(/^[._-]+|[.-]+$/g, '')
}

/** What runs are told apart by: some file systems take `A` and `a` for one name, and readers of Parquet `7` and `007`. */
export function nameKey(name: string): string {
  return name
    .normalize('NFC')
    .toLowerCase()
    .replace(/^0+(?=\d+$)/, '')
}
