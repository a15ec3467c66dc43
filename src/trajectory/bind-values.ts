import { elementCount } from '../tensor.js'
import { affinity, affinityOfStems } from './affinity.js'
import { bestPairs, takePairs, uniquePairs } from './assign.js'
import type { TensorInfo } from './checkpoint.js'
import {
  bySize,
  conventionalLayout,
  fits,
  layoutOf,
  permutationsOf,
  reshapes,
  type Layout,
} from './layout.js'
import type { BoundCheckpoint, NetworkTensor } from './network.js'
import { equalsTransposed, inFloat32, isDistinctive, roundedTo, unorderedDigest } from './numbers.js'
import { ownerOf } from './translate.js'

/** A weight of the model and a tensor of the checkpoint that hold the same numbers. */
export interface Match {
  readonly parameter: NetworkTensor
  readonly tensor: TensorInfo
  readonly layout: Layout
}

export interface ValueMatches {
  readonly matches: readonly Match[]
  /** Pairs of equal numbers between which nothing decides. */
  readonly ambiguous: readonly Match[]
  /** Pairs of equal numbers in an order that no transposition explains: gates in another order. */
  readonly reordered: readonly Omit<Match, 'layout'>[]
}

/** A pair that may be a match; `certain` where the numbers are too many and too different to be equal by chance. */
interface Candidate extends Match {
  readonly certain: boolean
}

/**
 * Ties weights to the tensors of the checkpoint that the model was exported from, by their numbers in float32 (in the
 * checkpoint's own precision where that is less), under any transposition and under reshapes that keep neighbours together.
 * Each tensor of the checkpoint is read once. Equal numbers by chance are told apart by what is left over, and by names.
 */
export async function matchValues(
  parameters: readonly NetworkTensor[],
  tensors: readonly TensorInfo[],
  checkpoint: BoundCheckpoint,
  layers: Layers,
): Promise<ValueMatches> {
  const candidates: Candidate[] = []
  const reordered: Omit<Match, 'layout'>[] = []
  const alike = bySize(parameters.filter(({ read }) => read !== undefined))
  const digest = digests()
  for (const tensor of tensors) {
    const group = alike.get(elementCount(tensor.shape))
    if (group === undefined) continue
    const numbers = inFloat32((await checkpoint.read(tensor.name)).data)
    const wanted = unorderedDigest(numbers)
    const certain = isDistinctive(numbers)
    for (const parameter of group) {
      if ((parameter.literal === true && !certain) || digest(parameter, tensor) !== wanted) continue
      const layout = layoutByNumbers(parameter, tensor, numbers, certain)
      if (layout !== undefined) candidates.push({ parameter, tensor, layout, certain })
      else if (certain) reordered.push({ parameter, tensor })
    }
  }
  return { ...assign(candidates, layers), reordered }
}

/** The digests of weights, each computed once for every precision that a checkpoint has. */
function digests(): (parameter: NetworkTensor, tensor: TensorInfo) => string {
  const known = new Map<string, string>()
  return (parameter, { dtype }) => {
    const key = JSON.stringify([parameter.name, dtype])
    const found = known.get(key) ?? unorderedDigest(roundedTo(inFloat32(parameter.read!()), dtype))
    known.set(key, found)
    return found
  }
}

/**
 * The layout under which a tensor's numbers are a weight's: the one that names and use stand for where it does, else the
 * first order of axes. Numbers that are equal by chance prove no layout: then only the likely ones are tried.
 */
export function layoutByNumbers(
  parameter: NetworkTensor,
  tensor: TensorInfo,
  numbers: Float32Array,
  certain: boolean,
): Layout | undefined {
  const wanted = roundedTo(inFloat32(parameter.read!()), tensor.dtype)
  const own = tensor.shape.map((_, axis) => axis)
  const likely = [conventionalLayout(parameter, tensor)?.permutation ?? own, own]
  const orders = certain ? [...likely, ...permutationsOf(tensor.shape)] : likely
  const order = orders.find((permutation) => {
    const layout = layoutOf(permutation)
    const fitting = certain ? reshapes(layout, tensor, parameter) : fitsButForOnes(layout, tensor, parameter)
    return fitting && equalsTransposed(wanted, numbers, tensor.shape, permutation)
  })
  return order && layoutOf(order)
}

