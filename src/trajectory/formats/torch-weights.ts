import { CheckpointFormatError } from '../../errors.js'
import { listNames } from '../../listing.js'
import { TorchTensor, type PickleValue } from './pickle-values.js'

/** Keys under which trainers keep the weights, in the order in which they are tried. */
const WEIGHT_KEYS = ['state_dict', 'model_state_dict', 'model'] as const

/**
 * The weights of a checkpoint: its top level where all values are tensors, else the first of `state_dict`,
 * `model_state_dict`, `model` that is such a dictionary.
 * @throws CheckpointFormatError that lists the keys present when none fits
 */
export function weightsOf(root: PickleValue, path: string): ReadonlyMap<string, TorchTensor> {
  const top = tensorsOf(root)
  if (top !== undefined) return top
  for (const key of WEIGHT_KEYS) {
    const tensors = root instanceof Map ? tensorsOf(root.get(key)) : undefined
    if (tensors !== undefined) return tensors
  }
  throw new CheckpointFormatError(
    `${path}: no weights found: neither the top level nor ${WEIGHT_KEYS.join(', ')} is a dictionary of tensors; ` +
      `${describe(root)}; save the weights under one of these keys`,
  )
}

/** The dictionary as named tensors, or undefined where it is none. Extra state of modules is no tensor and left out. */
function tensorsOf(value: PickleValue | undefined): ReadonlyMap<string, TorchTensor> | undefined {
  if (!(value instanceof Map)) return undefined
  const tensors = new Map<string, TorchTensor>()
  for (const [name, item] of value) {
    if (typeof name !== 'string') return undefined
    if (item instanceof TorchTensor) tensors.set(name, item)
    else if (!name.endsWith('_extra_state')) return undefined
  }
  return tensors.size > 0 ? tensors : undefined
}

function describe(root: PickleValue): string {
  if (!(root instanceof Map)) return 'the file holds no dictionary'
  const keys = [...root.keys()].filter((key) => typeof key === 'string')
  return `keys present: ${listNames(keys) || 'none'}`
}
