import { UsageError } from '../errors.js'
import { listNames } from '../listing.js'
import { elementCount, formatShape, isFloat, sameShape } from '../tensor.js'
import { transposedShape } from '../transpose.js'
import { affinity } from './affinity.js'
import type { TensorInfo } from './checkpoint.js'
import { fits, layoutOf, reshapes, type Layout } from './layout.js'
import type { MapEntry, NameMap } from './map-file.js'
import type { NetworkTensor } from './network.js'
import { pairLayout, type PairLayout } from './pair-layout.js'

/** A pair that a map names. */
export interface MappedPair {
  readonly parameter: NetworkTensor
  readonly tensor: TensorInfo
  readonly fit: PairLayout
}

export interface Mapped {
  readonly pairs: readonly MappedPair[]
  /** Initializers that keep the numbers of the model file. */
  readonly constants: ReadonlySet<string>
}

/**
 * What a map says of a network and its checkpoints.
 * @throws UsageError for an entry that names nothing, names a tensor twice, or does not fit, with both shapes
 */
export function applyMap(
  map: NameMap,
  parameters: readonly NetworkTensor[],
  tensors: ReadonlyMap<string, TensorInfo>,
): Mapped {
  const byName = new Map(parameters.map((parameter) => [parameter.name, parameter]))
  const pairs: MappedPair[] = []
  const constants = new Set<string>()
  const users = new Map<string, string>()
  for (const [name, entry] of Object.entries(map)) {
    const parameter = byName.get(name)
    if (parameter === undefined)
      throw refusal(
        name,
        `the network has no such real-valued initializer${closest(name, [...byName.keys()])}`,
      )
    if (entry === null) {
      constants.add(name)
      continue
    }
    const tensor = tensorOf(name, typeof entry === 'string' ? entry : entry.tensor, tensors)
    const other = users.get(tensor.name)
    if (other !== undefined)
      throw refusal(name, `tensor '${tensor.name}' is given to '${other}' already; each can be one parameter`)
    users.set(tensor.name, name)
    pairs.push({ parameter, tensor, fit: fitOf(parameter, tensor, entry) })
  }
  return { pairs, constants }
}

function tensorOf(name: string, wanted: string, tensors: ReadonlyMap<string, TensorInfo>): TensorInfo {
  const tensor = tensors.get(wanted)
  if (tensor === undefined)
    throw refusal(name, `the checkpoints have no tensor '${wanted}'${closest(wanted, [...tensors.keys()])}`)
  if (!isFloat(tensor.dtype))
    throw refusal(name, `tensor '${wanted}' is of type ${tensor.dtype}; only real numbers can be a parameter`)
  return tensor
}

function fitOf(parameter: NetworkTensor, tensor: TensorInfo, entry: NonNullable<MapEntry>): PairLayout {
  if (typeof entry !== 'string' && (entry.transpose !== undefined || entry.reshape !== undefined))
    return { layout: spelledOut(parameter, tensor, entry) }
  const fit = pairLayout(parameter, tensor)
  if (fit !== undefined) return fit
  throw refusal(
    parameter.name,
    `tensor '${tensor.name}' is ${formatShape(tensor.shape)} and the network's ${formatShape(parameter.shape)}; ` +
      'say how its axes lie: {"tensor": NAME, "transpose": [AXES], "reshape": [SIZES]}',
  )
}

function spelledOut(
  parameter: NetworkTensor,
  tensor: TensorInfo,
  { transpose, reshape }: Exclude<NonNullable<MapEntry>, string>,
): Layout {
  const order = transpose ?? tensor.shape.map((_, axis) => axis)
  if (
    !sameShape(
      [...order].sort((a, b) => a - b),
      tensor.shape.map((_, axis) => axis),
    )
  )
    throw refusal(
      parameter.name,
      `"transpose": [${order.join(', ')}] is no order of the ${tensor.shape.length} axes of '${tensor.name}' ` +
        `(${formatShape(tensor.shape)}), which are counted from 0`,
    )
  const layout = layoutOf(order)
  if (reshape === undefined) {
    if (fits(layout, tensor, parameter) || reshapes(layout, tensor, parameter)) return layout
    throw misfit(parameter, tensor, order)
  }
  if (!sameShape(reshape, parameter.shape) || elementCount(reshape) !== elementCount(tensor.shape))
    throw refusal(
      parameter.name,
      `"reshape" gives ${formatShape(reshape)} from tensor '${tensor.name}' (${formatShape(tensor.shape)}), ` +
        `and the network's is ${formatShape(parameter.shape)}`,
    )
  return layout
}

function misfit(parameter: NetworkTensor, tensor: TensorInfo, order: readonly number[]): UsageError {
  const turned = formatShape(transposedShape(tensor.shape, order))
  return refusal(
    parameter.name,
    `tensor '${tensor.name}' (${formatShape(tensor.shape)}) is ${turned} when transposed by [${order.join(', ')}], ` +
      `and the network's is ${formatShape(parameter.shape)}`,
  )
}

function refusal(name: string, why: string): UsageError {
  return new UsageError(`--map: entry '${name}': ${why}`)
}

/** The names that have most in common with one that is not there. */
function closest(name: string, names: readonly string[]): string {
  const near = names
    .map((other) => ({ other, score: affinity(name, other) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .map(({ other }) => other)
  return `; there are ${listNames(near.length > 0 ? near : names, 5)}`
}
