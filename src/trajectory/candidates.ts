import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { CheckpointError, CheckpointFormatError } from '../errors.js'
import { mapLimited } from '../io/concurrency.js'
import { withFile } from '../io/ranged-file.js'
import type { LeftOut } from './checkpoint.js'
import { FOLDER_FORMATS, FORMATS, FORMATS_READ } from './formats/index.js'
import { HEAD_SIZE, type CheckpointFormat, type Opener } from './formats/format.js'
import { CHECKPOINT_EXTENSION, compareNaturally, reasonToLeaveOut, reasonToLeaveOutFolder } from './names.js'

/** Files whose headers are read at a time: enough to keep a disk busy, few enough for any limit on open files. */
export const CONCURRENT_FILES = 16

const NOT_A_CHECKPOINT_FOLDER = 'a folder that is no checkpoint'

/** Folders that trainers make for each checkpoint: `checkpoint-500`, `step_1000`, `global_step12`, `epoch=3`. */
const STEP_FOLDER = /^(?:checkpoint|ckpt|global_?step|step|iter|epoch)s?[-_=]?\d+/i

/** A file or folder that is of a format that is read. */
export interface Candidate {
  readonly path: string
  readonly format: Opener
}

/**
 * The checkpoints of a folder by what they are: files by their first bytes, folders by what they hold. What is none goes
 * to `leftOut` with the reason.
 * @throws CheckpointError for a step's folder without weights beside others that have them, and for an empty file
 * @throws CheckpointFormatError for a file that is named like a checkpoint and is of no format that is read
 */
export async function findCandidates(folder: string, leftOut: LeftOut[]): Promise<Candidate[]> {
  const entries = await readdir(folder)
  entries.sort(compareNaturally)
  const found = await mapLimited(entries, CONCURRENT_FILES, (name) => consider(join(folder, name)))
  const hasFolders = found.some(({ isFolder, format }) => isFolder && format !== undefined)
  const kept: Candidate[] = []
  for (const { path, format, reason } of found.map((one) => (hasFolders ? besideFolders(one) : one))) {
    if (format === undefined) leftOut.push({ path, reason })
    else kept.push({ path, format })
  }
  if (hasFolders) rejectEmptyFolder(leftOut, kept)
  return kept
}

/** What an entry of the folder is, by its name and then by what it holds; the reason matters where there is no format. */
interface Considered {
  readonly path: string
  readonly isFolder: boolean
  readonly format: Opener | undefined
  readonly reason: string
}

async function consider(path: string): Promise<Considered> {
  const stats = await stat(path).catch(() => undefined)
  const isFolder = stats?.isDirectory() ?? false
  const name = basename(path)
  const left = isFolder ? reasonToLeaveOutFolder(name) : reasonToLeaveOut(name)
  if (left !== undefined || stats === undefined || (!isFolder && !stats.isFile()))
    return { path, isFolder, format: undefined, reason: left ?? 'not a file' }
  if (isFolder)
    return { path, isFolder, format: await recogniseFolder(path), reason: NOT_A_CHECKPOINT_FOLDER }
  return { path, isFolder, format: await recognise(path), reason: 'not a checkpoint file' }
}

async function recogniseFolder(path: string): Promise<Opener | undefined> {
  const names = new Set(await readdir(path).catch(() => []))
  return FOLDER_FORMATS.find((candidate) => candidate.matchFolder(names, path))
}

/** Beside a folder for each checkpoint trainers put the final weights once more, in a file that tells no step. */
function besideFolders(one: Considered): Considered {
  if (basename(one.path) !== 'model.safetensors') return one
  return { ...one, format: undefined, reason: 'the final weights, beside a folder for each checkpoint' }
}

/** A step whose folder holds no weights would silently be missing from the trajectory. */
function rejectEmptyFolder(leftOut: readonly LeftOut[], kept: readonly Candidate[]): void {
  const empty = leftOut.find(isStepFolderWithoutWeights)
  if (empty === undefined) return
  throw new CheckpointError(
    `${empty.path}: holds no weights that are read, while ${kept.length} other folders do (such as ` +
      `${basename(kept[0]!.path)}): the save was cut off, or is in another format; move it out of the folder`,
  )
}

/** The file's format by its first bytes; a name that only checkpoints have, with other bytes, is an error. */
export async function recognise(path: string): Promise<CheckpointFormat | undefined> {
  const name = basename(path)
  const { head, size } = await withFile(path, CheckpointError, async (file) => ({
    head: await file.read(0, Math.min(HEAD_SIZE, file.size)),
    size: file.size,
  }))
  const format = FORMATS.find((candidate) => candidate.match(head, name))
  if (format !== undefined || !CHECKPOINT_EXTENSION.test(name)) return format
  if (size === 0)
    throw new CheckpointError(`${path}: empty (0 bytes): the save was cut off; move it out of the folder`)
  throw new CheckpointFormatError(
    `${path}: its first bytes are of no format that is read (${FORMATS_READ}): corrupt, or written by something else`,
  )
}

/** A folder that is named like a checkpoint's, but holds none in a layout that is read. */
export function isStepFolderWithoutWeights({ path, reason }: LeftOut): boolean {
  return reason === NOT_A_CHECKPOINT_FOLDER && STEP_FOLDER.test(basename(path))
}
