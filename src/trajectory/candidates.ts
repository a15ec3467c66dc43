import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { CheckpointError, reasonOf, RetrogradError } from '../errors.js'
import { mapLimited } from '../io/concurrency.js'
import { compareNaturally } from '../listing.js'
import type { LeftOut } from './checkpoint.js'
import type { OnFault } from './fault.js'
import { FOLDER_FORMATS } from './formats/index.js'
import { oncePerFormat, type Opener, type WeightKind } from './formats/format.js'
import { refusedLayout, refusedLayoutBelow } from './formats/refused-folders.js'
import {
  CHECKPOINT_EXTENSION,
  isAverage,
  isStepFolder,
  numbersInName,
  OTHER_KIND,
  reasonToLeaveOut,
  reasonToLeaveOutFolder,
} from './names.js'
import { recognise } from './recognise.js'
import { stepFolder } from './step-folder.js'

/** Files whose headers are read at a time: enough to keep a disk busy, few enough for any limit on open files. */
export const CONCURRENT_FILES = 16

const NOT_A_CHECKPOINT_FOLDER = 'a folder that is no checkpoint'

/** A file or folder that is of a format that is read. */
export interface Candidate {
  readonly path: string
  readonly format: Opener
}

/**
 * The checkpoints of a folder by what they are: files by their first bytes, folders by what they hold. What is none goes
 * to `leftOut` with the reason.
 * @param weights which files are meant where an average of the weights lies in files of its own
 * @throws CheckpointError for a step's folder without weights beside others that have them, for an empty file, and for a
 *   link that leads nowhere
 * @throws CheckpointFormatError for a file that is named like a checkpoint and is of no format that is read, and for a
 *   folder that is itself a checkpoint of a layout that is not read
 */
export async function findCandidates(
  folder: string,
  leftOut: LeftOut[],
  { weights, onFault }: { readonly weights: WeightKind; readonly onFault: OnFault },
): Promise<Candidate[]> {
  const entries = await readdir(folder).catch((error: unknown) => {
    throw new CheckpointError(`${folder}: cannot be opened: ${reasonOf(error)}`)
  })
  await refusedLayout(new Set(entries))?.open(folder)
  entries.sort(compareNaturally)
  const all = await mapLimited(entries, CONCURRENT_FILES, (name) =>
    considerOrReport(join(folder, name), weights, onFault),
  )
  const found = ofKind(all, weights)
  const hasFolders = found.some(({ isFolder, format }) => isFolder && format !== undefined)
  const kept: Candidate[] = []
  for (const { path, format, reason } of found.map((one) => (hasFolders ? besideFolders(one) : one))) {
    if (format === undefined) leftOut.push({ path, reason })
    else kept.push({ path, format })
  }
  if (hasFolders) reportEmptyFolder(leftOut, kept, onFault)
  return kept
}

/** What an entry of the folder is, by its name and then by what it holds; the reason matters where there is no format. */
interface Considered {
  readonly path: string
  readonly isFolder: boolean
  readonly format: Opener | undefined
  readonly reason: string
}

async function considerOrReport(path: string, weights: WeightKind, onFault: OnFault): Promise<Considered> {
  try {
    return await consider(path, weights)
  } catch (error) {
    if (!(error instanceof RetrogradError)) throw error
    onFault('unreadable', error, path)
    return { path, isFolder: false, format: undefined, reason: 'cannot be read' }
  }
}

/**
 * Entries that are symbolic links are followed, wherever they lead: whoever made the folder put them there, and the
 * Hugging Face Hub's cache holds nothing else. Names that come from inside a file (the shards of an index) are a
 * different matter: they must be plain names of entries of the same folder, so that a file can't lead out of it.
 */
async function consider(path: string, weights: WeightKind): Promise<Considered> {
  const stats = await stat(path).catch(() => undefined)
  const isFolder = stats?.isDirectory() ?? false
  const name = basename(path)
  const left = isFolder ? reasonToLeaveOutFolder(name) : reasonToLeaveOut(name)
  if (left === undefined && stats === undefined && CHECKPOINT_EXTENSION.test(name))
    throw new CheckpointError(
      `${path}: a link whose checkpoint is not there; bring it back, or remove the link to go without this step`,
    )
  if (left !== undefined || stats === undefined || (!isFolder && !stats.isFile()))
    return { path, isFolder, format: undefined, reason: left ?? 'not a file' }
  if (isFolder)
    return { path, isFolder, format: await recogniseFolder(path, weights), reason: NOT_A_CHECKPOINT_FOLDER }
  return { path, isFolder, format: await recognise(path), reason: 'not a checkpoint file' }
}

async function recogniseFolder(path: string, weights: WeightKind): Promise<Opener | undefined> {
  const names = new Set(await readdir(path).catch(() => []))
  return (
    FOLDER_FORMATS.find((candidate) => candidate.matchFolder(names, path)) ??
    refusedLayout(names) ??
    (await stepFolder(path, weights)) ??
    (await refusedLayoutBelow(path))
  )
}

/** Opens files of averages: within them the average is what is plainly there. */
const openerOfAverages = oncePerFormat((format: Opener) => ({
  ...format,
  open: (path) => format.open(path, { weights: 'raw' }),
}))

/** Where averages lie in files of their own, only those or only the others are the run's checkpoints. */
function ofKind(found: readonly Considered[], weights: WeightKind): readonly Considered[] {
  const isOfAverages = ({ path, format }: Considered): boolean =>
    format !== undefined && isAverage(basename(path))
  if (!found.some(isOfAverages)) return found
  return found.map((one) => {
    if (one.format === undefined) return one
    if (isOfAverages(one) !== (weights === 'ema'))
      return { ...one, format: undefined, reason: OTHER_KIND[weights] }
    return weights === 'ema' ? { ...one, format: openerOfAverages(one.format) } : one
  })
}

/** Beside a folder for each checkpoint trainers put the final weights once more, in a file that tells no step. */
function besideFolders(one: Considered): Considered {
  const tellsNone = Object.keys(numbersInName(basename(one.path))).length === 0
  if (one.isFolder || one.format === undefined || !tellsNone) return one
  return { ...one, format: undefined, reason: 'the final weights, beside a folder for each checkpoint' }
}

/** A step whose folder holds no weights would silently be missing from the trajectory. */
function reportEmptyFolder(leftOut: readonly LeftOut[], kept: readonly Candidate[], onFault: OnFault): void {
  const empty = leftOut.find(isStepFolderWithoutWeights)
  if (empty === undefined) return
  const error = new CheckpointError(
    `${empty.path}: holds no weights that are read, while ${kept.length} other folders do (such as ` +
      `${basename(kept[0]!.path)}): the save was cut off, or is in another format; move it out of the folder`,
  )
  onFault('unreadable', error, empty.path)
}

/** A folder that is named like a checkpoint's, but holds none in a layout that is read. */
export function isStepFolderWithoutWeights({ path, reason }: LeftOut): boolean {
  return reason === NOT_A_CHECKPOINT_FOLDER && isStepFolder(basename(path))
}
