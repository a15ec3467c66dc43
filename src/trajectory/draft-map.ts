import { elementCount, isFloat } from '../tensor.js'
import { affinity } from './affinity.js'
import { takePairs, bestPairs } from './assign.js'
import type { BindOptions } from './bind.js'
import type { TensorInfo } from './checkpoint.js'
import { withReshape } from './layout.js'
import { OPEN, writeMap, type MapEntry, type NameMap } from './map-file.js'
import { floatTensors, type BoundCheckpoint, type BoundPair, type NetworkTensor } from './network.js'
import { pairLayout } from './pair-layout.js'
import { tie, type Tie } from './tie.js'

/** Names must have this much in common to be worth a guess: a whole part, or a stem and the kind. */
const WORTH_A_GUESS = 1.5

/**
 * A map for a person to finish, where binding fails: what can be tied, guesses for what fits in shape and has a name in
 * common, null for what no tensor fits, and `?` for the rest.
 */
export async function draftMap(
  network: readonly NetworkTensor[],
  checkpoints: readonly BoundCheckpoint[],
  options: Pick<BindOptions, 'map' | 'others'> = {},
): Promise<NameMap> {
  const parameters = network.filter(({ dtype }) => isFloat(dtype))
  const { ties, missing, leftOver } = await tie(parameters, checkpoints, options)
  const sure = writeMap({ pairs: ties.map(asPair), constants: [] })
  const guesses = guess(missing, leftOver)
  const left = new Set(floatTensors(checkpoints[0]!).map(({ shape }) => elementCount(shape)))
  const entryOf = (parameter: NetworkTensor): MapEntry => {
    const own = sure[parameter.name] ?? guesses.get(parameter.name)
    if (own !== undefined) return own
    const constant = parameter.literal === true || !left.has(elementCount(parameter.shape))
    return constant || !missing.includes(parameter) ? null : OPEN
  }
  return Object.fromEntries(parameters.map((parameter) => [parameter.name, entryOf(parameter)]))
}

function asPair({ parameter, tensor, layout, by }: Tie): BoundPair {
  const { name } = parameter
  const { shape } = tensor
  return { parameter: name, tensor: tensor.name, name, shape, ...withReshape(layout, tensor, parameter), by }
}

/** The pairs that fit and have more in common than their sides have with any other. */
function guess(
  missing: readonly NetworkTensor[],
  leftOver: readonly TensorInfo[],
): ReadonlyMap<string, string> {
  const pairs = missing.flatMap((parameter) =>
    leftOver.flatMap((tensor) => {
      const score = affinity(parameter.name, tensor.name)
      const fit = score >= WORTH_A_GUESS ? pairLayout(parameter, tensor) : undefined
      return fit === undefined ? [] : [{ parameter, tensor, score }]
    }),
  )
  const { matches } = takePairs(pairs, [(left) => bestPairs(left, ({ score }) => score)])
  return new Map(matches.map(({ parameter, tensor }) => [parameter.name, tensor.name]))
}
