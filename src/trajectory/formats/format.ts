import { CheckpointError, CheckpointFormatError } from '../../errors.js'
import type { FloatDType } from '../../io/decode.js'
import { isFloat } from '../../tensor.js'
import type { Checkpoint, StepUnit, TensorInfo } from '../checkpoint.js'

/**
 * Names under which trainers keep their progress inside a checkpoint, best first, and what each counts. Updates of the
 * weights come before passes through the data, and names that say so before those that may count within an epoch. A dot
 * leads into a dictionary of the checkpoint.
 */
export const COUNTERS = [
  ['global_step', 'step'], // Lightning, Hugging Face, many
  ['global_steps', 'step'], // DeepSpeed
  ['num_updates', 'step'],
  ['optimizer_history.num_updates', 'step'], // fairseq: its last entry
  ['state.timestamp.batch', 'step'], // Composer
  ['step', 'step'],
  ['steps', 'step'],
  ['iteration', 'iteration'], // detectron2, Megatron
  ['iter_num', 'iteration'], // nanoGPT
  ['meta.iter', 'iteration'], // MMEngine
  ['iter', 'iteration'],
  ['it', 'iteration'],
  ['epoch', 'epoch'],
  ['meta.epoch', 'epoch'],
  ['current_epoch', 'epoch'],
  ['epochs_completed', 'epoch'],
  ['state.timestamp.epoch', 'epoch'],
  ['extra_state.train_iterator.epoch', 'epoch'], // fairseq, which counts the next one at an epoch's end
] as const satisfies readonly (readonly [string, StepUnit])[]

export type Counter = (typeof COUNTERS)[number][0]
export type Counters = ReadonlyMap<Counter, number>

/** A checkpoint before it has its place in the trajectory. */
export interface Save extends Omit<Checkpoint, 'step'> {
  /** The file's (or folder's) name, which may hold a step. */
  readonly fileName: string
  /** What a number in the name counts that no word explains, where the format's writers agree on it; else a step. */
  readonly nameUnit?: StepUnit
  readonly counters: Counters
}

/** An opened file (or folder) of checkpoints: one save in most formats, many in some. */
export interface OpenedFile {
  readonly saves: readonly Save[]
}

/** A file that is sound in its format, but holds no weights. */
export interface NotACheckpoint {
  readonly reason: string
}

/** A file of one save. */
export function oneSave(save: Save | NotACheckpoint): OpenedFile | NotACheckpoint {
  return 'reason' in save ? save : { saves: [save] }
}

/**
 * Which weights of a checkpoint that holds two kinds: `raw`, which the optimizer moved, or `ema`, their running average
 * (exponential moving average, stochastic weight averaging).
 */
export const WEIGHT_KINDS = ['raw', 'ema'] as const
export type WeightKind = (typeof WEIGHT_KINDS)[number]

export interface FormatOptions {
  readonly weights: WeightKind
}

/** What opens a checkpoint once it is known to be of its format. */
export interface Opener {
  readonly name: string
  /**
   * What a file of this format is where it lies among checkpoints of another format, if it may be something else (the
   * network, data): the reason for which it is then left out.
   */
  readonly alsoHolds?: string
  /**
   * Reads and checks the headers of the file, or of the files of the folder.
   * @throws CheckpointError when one is corrupt or truncated
   * @throws CheckpointFormatError when it is a form that is not read
   */
  open(path: string, options?: FormatOptions): Promise<OpenedFile | NotACheckpoint>
}

/** Makes an opener out of another, once for each: formats that are the same object are the same format. */
export function oncePerFormat<F extends Opener>(make: (format: F) => Opener): (format: F) => Opener {
  const made = new Map<F, Opener>()
  return (format) => {
    const opener = made.get(format) ?? make(format)
    made.set(format, opener)
    return opener
  }
}

export interface CheckpointFormat extends Opener {
  /** Whether a file is of this format, by its first bytes (up to HEAD_SIZE) and its name. */
  match(head: Uint8Array, fileName: string): boolean
}

/** A layout with a folder for each checkpoint. */
export interface FolderFormat extends Opener {
  /**
   * Whether a folder is of this layout, by the names of what it holds.
   * @param path the folder, where its own name matters or what lies deeper; absent, the names alone decide
   */
  matchFolder(names: ReadonlySet<string>, path?: string): boolean
}

/** A tensor's description without what only its format's reader needs to know. */
export function infoOf({ name, shape, dtype, unsupported }: TensorInfo): TensorInfo {
  return { name, shape, dtype, ...(unsupported === undefined ? {} : { unsupported }) }
}

/** What a checkpoint holds under a tensor's name. Throws CheckpointError where there is no such tensor. */
export function requireTensor<T>(tensors: ReadonlyMap<string, T>, name: string, path: string): T {
  const tensor = tensors.get(name)
  if (tensor === undefined) throw new CheckpointError(`${path}: there is no tensor ${name}`)
  return tensor
}

/** The first bytes of a file that `match` gets to see: enough for a zip archive's first entry name. */
export const HEAD_SIZE = 512

/** A tensor's description and the float type that it is read as. */
export interface FloatTensorInfo extends TensorInfo {
  readonly dtype: FloatDType
}

/**
 * Looks up a tensor that is to be read as floats.
 * @throws CheckpointError when there is no such tensor, or it holds no floats
 * @throws CheckpointFormatError when its type is not read
 */
export function requireFloat<T extends TensorInfo>(
  tensors: ReadonlyMap<string, T>,
  name: string,
  path: string,
): T & FloatTensorInfo {
  const tensor = requireTensor(tensors, name, path)
  if (tensor.unsupported !== undefined) {
    throw new CheckpointFormatError(
      `${path}: tensor ${name} has element type ${tensor.unsupported}, which is not read; ` +
        'save it as float32, float16 or bfloat16',
    )
  }
  if (!isFloatTensor(tensor)) {
    throw new CheckpointError(`${path}: tensor ${name} holds ${tensor.dtype}, not floats`)
  }
  return tensor
}

function isFloatTensor<T extends TensorInfo>(tensor: T): tensor is T & FloatTensorInfo {
  return isFloat(tensor.dtype)
}

/** The counters among a checkpoint's entries; a counter is a whole number, not negative, or its text. */
export function countersOf(entry: (name: Counter) => unknown): Counters {
  const counters = new Map<Counter, number>()
  for (const [name] of COUNTERS) {
    const value = entry(name)
    const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
    if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) counters.set(name, number)
  }
  return counters
}
