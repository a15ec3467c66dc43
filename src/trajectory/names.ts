import type { StepUnit } from './checkpoint.js'
import type { WeightKind } from './formats/format.js'

const EXTENSION =
  /\.(?:safetensors|pt|pth|ckpt|bin|h5|hdf5|tar|keras|weights\.h5|weights\.json|npz|index|msgpack|flax)$/i

/** Extensions that only checkpoints have: a file with one that cannot be read is an error, not a bystander. */
export const CHECKPOINT_EXTENSION = /\.(?:safetensors|pt|pth|ckpt|pth\.tar|keras|weights\.h5)$/i

/** `last`, `model_best`, `best_model`, `latest-rank0` (Composer), `last-v1` (Lightning), `last_checkpoint` (MMEngine). */
const ALIAS =
  /^(?:.*[-_.])?(?:last|best|latest)(?:[-_.](?:model|checkpoint|ckpt|weights|net))?(?:[-_]rank\d+)?(?:-v\d+)?$/i
/** fairseq's `checkpoint.best_loss_3.456`, MMEngine's `best_coco_bbox_mAP_epoch_12`. */
const BEST_OF = /^(?:checkpoint\.best_|best_.+_(?:epoch|iter)_\d+$)/i
/** timm saves these in the middle of an epoch, to go on from after a crash. */
const RECOVERY = /^recovery(?:-\d+){1,2}$/i
const STATE =
  'optimizer|optim|scheduler|lr_scheduler|scaler|grad_scaler|rng_state|random_states?|sampler|dl_state_dict|train(?:er|ing)?_state'
/** `optimizer`, `optim_1000`, `step_10_optimizer`; guided-diffusion's `opt010000`, DeepSpeed's states. */
const COMPANION = new RegExp(
  `^(?:${STATE})(?:[-_.]?\\d.*|[-_.].*)?$|[-_.](?:${STATE}|optim_states)$|^(?:opt\\d+|opt|training_args|custom_checkpoint_\\d+)$`,
  'i',
)
/** OLMo's state of the trainer; `train.npz` is data. */
const OLMO_STATE = /^train\.pt$/i
/** Keras' BackupAndRestore keeps the save before the last one under this extension. */
const BACKUP = /\.bkp$/i
/** guided-diffusion's `ema_0.9999_010000`, NeMo's `-EMA`, timm's and others' `model_ema`. */
const AVERAGE = /(?:^|[-_.])(?:ema|swa)(?:[-_.]|$)/i
/** Trainers and downloads write under another name, and rename a save when it is whole. */
const UNFINISHED = /^tmp-|\.orbax-checkpoint-tmp|\.(?:tmp|temp|part|partial|incomplete|crdownload)$|~$/i
const SHARD = /-\d{5}-of-\d{5}$|-shard\d+$/

/** Beside the index of a TensorFlow checkpoint: its data, its graph, and the list of the folder's checkpoints. */
const TENSORFLOW_PART = /\.data-\d{5}-of-\d{5}$|\.ckpt[^/]*\.meta$|^checkpoint$/

const ALIAS_REASON = 'another name of a checkpoint (last, best or latest)'

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
  if (UNFINISHED.test(fileName)) return 'a save that was not finished'
  if (BACKUP.test(fileName)) return 'a backup copy'
  if (ALIAS.test(name) || BEST_OF.test(name)) return ALIAS_REASON
  if (RECOVERY.test(name)) return 'a save to recover from, within an epoch'
  if (COMPANION.test(name) || OLMO_STATE.test(fileName)) return 'state of the trainer, not weights'
  if (TENSORFLOW_PART.test(fileName)) return 'a part of a TensorFlow checkpoint, which its .index names'
  if (SHARD.test(name)) return 'a shard: a part of a checkpoint that is split over files'
  return undefined
}

/** Why a folder is no checkpoint of its own, as its name tells; undefined where the name tells nothing. */
export function reasonToLeaveOutFolder(name: string): string | undefined {
  if (name.startsWith('.')) return 'a hidden folder'
  if (UNFINISHED.test(name)) return 'a save that was not finished'
  return ALIAS.test(name) || BEST_OF.test(name) ? ALIAS_REASON : undefined
}

/** Whether a file's name says that it holds an average of the weights and nothing else. */
export function isAverage(fileName: string): boolean {
  return AVERAGE.test(stem(fileName))
}

/** Why a file is left out that holds the other kind of weights than what is asked for. */
export const OTHER_KIND: Readonly<Record<WeightKind, string>> = {
  raw: 'an average of the weights (EMA), which --weights ema takes',
  ema: 'weights as the optimizer left them, beside files of their average (EMA)',
}

