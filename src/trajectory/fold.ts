import { elementCount } from '../tensor.js'
import type { TensorInfo } from './checkpoint.js'
import { conventionalLayout, fits, type Layout } from './layout.js'
import type { BoundCheckpoint, NetworkTensor } from './network.js'
import { inFloat32 } from './numbers.js'
import { leafOf, ownerOf } from './translate.js'
import { walkTransposed } from '../transpose.js'

/** A batch normalization that the exporter multiplied into a weight of the model, as numbers show. */
export interface Fold {
  /** The layer of the normalization. */
  readonly layer: string
  /** The network's weight. */
  readonly parameter: string
  /** The checkpoint's tensor that it is a multiple of; absent where it is the factors themselves. */
  readonly tensor?: string
  readonly step: number
}

/** Relative error of a product that was rounded to float32 a few times. */
const ROUNDING = 1e-4
/** The largest epsilon that frameworks add to a variance (Keras' default is 1e-3). */
const LARGEST_EPSILON = 0.1

const VARIANCE = /^(?:running_var|moving_variance|var)$/
const SCALE = /^(?:weight|gamma|scale)$/

/** Whether a tensor is one of a batch normalization's running statistics. */
export function isStatistic(name: string): boolean {
  return /^(?:running_mean|running_var|moving_mean|moving_variance)$/.test(leafOf(name))
}

/** Normalizations that are looked for: one that is found explains the others. */
const MOST_LOOKED_FOR = 4

/** A weight of the model and the tensors that it may be a multiple of. */
export interface Multiple {
  readonly parameter: NetworkTensor
  readonly tensors: readonly TensorInfo[]
}

/**
 * Looks for a batch normalization in the numbers of the model: a weight that is a checkpoint's times
 * scale / sqrt(variance + epsilon), one factor for each output channel, with one epsilon for all channels.
 *
 * @param leftOver tensors of the checkpoint without a place
 * @returns the first that is found, undefined where none is
 */
export async function findFold(
  weights: readonly Multiple[],
  leftOver: readonly TensorInfo[],
  checkpoint: BoundCheckpoint,
): Promise<Fold | undefined> {
  const variances = leftOver.filter(({ name }) => VARIANCE.test(leafOf(name)))
  for (const variance of variances.slice(0, MOST_LOOKED_FOR)) {
    const factors = await factorsOf(variance, checkpoint)
    const found = await findMultiple(weights, factors, checkpoint)
    if (found !== undefined) return { layer: ownerOf(variance.name), step: checkpoint.step, ...found }
  }
  return undefined
}

/** A normalization's scale and variance, one number a channel. */
interface Factors {
  readonly scale: Float32Array
  readonly variance: Float32Array
}

async function factorsOf(variance: TensorInfo, checkpoint: BoundCheckpoint): Promise<Factors> {
  const layer = ownerOf(variance.name)
  const scale = [...checkpoint.tensors.keys()].find(
    (name) => ownerOf(name) === layer && SCALE.test(leafOf(name)),
  )
  const read = async (name: string): Promise<Float32Array> => inFloat32((await checkpoint.read(name)).data)
  const numbers = await read(variance.name)
  return {
    variance: numbers,
    scale: scale === undefined ? new Float32Array(numbers.length).fill(1) : await read(scale),
  }
}

async function findMultiple(
  weights: readonly Multiple[],
  factors: Factors,
  checkpoint: BoundCheckpoint,
): Promise<Pick<Fold, 'parameter' | 'tensor'> | undefined> {
  const channels = factors.variance.length
  for (const { parameter, tensors } of weights) {
    if (parameter.read === undefined) continue
    if (elementCount(parameter.shape) === channels) {
      if (areFactors(inFloat32(parameter.read()), factors)) return { parameter: parameter.name }
      continue
    }
    for (const tensor of tensors) {
      const ratios = await channelRatios(parameter, tensor, channels, checkpoint)
      if (ratios !== undefined && areFactors(ratios, factors))
        return { parameter: parameter.name, tensor: tensor.name }
    }
  }
  return undefined
}

/** The one factor by which each output channel of a weight differs from a tensor; undefined where there is none. */
async function channelRatios(
  parameter: NetworkTensor,
  tensor: TensorInfo,
  channels: number,
  checkpoint: BoundCheckpoint,
): Promise<Float32Array | undefined> {
  const layout = conventionalLayout(parameter, tensor) ?? {}
  if (parameter.shape[0] !== channels || !fits(layout, tensor, parameter)) return undefined
  const own = inFloat32(parameter.read!())
  const other = transposed(inFloat32((await checkpoint.read(tensor.name)).data), tensor.shape, layout)
  const inner = own.length / channels
  const [dots, squares] = [new Float64Array(channels), new Float64Array(channels)]
  other.forEach((value, i) => {
    const channel = Math.floor(i / inner)
    dots[channel]! += value * own[i]!
    squares[channel]! += value * value
  })
  const ratios = Float32Array.from(dots, (dot, channel) => dot / squares[channel]!)
  const holds = own.every((value, i) => {
    const expected = other[i]! * ratios[Math.floor(i / inner)]!
    return Math.abs(value - expected) <= ROUNDING * (Math.abs(value) + Math.abs(expected))
  })
  return holds ? ratios : undefined
}

function transposed(numbers: Float32Array, shape: readonly number[], { permutation }: Layout): Float32Array {
  if (permutation === undefined) return numbers
  const result = new Float32Array(numbers.length)
  let target = 0
  walkTransposed(shape, permutation, (source) => {
    result[target++] = numbers[source]!
    return true
  })
  return result
}

/** Whether numbers are scale / sqrt(variance + epsilon) with one small epsilon, and not all 1. */
function areFactors(numbers: Float32Array, { scale, variance }: Factors): boolean {
  if (numbers.every((value) => Math.abs(value - 1) < ROUNDING)) return false
  const epsilons = [...numbers].map((value, channel) => (scale[channel]! / value) ** 2 - variance[channel]!)
  const epsilon = epsilons.sort((a, b) => a - b)[Math.floor(epsilons.length / 2)]!
  if (!(epsilon > -ROUNDING && epsilon < LARGEST_EPSILON)) return false
  return numbers.every((value, channel) => {
    const expected = scale[channel]! / Math.sqrt(variance[channel]! + epsilon)
    return Math.abs(value - expected) <= 10 * ROUNDING * Math.abs(expected)
  })
}
