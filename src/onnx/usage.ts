import { intAttribute, intsAttribute } from './attributes.js'
import type { Graph, Node } from './graph.js'

/** What a tensor is to the network. */
export type Role = 'weight' | 'bias' | 'norm' | 'embedding' | 'buffer'

export interface Usage {
  readonly role: Role
  /** The axis whose index is the unit (output neuron or channel), in the tensor's own layout. */
  readonly unitAxis: number
}

/** Inputs of an operator by the role of a tensor that is put there, and the axis that holds its output units. */
type Slot = (node: Node, input: number, rank: number) => Usage | undefined

const weight = (unitAxis: number): Usage => ({ role: 'weight', unitAxis })
const of = (role: Role): Usage => ({ role, unitAxis: 0 })
const normalization: Slot = (_, input) => (input >= 3 ? of('buffer') : input >= 1 ? of('norm') : undefined)

const SLOTS: Readonly<Record<string, Slot>> = {
  Conv: (_, input) => [undefined, weight(0), of('bias')][input],
  ConvTranspose: (_, input) => [undefined, weight(1), of('bias')][input],
  Gemm: (node, input) => {
    if (input === 2) return of('bias')
    return weight(input === 1 ? 1 - intAttribute(node, 'transB', 0) : intAttribute(node, 'transA', 0))
  },
  MatMul: (_, input, rank) => weight(input === 1 ? rank - 1 : Math.max(0, rank - 2)),
  Gather: (_, input) => (input === 0 ? of('embedding') : undefined),
  Add: (_, __, rank) => (rank <= 1 ? of('bias') : undefined),
  BatchNormalization: normalization,
  LayerNormalization: normalization,
  InstanceNormalization: normalization,
  GroupNormalization: normalization,
  RMSNormalization: normalization,
  LSTM: (_, input) => (input === 3 ? of('bias') : weight(1)),
  GRU: (_, input) => (input === 3 ? of('bias') : weight(1)),
  RNN: (_, input) => (input === 3 ? of('bias') : weight(1)),
}

/** Operators that hand a tensor on; a transposition moves its axes. */
const PASSING = new Set(['Identity', 'Cast', 'CastLike', 'Transpose'])

/**
 * The role and the unit axis of a tensor, from the operators that read it (DESIGN: Conv and Gemm with transB axis 0,
 * the right operand of MatMul its last axis, an embedding its row, one dimension the element). A tensor that is only
 * multiplied or added elementwise is a norm's when it has one dimension; anything else is a weight along axis 0.
 */
export function usageOf(graph: Graph, tensor: string, rank: number): Usage {
  const found = follow(
    graph.nodes,
    tensor,
    Array.from({ length: rank }, (_, axis) => axis),
  )
  const fallback: Usage = { role: rank <= 1 ? 'norm' : 'weight', unitAxis: 0 }
  return found ?? fallback
}

/** `axes[i]` is the axis of the tensor that stands at axis i of the value. */
function follow(nodes: readonly Node[], value: string, axes: readonly number[]): Usage | undefined {
  for (const node of nodes) {
    const input = node.inputs.indexOf(value)
    if (input < 0 || node.domain !== '') continue
    const usage = PASSING.has(node.op)
      ? follow(nodes, node.outputs[0] ?? '', passed(node, axes))
      : SLOTS[node.op]?.(node, input, axes.length)
    if (usage !== undefined)
      return {
        role: usage.role,
        unitAxis: PASSING.has(node.op) ? usage.unitAxis : (axes[usage.unitAxis] ?? 0),
      }
  }
  return undefined
}

function passed(node: Node, axes: readonly number[]): readonly number[] {
  if (node.op !== 'Transpose') return axes
  const order = intsAttribute(node, 'perm') ?? axes.map((_, axis) => axes.length - 1 - axis)
  return order.map((axis) => axes[axis] ?? 0)
}
