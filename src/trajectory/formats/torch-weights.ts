import { CheckpointError, CheckpointFormatError } from '../../errors.js'
import { isFloat } from '../../tensor.js'
import { listNames } from '../../listing.js'
import type { WeightKind } from './format.js'
import { refusal } from './pickle-machine.js'
import { PickleGlobal, PlainObject, TorchTensor, type PickleValue } from './pickle-values.js'
import { remedyFor } from './torch-container.js'
import { averageOf, averageWithin, EMA_PREFIX } from './torch-average.js'

export type StateDict = ReadonlyMap<string, TorchTensor>

/**
 * Keys under which trainers keep the weights, in the order in which they are tried; they may be nested, as in Composer's
 * `state.model`. `model` is also nanoGPT's and fairseq's, `module` DeepSpeed's, `params` BasicSR's.
 */
export const WEIGHT_KEYS = [
  'state_dict',
  'model_state_dict',
  'model',
  'state',
  'module',
  'net',
  'network',
  'weights',
  'params',
] as const

/** Keys of averages, best first: timm, torchvision, lucidrains and YOLO, MMEngine, BasicSR, fairseq, and others. */
const EMA_KEYS = [
  'state_dict_ema',
  'model_ema',
  'ema_state_dict',
  'ema_model_state_dict',
  'model_ema_state_dict',
  'ema_model',
  'ema',
  'params_ema',
  'swa_model',
  'averaged_model',
] as const

/** Keys that speak of an average. */
const AVERAGE = /(?:^|[-_.])(?:ema|swa|avg|averaged?|shadow)(?:[-_.]|$)/i

/** How deep the weights may lie: `state.model.module`, and one to spare. */
const MAX_DEPTH = 4

/** A look for networks under certain keys. */
interface Search {
  readonly keys: readonly string[]
  /**
   * Dictionaries that hold none down to MAX_DEPTH, and the depth that they were looked at from. A pickle names a dictionary
   * as often as it likes, so that the ways to it are far more than the dictionaries.
   */
  readonly barren: Map<PickleValue, number>
}

/** A dictionary of the checkpoint that holds a network, and the keys that lead to it. */
interface Found {
  readonly where: string
  readonly tensors: StateDict
}

/**
 * The weights of a checkpoint: its top level where all values are tensors, else what stands under a key that trainers
 * use, else all dictionaries of tensors that there are.
 * @throws CheckpointFormatError that lists the keys present when none fits, or it holds a whole pickled module
 * @throws CheckpointError when an average is asked for and there is none
 */
export function weightsOf(root: PickleValue, path: string, kind: WeightKind = 'raw'): StateDict {
  const swapped = isSwapped(root)
  const averages = averagesOf(root)
  const raw = rawOf(root, path)
  if (kind === 'raw') return (swapped ? averages[0] : raw)?.tensors ?? reject(root, path, averages)
  const average = swapped ? raw : averages[0]
  if (average !== undefined) return average.tensors
  const there = raw === undefined ? describe(root) : `it holds ${raw.where} only`
  throw new CheckpointError(
    `${path}: no average of the weights (EMA) was found: ${there}; ` +
      `keys that are looked for: ${listNames(EMA_KEYS, EMA_KEYS.length)}, extra_state.ema`,
  )
}

/**
 * MMEngine's EMAHook saves the average under `state_dict` and the weights that the optimizer moved under `ema_state_dict`
 * (EMAHook.before_save_checkpoint swaps them); Lightning's WeightAveraging puts these under `current_model_state`.
 */
function isSwapped(root: PickleValue): boolean {
  if (!(root instanceof Map)) return false
  if (root.has('current_model_state')) return true
  const meta = root.get('meta')
  return root.has('ema_state_dict') && meta instanceof Map && meta.has('mmengine_version')
}

function averagesOf(root: PickleValue): Found[] {
  if (!(root instanceof Map)) return []
  const extra = root.get('extra_state')
  const places: [string, PickleValue | undefined][] = [
    ['current_model_state', root.get('current_model_state')],
    ...EMA_KEYS.map((key): [string, PickleValue | undefined] => [key, root.get(key)]),
    ['extra_state.ema', extra instanceof Map ? extra.get('ema') : undefined],
  ]
  const search = searchFor([...WEIGHT_KEYS, 'shadow'])
  const apart = places.flatMap(([where, value]) => {
    const found = value === undefined ? undefined : findIn(value, where, search)
    return found === undefined ? [] : [{ where, tensors: averageOf(found.tensors) }]
  })
  const main = findIn(root, '', searchFor(WEIGHT_KEYS))
  const within = main === undefined ? undefined : averageWithin(main.tensors)
  return within === undefined
    ? apart
    : [...apart, { where: `${EMA_PREFIX} in ${main!.where}`, tensors: within }]
}

function rawOf(root: PickleValue, path: string): Found | undefined {
  const found = findIn(root, '', searchFor(WEIGHT_KEYS)) ?? networksIn(root, path)
  if (found === undefined) rejectObjects(root, path)
  return found === undefined ? undefined : { ...found, tensors: withoutAverage(found.tensors) }
}

