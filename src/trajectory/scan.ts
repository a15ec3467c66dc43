import { stat } from 'node:fs/promises'
import { basename } from 'node:path'

import { CheckpointError, CheckpointFormatError, RetrogradError, UsageError } from '../errors.js'
import { mapLimited } from '../io/concurrency.js'
import { CONCURRENT_FILES, findCandidates, isStepFolderWithoutWeights } from './candidates.js'
import type { Candidate } from './candidates.js'
import type { Checkpoint, LeftOut, Trajectory } from './checkpoint.js'
import type { OnFault } from './fault.js'
import { compareNaturally, listNames } from '../listing.js'
import { checkpointFoldersBelow } from './nested-folder.js'
import { differenceBetween } from './consistency.js'
import { withoutCopies } from './copies.js'
import { FOLDER_FORMATS, FORMATS_READ } from './formats/index.js'
import type { FormatOptions, OpenedFile, Opener, Save, WeightKind } from './formats/format.js'
import { orderByName, orderByPosition, orderSaves, type Order } from './order.js'
import { recognise } from './recognise.js'
import { selectSteps } from './select-steps.js'
import type { StepRange } from './step-range.js'

export interface ScanOptions {
  /** Defaults to raw. */
  readonly weights?: WeightKind
  readonly steps?: StepRange
}

/** What a path holds, before it is a trajectory. */
interface Found {
  readonly format: string
  readonly saves: readonly Save[]
  readonly files: readonly OpenedFile[]
  readonly leftOut: readonly LeftOut[]
  readonly notes: readonly string[]
}

/**
 * Finds, opens and orders the checkpoints at a path; headers only. Whatever is wrong goes to `onFault`; where that
 * returns, the scan goes on without the file at fault, or with the order of the names.
 * @throws UsageError when there is nothing at the path, or `steps` keeps fewer than two checkpoints
 * @throws CheckpointError when fewer than two checkpoints are left
 * @throws CheckpointFormatError when what is there is in a form that is not read
 */
export async function scan(path: string, options: ScanOptions, onFault: OnFault): Promise<Trajectory> {
  const faults: { readonly error: RetrogradError; readonly at: string }[] = []
  const noted: OnFault = (kind, error, at) => {
    faults.push({ error, at })
    onFault(kind, error, at)
  }
  const found = await findSaves(path, { weights: options.weights ?? 'raw' }, noted)
  // files are opened side by side: which fault comes first must not depend on timing
  const [first] = faults.sort((a, b) => compareNaturally(a.at, b.at))
  if (found.saves.length < 2 && first !== undefined) throw first.error
  return assemble(path, found, options.steps, noted)
}

/** Of a save only what is needed once it has its place: there may be tens of thousands. */
function checkpointOf({ path, bytes, network, tensors, read, fingerprint }: Save, step: number): Checkpoint {
  return { path, step, bytes, ...(network !== undefined && { network }), tensors, read, fingerprint }
}

function assemble(path: string, found: Found, steps: StepRange | undefined, onFault: OnFault): Trajectory {
  requireTwo(path, found)
  const order = orderOf(path, found, onFault)
  const all = order.placed.map(({ save, step }) => checkpointOf(save, step))
  const checkpoints = selectSteps(path, all, order.stepUnit, steps)
  const [first, ...others] = checkpoints
  for (const other of others) {
    const difference = differenceBetween(first!, other, order.stepUnit)
    if (difference !== undefined) onFault('shapes', new CheckpointError(difference), other.path)
  }
  const { format, leftOut } = found
  const kept = new Set(checkpoints)
  return {
    path,
    format,
    stepUnit: order.stepUnit,
    checkpoints,
    others: all.filter((one) => !kept.has(one)),
    leftOut,
    notes: [...found.notes, ...order.notes],
  }
}

function orderOf(path: string, { saves, files }: Found, onFault: OnFault): Order {
  if (files.length === 1) return orderByPosition(saves)
  try {
    return orderSaves(saves)
  } catch (error) {
    if (!(error instanceof RetrogradError)) throw error
    onFault('order', error, path)
    return orderByName(saves)
  }
}

async function findSaves(path: string, options: FormatOptions, onFault: OnFault): Promise<Found> {
  const stats = await stat(path).catch(() => undefined)
  if (stats === undefined) throw new UsageError(`${path}: there is no such file or folder`)
  return stats.isDirectory() ? findInFolder(path, options, onFault) : findInFile(path, options)
}

async function findInFile(path: string, options: FormatOptions): Promise<Found> {
  const format = await recognise(path)
  if (format === undefined) {
    throw new CheckpointFormatError(`${path}: not a checkpoint in a format that is read: ${FORMATS_READ}`)
  }
  const opened = await format.open(path, options)
  if ('reason' in opened) throw new CheckpointFormatError(`${path}: no checkpoints: ${opened.reason}`)
  return { format: format.name, saves: opened.saves, files: [opened], leftOut: [], notes: [] }
}

/** The checkpoints of a folder, or of the one folder below it that holds any: training leaves folders in folders. */
async function findInFolder(folder: string, options: FormatOptions, onFault: OnFault): Promise<Found> {
  const leftOut: LeftOut[] = []
  const found = await findCandidates(folder, leftOut, { weights: options.weights, onFault })
  const candidates = ofOneFormat(folder, withoutBystanders(found, leftOut), onFault)
  const own = await openFolder(folder, candidates, leftOut, options, onFault)
  const isSeries = own.saves.length >= 2 && candidates.some(({ format }) => format.alsoHolds === undefined)
  const [below, ...others] = isSeries ? [] : await checkpointFoldersBelow(folder)
  if (below === undefined) return own
  if (others.length > 0)
    throw new CheckpointError(
      `${folder}: several folders below it hold checkpoints; name one of ${listNames([below, ...others])}`,
    )
  const inside = await findInFolder(below, options, onFault)
  return { ...inside, notes: [`checkpoints: those in ${below}`, ...inside.notes] }
}

