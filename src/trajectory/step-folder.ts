import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { CheckpointError, RetrogradError } from '../errors.js'
import { compareNaturally, listNames } from '../listing.js'
import {
  oncePerFormat,
  type CheckpointFormat,
  type FormatOptions,
  type Opener,
  type WeightKind,
} from './formats/format.js'
import { refusedLayout } from './formats/refused-folders.js'
import { readTrainerState, TRAINER_STATE } from './formats/trainer-state.js'
import { isAverage, mayBeStepFolder, reasonToLeaveOut } from './names.js'
import { recognise } from './recognise.js'

/** How far below a step's folder its file may lie: `checkpoint-500/global_step500/mp_rank_00_model_states.pt`. */
const MAX_DEPTH = 1

/** A file of a step's folder that may be its checkpoint. */
interface Member {
  readonly path: string
  readonly format: CheckpointFormat
}

/**
 * The opener of a step's folder that holds exactly one file in a format that is read, the trainer's states not counted:
 * `step1000/pytorch_model.bin`, `step1000-unsharded/model.pt`. It opens as that file, with the folder's name for its step.
 * Undefined where it holds none; the files of a folder that only holds another (`checkpoint-500/global_step500`) count as
 * its own. A file that is a symbolic link is followed: the user put it there (the Hugging Face
 * Hub's cache is made of them).
 * @throws CheckpointError that names the files when there are several, or one is empty
 */
export async function stepFolder(path: string, weights: WeightKind): Promise<Opener | undefined> {
  if (!mayBeStepFolder(basename(path))) return undefined
  const [only, ...others] = await membersOf(path, weights)
  if (only === undefined) return undefined
  if (others.length === 0) return openerOf(only.format)
  const names = [only, ...others].map((member) => member.path.slice(path.length + 1))
  throw new CheckpointError(
    `${path}: holds ${names.length} files that may be the checkpoint: ${listNames(names)}; move out the others, or join them in one file`,
  )
}

const openerOf = oncePerFormat((format: CheckpointFormat) => ({
  name: `folders of ${format.name}`,
  ...(format.alsoHolds === undefined ? {} : { alsoHolds: format.alsoHolds }),
  open: (path, options) => openMember(path, options ?? { weights: 'raw' }),
}))

async function openMember(folder: string, options: FormatOptions): ReturnType<Opener['open']> {
  const [member] = await membersOf(folder, options.weights)
  if (member === undefined) throw new CheckpointError(`${folder}: its checkpoint has gone`)
  const chosen: FormatOptions = isAverage(basename(member.path)) ? { weights: 'raw' } : options
  const opened = await member.format.open(member.path, chosen)
  if ('reason' in opened) return opened
  if (opened.saves.length !== 1)
    throw new CheckpointError(`${member.path}: holds ${opened.saves.length} saves; name this file instead`)
  const counters = await readTrainerState(join(folder, TRAINER_STATE))
  const save = opened.saves[0]!
  return { saves: [{ ...save, fileName: basename(folder), counters: counters ?? save.counters }] }
}

/** The files of a folder that may be its checkpoint; of a folder without any, those of its one folder below. */
async function membersOf(folder: string, weights: WeightKind, depth = 0): Promise<readonly Member[]> {
  const names = (await readdir(folder).catch(() => [])).sort(compareNaturally)
  if (depth > 0 && refusedLayout(new Set(names)) !== undefined) return []
  const members: Member[] = []
  const below: string[] = []
  for (const name of names) {
    const path = join(folder, name)
    const stats = await stat(path).catch(() => undefined)
    if (stats?.isDirectory() === true) below.push(path)
    if (stats?.isFile() !== true || reasonToLeaveOut(name) !== undefined) continue
    const format = await recognise(path)
    if (format !== undefined) members.push({ path, format })
  }
  const kept = ofKind(members, weights)
  if (kept.length > 0) return kept.length === 1 ? kept : withWeights(kept)
  const [step, ...others] = below.filter((path) => mayBeStepFolder(basename(path)))
  if (step === undefined || others.length > 0 || depth === MAX_DEPTH) return []
  return membersOf(step, weights, depth + 1)
}

/** The network or data beside a checkpoint, and files of the other kind of weights, are not what is looked for. */
function ofKind(members: readonly Member[], weights: WeightKind): Member[] {
  const certain = members.filter(({ format }) => format.alsoHolds === undefined)
  const kept = certain.length > 0 ? certain : members
  const averages = kept.filter(({ path }) => isAverage(basename(path)))
  if (averages.length === 0 || averages.length === kept.length) return [...kept]
  return weights === 'ema' ? averages : kept.filter((member) => !averages.includes(member))
}

/** Of several files those that hold weights: trainers also save counters and metrics beside them. */
async function withWeights(members: readonly Member[]): Promise<readonly Member[]> {
  const kept: Member[] = []
  for (const member of members) if (await holdsWeights(member)) kept.push(member)
  return kept.length === 0 ? members : kept
}

/** What can't be opened counts, so that it is not passed over. */
async function holdsWeights({ path, format }: Member): Promise<boolean> {
  try {
    return 'saves' in (await format.open(path))
  } catch (error) {
    if (!(error instanceof RetrogradError)) throw error
    return true
  }
}
