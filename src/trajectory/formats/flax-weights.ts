import { CheckpointError, CheckpointFormatError } from '../../errors.js'
import { isArray, isTree, type FlaxArray, type FlaxNode, type FlaxTree } from './flax-arrays.js'
import type { WeightKind } from './format.js'

/** Where Flax's modules keep what is trained; beside it stand other collections, such as `batch_stats`. */
const PARAMS = 'params'

/** What the optimizers of Flax's first years were about: their target is the model, their state is not. */
const TARGET = 'target'

/** Keys of averaged parameters, as training scripts call them. */
const AVERAGES = ['ema_params', 'params_ema', 'ema', 'ema_state']

/** What stands beside the collections of a training state and holds no weights. */
const NO_COLLECTION =
  /^(?:opt_state|optimizer|optimizer_state|dynamic_scale|metrics|rngs?|(?:.*_)?(?:rng|key))$/

/** A file whose arrays have more or longer names than any network's only fills memory. */
const MAX_BYTES_OF_NAMES = 64 * 2 ** 20

/** Training states are kept within a dictionary of other things, not deeper than this. */
const MAX_DEPTH_OF_STATE = 3

/** Where a file's weights are, and the dictionaries that may tell how far training was, the nearest first. */
export interface TrainingState {
  readonly weights: FlaxTree
  readonly progress: readonly FlaxTree[]
}

/** The dictionary that has `params`, or an optimizer's target, or the whole. */
export function findState(root: FlaxTree): TrainingState {
  const { weights, progress } = stateIn(root, 0) ?? { weights: root, progress: [root] }
  return { weights, progress: [...progress, root] }
}

function stateIn(tree: FlaxTree, depth: number): TrainingState | undefined {
  if (isTree(tree.get(PARAMS))) return { weights: tree, progress: [tree] }
  const [target, state] = [tree.get(TARGET), tree.get('state')]
  if (isTree(target) && isTree(state)) {
    const weights = isTree(target.get(PARAMS)) ? target : new Map([[PARAMS, target]])
    return { weights, progress: [state] }
  }
  if (depth === MAX_DEPTH_OF_STATE) return undefined
  const states = [...tree.values()].flatMap((node) => {
    const found = isTree(node) ? stateIn(node, depth + 1) : undefined
    return found === undefined ? [] : [found]
  })
  return states.length === 1 ? states[0] : undefined
}

/**
 * The weights of a training state, by their keys joined with `/`: `params/conv1/kernel`, `batch_stats/bn/mean`. A
 * dictionary without `params` is itself the parameters.
 * @param path the file, for messages
 * @throws CheckpointFormatError where averages are asked for and there are none
 */
export function weightsIn(state: FlaxTree, kind: WeightKind, path: string): Map<string, FlaxArray> {
  const collections = state.has(PARAMS)
    ? [...state].filter(([key]) => !NO_COLLECTION.test(key) && !AVERAGES.includes(key))
    : [...state].filter(([key]) => key !== 'opt_state' && !AVERAGES.includes(key))
  const chosen = new Map<string, FlaxNode>(collections)
  if (kind === 'ema') for (const [key, node] of averages(state, path)) chosen.set(key, node)
  const weights = new Map<string, FlaxArray>()
  collect(chosen, '', weights, { left: MAX_BYTES_OF_NAMES }, path)
  return weights
}

/** The collections that averages take the place of. */
function averages(state: FlaxTree, path: string): FlaxTree {
  const tree = AVERAGES.map((key) => state.get(key)).find((node) => isTree(node))
  if (tree !== undefined) return isTree(tree.get(PARAMS)) ? tree : new Map([[PARAMS, tree]])
  throw new CheckpointFormatError(
    `${path}: holds no averaged weights (none of ${AVERAGES.join(', ')} is in it); take the raw ones`,
  )
}

function collect(
  tree: FlaxTree,
  prefix: string,
  weights: Map<string, FlaxArray>,
  budget: { left: number },
  path: string,
): void {
  for (const [key, node] of tree) {
    if (typeof node === 'number') continue
    const name = prefix + key
    budget.left -= name.length
    if (budget.left < 0) throw new CheckpointError(`${path}: corrupt: its arrays' names are too long`)
    if (isTree(node)) collect(node, `${name}/`, weights, budget, path)
    else if (weights.has(name)) throw new CheckpointError(`${path}: corrupt: two arrays are named ${name}`)
    else if (isArray(node)) weights.set(name, node)
  }
}
