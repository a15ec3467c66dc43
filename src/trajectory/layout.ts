import type { AxisMeaning, WeightUse } from '../onnx/weight-use.js'
import { elementCount, sameShape } from '../tensor.js'
import { isIdentity, transposedShape } from '../transpose.js'
import { conventionOf, isFlax, isTable, type Convention } from './translate.js'

/**
 * How a checkpoint's tensor becomes the network's: its axes in the order `permutation`, then reshaped where the shapes
 * still differ.
 */
export interface Layout {
  /** Axis i of the transposed tensor is the checkpoint's axis `permutation[i]`; absent where axes stay. */
  readonly permutation?: readonly number[]
}

/** A tensor of either side, as layouts see it. */
export interface Shaped {
  readonly name: string
  readonly shape: readonly number[]
}

export interface UsedShape extends Shaped {
  readonly use?: WeightUse
}

/** The layout with its permutation left out where it moves nothing. */
export function layoutOf(permutation: readonly number[]): Layout {
  return isIdentity(permutation) ? {} : { permutation }
}

/** Whether a layout gives the network's shape without a reshape. */
export function fits({ permutation }: Layout, tensor: Shaped, parameter: Shaped): boolean {
  const shape = permutation === undefined ? tensor.shape : transposedShape(tensor.shape, permutation)
  return sameShape(shape, parameter.shape)
}

/** The layout as a binding holds it: with the network's shape where a reshape has to follow. */
export function withReshape(
  layout: Layout,
  tensor: Shaped,
  parameter: Shaped,
): Layout & { readonly reshaped?: readonly number[] } {
  return fits(layout, tensor, parameter) ? layout : { ...layout, reshaped: parameter.shape }
}

/**
 * The layout that follows from what each side's axes mean: the checkpoint's from the last part of the tensor's name, the
 * network's from the operator that reads the weight. Undefined where one of them says nothing, where the gates of a
 * recurrent kernel have an order of their own, and for a kernel that would have to be mirrored.
 */
export function conventionalLayout(parameter: UsedShape, tensor: Shaped): Layout | undefined {
  const rank = tensor.shape.length
  const convention = conventionOf(tensor.name)
  const { kind, axes } = parameter.use ?? guessedUse(parameter)
  if (kind === 'recurrent') return undefined
  if (kind === 'embedding' || isTable(tensor.name)) return {}
  if (convention === undefined || axes.length !== rank || rank < 2) return undefined
  if (convention === 'outputs last' && kind === 'transposed convolution' && isFlax(tensor.name))
    return undefined
  const layout = layoutOf(permutationTo(axes, meaningsOf(convention, kind, rank)))
  const depthwise = kind === 'convolution' && convention === 'outputs last' && isDepthwise(parameter, tensor)
  return depthwise && !fits(layout, tensor, parameter) ? depthwiseLayout(rank) : layout
}

/** Where the graph hides how a weight is used, its name on the network's side says how it lies. */
function guessedUse({ name, shape }: Shaped): WeightUse {
  const convention = conventionOf(name)
  const kind = shape.length <= 2 ? 'dense' : 'convolution'
  return { kind, axes: convention === undefined ? [] : meaningsOf(convention, kind, shape.length) }
}

/** What the axes of a kernel mean in a framework's convention (transposed convolutions swap input and output). */
function meaningsOf(convention: Convention, kind: WeightUse['kind'], rank: number): AxisMeaning[] {
  const windows = new Array<AxisMeaning>(Math.max(0, rank - 2)).fill('window')
  const channels: AxisMeaning[] = convention === 'outputs first' ? ['output', 'input'] : ['input', 'output']
  const ordered = kind === 'transposed convolution' ? channels.toReversed() : channels
  return convention === 'outputs first' ? [...ordered, ...windows] : [...windows, ...ordered]
}

/** For each meaning in the order `to`, where it stands in `from`; windows keep their order. */
function permutationTo(to: readonly AxisMeaning[], from: readonly AxisMeaning[]): number[] {
  const left = from.map((meaning, axis) => ({ meaning, axis }))
  return to.map((meaning) => {
    const at = left.findIndex((one) => one.meaning === meaning)
    return left.splice(at, 1)[0]!.axis
  })
}

/** A kernel [windows, channels, multiplier] of Keras, which ONNX has as [channels * multiplier, 1, windows]. */
function isDepthwise(parameter: Shaped, { shape }: Shaped): boolean {
  const [outputs, inputs, ...windows] = parameter.shape
  const [channels, multiplier] = shape.slice(-2)
  return inputs === 1 && outputs === channels! * multiplier! && sameShape(windows, shape.slice(0, -2))
}

function depthwiseLayout(rank: number): Layout {
  const windows = Array.from({ length: rank - 2 }, (_, axis) => axis)
  return layoutOf([rank - 2, rank - 1, ...windows])
}

/** Whether the transposed tensor and the network's differ only in axes of size 1, or in axes taken together or apart. */
export function reshapes({ permutation }: Layout, tensor: Shaped, parameter: Shaped): boolean {
  const shape = permutation === undefined ? tensor.shape : transposedShape(tensor.shape, permutation)
  const long = shape.filter((size) => size !== 1)
  const wanted = parameter.shape.filter((size) => size !== 1)
  return sameShape(long, wanted) || merges(long, wanted) || merges(wanted, long)
}

/** Whether sizes are those of another shape after neighbouring axes are taken together. */
function merges(sizes: readonly number[], wanted: readonly number[]): boolean {
  let at = 0
  for (const size of wanted) {
    let product = 1
    while (product < size && at < sizes.length) product *= sizes[at++]!
    if (product !== size) return false
  }
  return at === sizes.length
}

/** Axes beyond these many are not permuted in search of equal numbers: 120 orders are tried at most. */
const MOST_PERMUTED_AXES = 5

/** All orders of a tensor's axes; axes of size 1 keep their places, since moving them changes nothing. */
export function permutationsOf(shape: readonly number[]): number[][] {
  const moving = shape.flatMap((size, axis) => (size === 1 ? [] : [axis]))
  if (moving.length > MOST_PERMUTED_AXES) return [shape.map((_, axis) => axis)]
  return ordersOf(moving).map((order) => {
    const rest = [...order]
    return shape.map((size, axis) => (size === 1 ? axis : rest.shift()!))
  })
}

function ordersOf(items: readonly number[]): number[][] {
  if (items.length <= 1) return [[...items]]
  return items.flatMap((item) =>
    ordersOf(items.filter((other) => other !== item)).map((order) => [item, ...order]),
  )
}

/** Tensors by their number of elements. */
export function bySize<T extends Shaped>(tensors: Iterable<T>): Map<number, T[]> {
  const groups = new Map<number, T[]>()
  for (const tensor of tensors) {
    const size = elementCount(tensor.shape)
    const group = groups.get(size)
    if (group === undefined) groups.set(size, [tensor])
    else group.push(tensor)
  }
  return groups
}