/** Folders that trainers make for each checkpoint: `checkpoint-500`, `step_1000`, `global_step12`, `epoch=3`. */
const STEP_FOLDER = /^(?:checkpoint|ckpt|global_?step|step|iter|epoch)s?[-_=]?\d+/i
const NUMBER_FOLDER = /^(?:(?:model|weights|save|snapshot|update)s?[-_=]?)?\d+$/i

/** Whether a folder without weights that are read would be a hole in the trajectory. */
export function isStepFolder(name: string): boolean {
  return STEP_FOLDER.test(name)
}

/** Whether a folder may be one checkpoint: its name tells a step, or is little but a number. */
export function mayBeStepFolder(name: string): boolean {
  const { step, iteration, epoch } = numbersInName(name)
  return isStepFolder(name) || NUMBER_FOLDER.test(name) || (step ?? iteration ?? epoch) !== undefined
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

/** What stands in names and counts nothing: versions (`-v1`), ranks, tokens seen (OLMo's `-tokens4B`). */
const NO_COUNT = /-v\d+$|[-_](?:mp_)?rank_?\d+|[-_]tokens[-_=]?\d+(?:\.\d+)?[kmbt]?/gi
/** `20240501_120000`, `2024-05-01_12-00-00`: names order such saves, the time of day alone would not. */
const DATE_AND_TIME =
  /(?<!\d)(?:19|20)\d\d([-_.]?)[01]\d\1[0-3]\d[-_. T]*[0-2]\d([-_.:h]?)[0-5]\d(?:\2[0-5]\d)?(?!\d)/gi
const NAMED_METRIC = /[-_.]?[a-z][a-z_]*=?-?\d+\.\d+(?:e[-+]?\d+)?/gi
const BARE_METRIC = /[-_=]\d+\.\d+(?:e[-+]?\d+)?/gi
/** `10k` and `2.5k`: thousands; `1e3`, `step5e+04`: powers of ten. */
const THOUSANDS = /(?<![\d.])(\d{1,9}(?:\.\d{1,3})?)k(?![a-z\d])/gi
const POWER_OF_TEN = /(?<=^|[^a-z\d.]|steps?|iters?|epochs?)\d{1,4}e\+?0?\d(?![a-z\d.])/gi
/** `lr1e-3`: a setting. */
const SMALL_NUMBER = /\d+(?:\.\d+)?e-\d+/gi
/** fairseq's `checkpoint_3_1000`: an epoch and updates; its and DETR's `checkpoint12`: an epoch. */
const EPOCH_AND_UPDATES = /^checkpoint_(\d+)_(\d+)$/
const EPOCH_ALONE = /^checkpoint(\d+)$/

const STEP = /(?:^|[^a-z])(?:(?:global[-_]?)?steps?[=_ -]?|ba)(\d+)|(?<![\d.])(\d+)steps?(?![a-z])/i
const ITERATION = /(?:^|[^a-z])it(?:er(?:ation)?s?)?(?:[-_]?num)?[=_ -]?(\d+)|(?<![\d.])(\d+)iters?(?![a-z])/i
const EPOCH = /(?:^|[^a-z])ep(?:ochs?)?[=_ -]?(\d+)|(?<![\d.])(\d+)epochs?(?![a-z])/i

/**
 * Finds the numbers in a checkpoint's file name. Versions (`-v1`), ranks, tokens seen, dates with a time and metrics
 * (`-val_loss=0.23`, `-0.23`) are none; `10k` and `1e4` are 10000.
 */
export function numbersInName(fileName: string): NameNumbers {
  const name = stem(fileName)
    .replace(NO_COUNT, '')
    .replace(DATE_AND_TIME, '')
    .replace(SMALL_NUMBER, '')
    .replace(POWER_OF_TEN, (power) => String(Number(power)))
    .replace(THOUSANDS, (_, thousands: string) => String(Math.round(Number(thousands) * 1000)))
    .replace(NAMED_METRIC, '')
    .replace(BARE_METRIC, '')
  const [, fairseqEpoch, updates] = EPOCH_AND_UPDATES.exec(name) ?? EPOCH_ALONE.exec(name) ?? []
  const step = safe(updates) ?? keyed(name, STEP)
  const iteration = keyed(name, ITERATION)
  const epoch = safe(fairseqEpoch) ?? keyed(name, EPOCH)
  const last = safe([...name.matchAll(/\d+/g)].at(-1)?.[0])
  return {
    ...(step === undefined ? {} : { step }),
    ...(iteration === undefined ? {} : { iteration }),
    ...(epoch === undefined ? {} : { epoch }),
    ...(last === undefined ? {} : { number: last }),
  }
}

function keyed(name: string, pattern: RegExp): number | undefined {
  const [, after, before] = pattern.exec(name) ?? []
  return safe(after ?? before)
}

function safe(digits: string | undefined): number | undefined {
  const value = Number(digits ?? NaN)
  return Number.isSafeInteger(value) ? value : undefined
}
