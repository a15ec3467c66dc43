import type { StepUnit } from './checkpoint.js'

const EXTENSION = /\.(?:safetensors|pt|pth|ckpt|bin|h5|hdf5|tar|npz|index|msgpack|flax)$/i

/** Extensions that only checkpoints have: a file with one that cannot be read is an error, not a bystander. */
export const CHECKPOINT_EXTENSION = /\.(?:safetensors|pt|pth|ckpt|pth\.tar)$/i

const ALIAS =
  /^(?:(?:model|checkpoint|ckpt|weights)[-_.])?(?:last|best|latest)(?:[-_.](?:model|checkpoint|ckpt|weights))?(?:-v\d+)?$/i
const FAIRSEQ_BEST = /^checkpoint\.best_/i
const COMPANION = /^(?:(?:optimizer|optim|scheduler|scaler|rng_state)(?:[-_]?\d+)?|training_args)$/i
/** The Hugging Face Trainer renames a save's folder when it is whole. */
const UNFINISHED = /^tmp-/i
const SHARD = /-\d{5}-of-\d{5}$/
/** Beside the index of a TensorFlow checkpoint: its data, its graph, and the list of the folder's checkpoints. */
const TENSORFLOW_PART = /\.data-\d{5}-of-\d{5}$|\.ckpt[^/]*\.meta$|^checkpoint$/

/** A file's name without its folder and checkpoint extensions. */
export function stem(fileName: string): string {
  let name = fileName
  while (EXTENSION.test(name)) name = name.replace(EXTENSION, '')
  return name
}

/** Why a file is no checkpoint of its own, as its name tells; undefined where the name tells nothing. */
export function reasonToLeaveOut(fileName: string): string | undefined {
  const name = stem(fileName)
  if (fileName.startsWith('.')) return 'a hidden file'
  if (ALIAS.test(name) || FAIRSEQ_BEST.test(name))
    return 'another name of a checkpoint (last, best or latest)'
  if (COMPANION.test(name)) return 'state of the trainer, not weights'
  if (TENSORFLOW_PART.test(fileName)) return 'a part of a TensorFlow checkpoint, which its .index names'
  if (SHARD.test(name)) return 'a shard: a part of a checkpoint that is split over files'
  return undefined
}

/** Why a folder is no checkpoint of its own, as its name tells; undefined where the name tells nothing. */
export function reasonToLeaveOutFolder(name: string): string | undefined {
  if (name.startsWith('.')) return 'a hidden folder'
  if (UNFINISHED.test(name)) return 'a save that was not finished'
  return ALIAS.test(name) ? 'another name of a checkpoint (last, best or latest)' : undefined
}

/** Numbers of a file name by what they count; `number` is the last one that no word explains. */
export interface NameNumbers {
  readonly step?: number
  readonly iteration?: number
  readonly epoch?: number
  readonly number?: number
}

/** The unit that each kind of number in a name stands for, best first. */
export const NAME_UNITS = [
  ['step', 'step'],
  ['iteration', 'iteration'],
  ['epoch', 'epoch'],
  ['number', 'step'],
] as const satisfies readonly (readonly [keyof NameNumbers, StepUnit])[]

const VERSION = /-v\d+$/i
const NAMED_METRIC = /[-_.]?[a-z][a-z_]*=?-?\d+\.\d+(?:e[-+]?\d+)?/gi
const BARE_METRIC = /[-_=]\d+\.\d+(?:e[-+]?\d+)?/gi

/** Finds the numbers in a checkpoint's file name; versions (`-v1`) and metrics (`-val_loss=0.23`, `-0.23`) are none. */
export function numbersInName(fileName: string): NameNumbers {
  const name = stem(fileName).replace(VERSION, '').replace(NAMED_METRIC, '').replace(BARE_METRIC, '')
  const step = keyed(name, /(?:^|[^a-z])(?:global[-_]?)?steps?[=_-]?(\d+)/i)
  const iteration = keyed(name, /(?:^|[^a-z])iter(?:ation)?s?(?:[-_]?num)?[=_-]?(\d+)/i)
  const epoch = keyed(name, /(?:^|[^a-z])epochs?[=_-]?(\d+)/i)
  const last = safe([...name.matchAll(/\d+/g)].at(-1)?.[0])
  return {
    ...(step === undefined ? {} : { step }),
    ...(iteration === undefined ? {} : { iteration }),
    ...(epoch === undefined ? {} : { epoch }),
    ...(last === undefined ? {} : { number: last }),
  }
}

function keyed(name: string, pattern: RegExp): number | undefined {
  return safe(pattern.exec(name)?.[1])
}

function safe(digits: string | undefined): number | undefined {
  const value = Number(digits ?? NaN)
  return Number.isSafeInteger(value) ? value : undefined
}

/** Compares names as people do: digits by their value, so that `step-2` comes before `step-10`. */
export function compareNaturally(a: string, b: string): number {
  return natural.compare(a, b) || (a < b ? -1 : 1)
}

const natural = new Intl.Collator('en', { numeric: true })