async function openFolder(
  folder: string,
  candidates: readonly Candidate[],
  leftOut: LeftOut[],
  options: FormatOptions,
  onFault: OnFault,
): Promise<Found> {
  const files = await openAll(candidates, leftOut, options, onFault)
  const saves = await withoutCopies(
    files.flatMap((file) => file.saves),
    leftOut,
  )
  if (files.length > 1 && saves.length > files.length)
    throw new CheckpointError(
      `${folder}: several files of many saves each; name one of them instead of the folder`,
    )
  return { format: candidates[0]?.format.name ?? '', saves, files, leftOut, notes: [] }
}

/** Beside checkpoints lie the network and the data at times, in formats that hold checkpoints elsewhere. */
function withoutBystanders(candidates: readonly Candidate[], leftOut: LeftOut[]): readonly Candidate[] {
  const main = mostFrequent(candidates.map(({ format }) => format))
  return candidates.filter(({ path, format }) => {
    if (format === main || format.alsoHolds === undefined) return true
    leftOut.push({ path, reason: format.alsoHolds })
    return false
  })
}

/** The format of most files; of two equally frequent ones, the one that holds nothing but checkpoints. */
function mostFrequent(formats: readonly Opener[]): Opener | undefined {
  const counts = new Map<Opener, number>()
  for (const format of formats) counts.set(format, (counts.get(format) ?? 0) + 1)
  const rank = ([format, count]: [Opener, number]): number =>
    count + (format.alsoHolds === undefined ? 0.5 : 0)
  return [...counts].sort((a, b) => rank(b) - rank(a))[0]?.[0]
}

/** A run's checkpoints are of one format: the first one's, where a fault was let pass. */
function ofOneFormat(
  folder: string,
  candidates: readonly Candidate[],
  onFault: OnFault,
): readonly Candidate[] {
  const [first] = candidates
  const other = candidates.find(({ format }) => format !== first?.format)
  if (first === undefined || other === undefined) return candidates
  const error = new CheckpointError(
    `${folder}: two formats mixed: ${basename(first.path)} is ${first.format.name}, ` +
      `${basename(other.path)} is ${other.format.name}; keep one run, in one format, in the folder`,
  )
  onFault('mixed-formats', error, other.path)
  return candidates.filter(({ format }) => format === first.format)
}

async function openAll(
  candidates: readonly Candidate[],
  leftOut: LeftOut[],
  options: FormatOptions,
  onFault: OnFault,
): Promise<OpenedFile[]> {
  const opened = await mapLimited(candidates, CONCURRENT_FILES, async ({ path, format }) => ({
    path,
    file: await openOne(path, format, options, onFault),
  }))
  for (const { path, file } of opened)
    if (file !== undefined && 'reason' in file) leftOut.push({ path, reason: file.reason })
  return opened.flatMap(({ file }) => (file !== undefined && 'saves' in file ? [file] : []))
}

async function openOne(
  path: string,
  format: Opener,
  options: FormatOptions,
  onFault: OnFault,
): Promise<Awaited<ReturnType<Opener['open']>> | undefined> {
  try {
    return await format.open(path, options)
  } catch (error) {
    if (!(error instanceof RetrogradError)) throw error
    onFault('unreadable', error, path)
    return undefined
  }
}

function requireTwo(path: string, { saves, leftOut }: Found): void {
  if (saves.length >= 2) return
  const rest = leftOut[0] === undefined ? '' : `; left out ${leftOut.length}, such as ${example(leftOut[0])}`
  rejectOneCheckpoint(path, saves, leftOut)
  const [only] = saves
  if (only !== undefined)
    throw new CheckpointError(
      `${path}: a trajectory needs at least two checkpoints, found 1: ${only.path}${rest}`,
    )
  rejectFolders(path, leftOut)
  throw new CheckpointError(`${path}: no checkpoints were found${rest}; formats read: ${FORMATS_READ}`)
}

/** Says so where what was named is itself one checkpoint, as a file or as a folder of files. */
function rejectOneCheckpoint(path: string, saves: readonly Save[], leftOut: readonly LeftOut[]): void {
  const names = new Set([...saves, ...leftOut].map((one) => basename(one.path)))
  const isFile = saves[0]?.path === path
  if (isFile || FOLDER_FORMATS.some((format) => format.matchFolder(names)))
    throw new CheckpointError(`${path}: is one checkpoint; name the folder that holds it and the others`)
}

/** Says so where a folder for each checkpoint is in a layout that is not read. */
function rejectFolders(path: string, leftOut: readonly LeftOut[]): void {
  const folder = leftOut.find(isStepFolderWithoutWeights)
  if (folder === undefined) return
  throw new CheckpointFormatError(
    `${path}: a folder for each checkpoint (such as ${basename(folder.path)}) is read where it holds model.safetensors or ` +
      'pytorch_model.bin, their shards with an index, or one file in a format that is read; other weights: copy them to one flat folder, ' +
      'step-000000.safetensors and so on (docs/recording.md has the lines)',
  )
}

function example({ path, reason }: LeftOut): string {
  return `${basename(path)} (${reason})`
}
