import { stat } from 'node:fs/promises'
import { basename } from 'node:path'

import { CheckpointError, CheckpointFormatError, UsageError } from '../errors.js'
import { mapLimited } from '../io/concurrency.js'
import { CONCURRENT_FILES, findCandidates, isStepFolderWithoutWeights, recognise } from './candidates.js'
import type { Candidate } from './candidates.js'
import type { Checkpoint, LeftOut, StepUnit, Trajectory } from './checkpoint.js'
import { checkSameTensors } from './consistency.js'
import { FOLDER_FORMATS, FORMATS_READ } from './formats/index.js'
import type { FormatOptions, OpenedFile, Opener, Save, WeightKind } from './formats/format.js'
import { orderByPosition, orderSaves, type Order } from './order.js'
import { inStepRange, type StepRange } from './step-range.js'

/** What a path holds, before it is a trajectory. */
interface Found {
  readonly format: string
  readonly saves: readonly Save[]
  readonly files: readonly OpenedFile[]
  readonly leftOut: readonly LeftOut[]
}

export interface TrajectoryOptions {
  readonly steps?: StepRange
  /** Defaults to raw. */
  readonly weights?: WeightKind
}

/**
 * Opens the recorded checkpoints of a run: a folder of files or of folders, or one file of many saves. All headers are read and
 * checked here; the values only when a tensor is read.
 * @throws UsageError when there is nothing at the path, or `steps` keeps fewer than two checkpoints
 * @throws CheckpointError when a checkpoint is corrupt, does not fit the others, repeats a step, or is the only one
 * @throws CheckpointFormatError when a checkpoint is in a form that is not read
 */
export async function openTrajectory(path: string, options: TrajectoryOptions = {}): Promise<Trajectory> {
  const found = await findSaves(path, { weights: options.weights ?? 'raw' })
  const close = async (): Promise<void> => {
    await Promise.all(found.files.map((file) => file.close()))
  }
  try {
    return { ...assemble(path, found, options.steps), close }
  } catch (error) {
    await close()
    throw error
  }
}

function assemble(path: string, found: Found, steps: StepRange | undefined): Omit<Trajectory, 'close'> {
  requireTwo(path, found)
  const order = found.files.length === 1 ? orderByPosition(found.saves) : orderSaves(found.saves)
  const checkpoints = selectSteps(path, order, steps)
  checkSameTensors(checkpoints, order.stepUnit)
  const { format, leftOut } = found
  return { path, format, stepUnit: order.stepUnit, checkpoints, leftOut, notes: order.notes }
}

function selectSteps(path: string, order: Order, steps: StepRange | undefined): Checkpoint[] {
  const all = order.placed.map(({ save, step }): Checkpoint => ({ ...save, step }))
  if (steps === undefined) return all
  const first = all[0]!.step
  const kept = all.filter(({ step }) => inStepRange(step, steps, first))
  if (kept.length >= 2) return kept
  throw new UsageError(
    `${path}: --steps keeps ${kept.length} of ${all.length} checkpoints, at least two are needed; ` +
      `recorded are ${describeSteps(all, order.stepUnit)}`,
  )
}

function describeSteps(checkpoints: readonly Checkpoint[], unit: StepUnit): string {
  const steps = checkpoints.map(({ step }) => step)
  const shown = steps.length > 6 ? [...steps.slice(0, 3), '...', steps.at(-1)!] : steps
  return `${unit}s ${shown.join(', ')}`
}

async function findSaves(path: string, options: FormatOptions): Promise<Found> {
  const stats = await stat(path).catch(() => undefined)
  if (stats === undefined) throw new UsageError(`${path}: there is no such file or folder`)
  return stats.isDirectory() ? findInFolder(path, options) : findInFile(path, options)
}

async function findInFile(path: string, options: FormatOptions): Promise<Found> {
  const format = await recognise(path)
  if (format === undefined) {
    throw new CheckpointFormatError(`${path}: not a checkpoint in a format that is read: ${FORMATS_READ}`)
  }
  const opened = await format.open(path, options)
  if ('reason' in opened) throw new CheckpointFormatError(`${path}: no checkpoints: ${opened.reason}`)
  return { format: format.name, saves: opened.saves, files: [opened], leftOut: [] }
}

async function findInFolder(folder: string, options: FormatOptions): Promise<Found> {
  const leftOut: LeftOut[] = []
  const candidates = await findCandidates(folder, leftOut)
  const format = oneFormat(folder, candidates)
  const files = await openAll(candidates, leftOut, options)
  const saves = files.flatMap((file) => file.saves)
  if (files.length > 1 && saves.length > files.length) {
    await Promise.all(files.map((file) => file.close()))
    throw new CheckpointError(
      `${folder}: several files of many saves each; name one of them instead of the folder`,
    )
  }
  return { format: format?.name ?? '', saves, files, leftOut }
}

/** The one format of a folder's checkpoints, or undefined where there are none. */
function oneFormat(folder: string, candidates: readonly Candidate[]): Opener | undefined {
  const [first] = candidates
  const other = candidates.find(({ format }) => format !== first?.format)
  if (first !== undefined && other !== undefined) {
    throw new CheckpointError(
      `${folder}: two formats mixed: ${basename(first.path)} is ${first.format.name}, ` +
        `${basename(other.path)} is ${other.format.name}; keep one run, in one format, in the folder`,
    )
  }
  return first?.format
}

async function openAll(
  candidates: readonly Candidate[],
  leftOut: LeftOut[],
  options: FormatOptions,
): Promise<OpenedFile[]> {
  const files: OpenedFile[] = []
  try {
    const opened = await mapLimited(candidates, CONCURRENT_FILES, async ({ path, format }) => {
      const file = await format.open(path, options)
      if ('saves' in file) files.push(file)
      return { path, file }
    })
    for (const { path, file } of opened) if ('reason' in file) leftOut.push({ path, reason: file.reason })
    return opened.flatMap(({ file }) => ('saves' in file ? [file] : []))
  } catch (error) {
    await Promise.all(files.map((file) => file.close()))
    throw error
  }
}

function requireTwo(path: string, { saves, leftOut }: Found): void {
  if (saves.length >= 2) return
  if (saves.length === 0) rejectFolders(path, leftOut)
  const found = saves.map((save) => `: ${save.path}`).join('')
  const rest = leftOut[0] === undefined ? '' : `; left out ${leftOut.length}, such as ${example(leftOut[0])}`
  const what =
    saves.length === 0
      ? 'no checkpoints were found'
      : `a trajectory needs at least two checkpoints, found ${saves.length}${found}`
  throw new CheckpointError(`${path}: ${what}${rest}; formats read: ${FORMATS_READ}`)
}

/** Says so where a folder for each checkpoint is in a layout that is not read, or is itself what was named. */
function rejectFolders(path: string, leftOut: readonly LeftOut[]): void {
  const folder = leftOut.find(isStepFolderWithoutWeights)
  if (folder !== undefined)
    throw new CheckpointFormatError(
      `${path}: a folder for each checkpoint (such as ${basename(folder.path)}) is read where it holds model.safetensors, ` +
        'or its shards with model.safetensors.index.json; other weights: copy them to one flat folder, ' +
        'step-000000.safetensors and so on (docs/recording.md has the lines)',
    )
  const names = new Set(leftOut.map((one) => basename(one.path)))
  if (FOLDER_FORMATS.some((format) => format.matchFolder(names)))
    throw new CheckpointError(`${path}: is one checkpoint; name the folder that holds it and the others`)
}

function example({ path, reason }: LeftOut): string {
  return `${basename(path)} (${reason})`
}