/** A module that keeps its average among its own weights (`model_ema.*`) is read without it. */
function withoutAverage(tensors: StateDict): StateDict {
  const raw = [...tensors].filter(([name]) => !name.startsWith(EMA_PREFIX))
  return raw.length === tensors.size || raw.length === 0 ? tensors : new Map(raw)
}

function searchFor(keys: readonly string[]): Search {
  return { keys, barren: new Map() }
}

function findIn(value: PickleValue, where: string, search: Search, depth = 0): Found | undefined {
  if (!(value instanceof Map) || (search.barren.get(value) ?? Infinity) <= depth) return undefined
  const tensors = tensorsOf(value)
  if (tensors !== undefined) return { where: where || 'the top level', tensors }
  for (const key of depth === MAX_DEPTH ? [] : search.keys) {
    const inner = value.get(key)
    const found =
      inner === undefined ? undefined : findIn(inner, where ? `${where}.${key}` : key, search, depth + 1)
    if (found !== undefined) return found
  }
  search.barren.set(value, depth)
  return undefined
}

/**
 * The entries that hold networks, whatever their keys: one by itself, several (a generator and its discriminator) with
 * their keys before the tensors' names. Optimizers and counters hold no dictionary of tensors with axes.
 */
function networksIn(root: PickleValue, path: string): Found | undefined {
  if (!(root instanceof Map)) return undefined
  const networks: Found[] = []
  const search = searchFor(WEIGHT_KEYS)
  for (const [key, value] of root) {
    if (typeof key !== 'string' || AVERAGE.test(key)) continue
    const found = findIn(value, key, search)
    if (found !== undefined && isNetwork(found.tensors)) networks.push({ ...found, where: key })
  }
  return networks.length <= 1 ? networks[0] : together(networks, path)
}

/** @throws CheckpointFormatError where a key and a name together stand for two tensors */
function together(networks: readonly Found[], path: string): Found {
  const named = networks.flatMap(({ where, tensors }) =>
    [...tensors].map(([name, tensor]): [string, TorchTensor] => [`${where}.${name}`, tensor]),
  )
  const tensors = new Map(named)
  const where = listNames(networks.map((network) => network.where))
  if (tensors.size === named.length) return { where, tensors }
  throw new CheckpointFormatError(
    `${path}: holds networks whose tensors can't be told apart by name: ${where}`,
  )
}

function isNetwork(tensors: StateDict): boolean {
  return [...tensors.values()].some(({ scalar, shape }) => isFloat(scalar.dtype) && shape.length > 0)
}

/** The dictionary as named tensors, or undefined where it is none. Extra state of modules is no tensor and left out. */
function tensorsOf(value: PickleValue): StateDict | undefined {
  if (!(value instanceof Map)) return undefined
  const tensors = new Map<string, TorchTensor>()
  for (const [name, item] of value) {
    if (typeof name !== 'string') return undefined
    if (item instanceof TorchTensor) tensors.set(name, item)
    else if (!name.endsWith('_extra_state')) return undefined
  }
  return tensors.size > 0 ? tensors : undefined
}

/** An object without content where the weights should be: a whole pickled module, or a kind of tensor that is not read. */
function rejectObjects(root: PickleValue, path: string): void {
  const object = objectIn(root, 0, new Map())
  if (object !== undefined) throw refusal(path, object, remedyFor(path, object))
}

function objectIn(
  value: PickleValue | undefined,
  depth: number,
  barren: Map<PickleValue, number>,
): string | undefined {
  if (value instanceof PlainObject) return value.type
  if (value instanceof PickleGlobal) return value.name
  if (!(value instanceof Map) || depth === MAX_DEPTH || (barren.get(value) ?? Infinity) <= depth)
    return undefined
  const items = [...value.values()]
  const odd = items.find((item) => item instanceof PlainObject)
  if (odd !== undefined && items.every((item) => item instanceof PlainObject || item instanceof TorchTensor))
    return odd.type
  for (const key of [...WEIGHT_KEYS, ...EMA_KEYS]) {
    const found = objectIn(value.get(key), depth + 1, barren)
    if (found !== undefined) return found
  }
  barren.set(value, depth)
  return undefined
}

function reject(root: PickleValue, path: string, averages: readonly Found[]): never {
  const there = averages.map(({ where }) => where)
  const average =
    there.length === 0 ? '' : `; an average (EMA) is there under ${listNames(there)}: --weights ema takes it`
  throw new CheckpointFormatError(
    `${path}: no weights found: neither the top level nor ${WEIGHT_KEYS.join(', ')} is a dictionary of tensors; ` +
      `${describe(root)}; save the weights under one of these keys${average}`,
  )
}

function describe(root: PickleValue): string {
  if (!(root instanceof Map)) return 'the file holds no dictionary'
  const keys = [...root.keys()].filter((key) => typeof key === 'string')
  return `keys present: ${listNames(keys) || 'none'}`
}
