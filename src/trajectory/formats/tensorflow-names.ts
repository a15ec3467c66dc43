import { CheckpointFormatError } from '../../errors.js'
import type { WeightKind } from './format.js'

/**
 * What the optimizers of TensorFlow 1 add to a variable's name for what they keep of it: the class's name, with `_1` for
 * a second slot, and the names that BERT's own optimizer uses.
 */
const SLOT =
  /\/(?:(?:Adam|AdaMax|AdamW|AdamOptimizer|LazyAdam|Momentum|RMSProp|Adagrad|AdagradDA|Adadelta|Ftrl|LAMB|LARS|NAdam)\w*?(?:_\d+)?|adam_[mv]|lamb_[mv]|adafactor_\w+|gradient_accumulator|local_step)$/

/** Powers that Adam keeps for all variables together. */
const POWER = /(?:^|\/)beta[12]_power(?:_\d+)?$/

const AVERAGE = '/ExponentialMovingAverage'

/**
 * The weights of a checkpoint of TensorFlow 1's Saver, by the names of its variables: the key of each. Slots of optimizers
 * belong to a variable that is there too, so that a layer may be called like one.
 * @param path the file, for messages
 * @throws CheckpointFormatError where averages are asked for and there are none
 */
export function namedWeights(
  keys: readonly string[],
  kind: WeightKind,
  path: string,
): ReadonlyMap<string, string> {
  const present = new Set(keys)
  const weights = new Map<string, string>()
  const averages = keys.filter((key) => key.endsWith(AVERAGE))
  if (kind === 'ema' && averages.length === 0) {
    throw new CheckpointFormatError(
      `${path}: holds no averaged weights: no variable ends in ${AVERAGE}; take the raw ones`,
    )
  }
  for (const key of keys) {
    if (!key.endsWith(AVERAGE) && !POWER.test(key) && !isSlot(key, present)) weights.set(key, key)
  }
  if (kind === 'ema') for (const key of averages) weights.set(key.slice(0, -AVERAGE.length), key)
  return weights
}

/** A slot is named by its variable, which may stand behind the scope that the optimizer was made in. */
function isSlot(key: string, present: ReadonlySet<string>): boolean {
  const slot = SLOT.exec(key)
  if (slot === null) return false
  const parts = key.slice(0, slot.index).split('/')
  return parts.some((_, i) => present.has(parts.slice(i).join('/')))
}
