import type { Graph } from '../onnx/graph.js'
import { usageOf } from '../onnx/usage.js'
import type { Role } from '../onnx/usage.js'
import { elementCount } from '../tensor.js'
import type { Binding } from '../trajectory/bind.js'

/** A tensor that LCA is allocated to. */
export interface LcaTensor {
  /** Name in the tables: the network's. */
  readonly name: string
  /** Name in the checkpoints. */
  readonly checkpointName: string
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

/** Describes the bound tensors, in the network's order. */
export function describeTensors(graph: Graph, binding: Binding): LcaTensor[] {
  return binding.pairs.map(({ parameter, tensor }) => {
    const { shape } = graph.initializers.get(parameter)!
    const { role, unitAxis } = usageOf(graph, parameter, shape.length)
    return {
      name: parameter,
      checkpointName: tensor,
      layer: layerOf(parameter),
      role,
      shape,
      size: elementCount(shape),
      units: unitsAlong(shape, unitAxis),
    }
  })
}

/** `h.0.qkv.weight` belongs to layer `h.0.qkv`, `fc_1/kernel` to `fc_1`; a name without a separator is its own layer. */
export function layerOf(tensor: string): string {
  const name = tensor.replace(/:\d+$/, '')
  const end = Math.max(name.lastIndexOf('.'), name.lastIndexOf('/'))
  return end > 0 ? name.slice(0, end) : name
}

export function unitsAlong(shape: readonly number[], axis: number): UnitAxis {
  return { axis, count: shape[axis] ?? 1, inner: elementCount(shape.slice(axis + 1)) }
}