function fitsButForOnes(layout: Layout, tensor: TensorInfo, parameter: NetworkTensor): boolean {
  if (fits(layout, tensor, parameter)) return true
  const longest = Math.max(...tensor.shape, ...parameter.shape)
  return longest === elementCount(tensor.shape)
}

/**
 * Assigns each tensor once: first where numbers are certain, then, with the layers known that this tells, where they are
 * equal by chance; among these what is unique first, then what names decide, then what is left.
 */
function assign(
  candidates: readonly Candidate[],
  layers: Layers,
): Pick<ValueMatches, 'matches' | 'ambiguous'> {
  const sure = takePairs(
    candidates.filter(({ certain }) => certain),
    [uniquePairs, (left) => byName(left, layers), firstCopy],
  )
  const told = layersOf(sure.matches)
  const known: Layers = (parameter) => new Set([...layers(parameter), ...told(parameter)])
  const taken = new Set(sure.matches.flatMap(({ parameter, tensor }) => [parameter, tensor]))
  const rest = takePairs(
    candidates.filter((one) => !one.certain && !taken.has(one.parameter) && !taken.has(one.tensor)),
    [uniquePairs, (left) => byName(left, known)],
  )
  return {
    matches: [...sure.matches, ...rest.matches],
    ambiguous: [...sure.ambiguous, ...rest.ambiguous],
  }
}

/** For each weight the layers of the checkpoint that the graph shows it to be in. */
export type Layers = (parameter: NetworkTensor) => ReadonlySet<string>

/** The layers of the checkpoint that a parameter's neighbours in the graph are bound to. */
export function layersOf(pairs: readonly Pick<Match, 'parameter' | 'tensor'>[]): Layers {
  const owners = new Map(pairs.map(({ parameter, tensor }) => [parameter.name, ownerOf(tensor.name)]))
  return ({ neighbours }) => new Set([...(neighbours ?? [])].flatMap((name) => owners.get(name) ?? []))
}

/** More than names can have in common. */
const SAME_LAYER = 1000

/**
 * Pairs that have most in common, unless an exporter that numbers all names would have meant others: `dense_1` may be the
 * layer of that name or the layer `dense`.
 */
function byName(left: readonly Candidate[], layers: Layers): Candidate[] {
  const near = ({ parameter, tensor }: Match): number =>
    layers(parameter).has(ownerOf(tensor.name)) ? SAME_LAYER : 0
  const plain = bestPairs(left, (one) => near(one) + affinity(one.parameter.name, one.tensor.name))
  const numbered = bestPairs(left, (one) => near(one) + affinityOfStems(one.parameter.name, one.tensor.name))
  const contradicted = new Map<object, Candidate>()
  for (const one of numbered) contradicted.set(one.parameter, one).set(one.tensor, one)
  return plain.filter((one) =>
    [one.parameter, one.tensor].every((side) => (contradicted.get(side) ?? one) === one),
  )
}

/** A weight that the model holds more than once: any of the copies will do here, and the others are found as copies. */
function firstCopy(left: readonly Candidate[]): Candidate[] {
  const claims = new Map<NetworkTensor, Set<TensorInfo>>()
  for (const { parameter, tensor } of left)
    claims.set(parameter, (claims.get(parameter) ?? new Set()).add(tensor))
  const contested = new Set(
    left.flatMap(({ parameter, tensor }) => (claims.get(parameter)!.size > 1 ? [tensor] : [])),
  )
  const copy = left.find(({ tensor, certain }) => certain && !contested.has(tensor))
  return copy === undefined ? [] : [copy]
}
