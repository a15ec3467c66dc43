import type { Graph } from '../onnx/graph.js'
import { usageOf } from '../onnx/usage.js'
import type { Role } from '../onnx/usage.js'
import { elementCount } from '../tensor.js'
import type { Binding, BoundPair } from '../trajectory/bind.js'
import { plainName } from '../trajectory/translate.js'

/** A tensor that LCA is allocated to. */
export interface LcaTensor {
  /** Name in the tables: the network's, or the checkpoints' where the network's is an exporter's invention or translated. */
  readonly name: string
  /** Name in the checkpoints. */
  readonly checkpointName: string
  /** Name in the model file. */
  readonly parameterName: string
  /** The module that owns it: its name up to the last '.' or '/'. */
  readonly layer: string
  readonly role: Role
  /** The checkpoint's layout. */
  readonly shape: readonly number[]
  readonly size: number
  readonly units: UnitAxis
}

/** How elements fall into units: element i belongs to unit floor(i / inner) mod count. */
export interface UnitAxis {
  readonly axis: number
  readonly count: number
  readonly inner: number
}

/**
 * Describes the bound tensors, in the network's order, in the checkpoints' layout.
 * @param model the network as its file has it
 */
export function describeTensors(model: Graph, { pairs }: Binding): LcaTensor[] {
  return pairs.map((pair) => {
    const network = model.initializers.get(pair.parameter)!.shape
    const { role, unitAxis } = usageOf(model, pair.parameter, network.length)
    return lcaTensor(pair, role, checkpointAxis(pair, network, unitAxis))
  })
}

/** @param unitAxis of the checkpoint's layout */
export function lcaTensor(
  { name, parameter, tensor, shape }: BoundPair,
  role: Role,
  unitAxis: number,
): LcaTensor {
  return {
    name,
    checkpointName: tensor,
    parameterName: parameter,
    layer: layerOf(name),
    role,
    shape,
    size: elementCount(shape),
    units: unitsAlong(shape, unitAxis),
  }
}

/**
 * The checkpoint's axis that the network's axis is; where several make it up (a depthwise kernel's channels and their
 * multiplier), the outer one.
 */
function checkpointAxis(
  { shape, permutation, reshaped }: Pick<BoundPair, 'shape' | 'permutation' | 'reshaped'>,
  network: readonly number[],
  axis: number,
): number {
  const order = permutation ?? shape.map((_, i) => i)
  if (reshaped === undefined || elementCount(network) === 0) return order[axis] ?? 0
  const outside = elementCount(network.slice(0, axis))
  let product = 1
  for (const source of order) {
    if (product >= outside && shape[source] !== 1) return source
    product *= shape[source]!
  }
  return order[Math.min(axis, order.length - 1)] ?? 0
}

/**
 * `h.0.qkv.weight` belongs to layer `h.0.qkv`, `fc_1/kernel:0` to `fc_1`; a name without a separator is its own layer. What
 * TensorFlow's object-based checkpoints put behind names is no layer.
 */
export function layerOf(tensor: string): string {
  const name = plainName(tensor)
  const end = Math.max(name.lastIndexOf('.'), name.lastIndexOf('/'))
  return end > 0 ? name.slice(0, end) : name
}

export function unitsAlong(shape: readonly number[], axis: number): UnitAxis {
  return { axis, count: shape[axis] ?? 1, inner: elementCount(shape.slice(axis + 1)) }
}
