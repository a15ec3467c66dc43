import { intAttribute, intsAttribute } from './attributes.js'
import type { Graph, Node } from './graph.js'
import { nodesReading } from './reading-nodes.js'

/** What a tensor is to the network. */
export type Role = 'weight' | 'bias' | 'norm' | 'embedding' | 'buffer'

export interface Usage {
  readonly role: Role
  /** The axis whose index is the unit (output neuron or channel), in the tensor's own layout. */
  readonly unitAxis: number
}

/**
 * Inputs of an operator by the role of a tensor that is put there, and the axis that holds its output units; the rank is
 * NaN where the tensor was reshaped on the way.
 */
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
  PRelu: (_, input) => (input === 1 ? weight(0) : undefined),
  BatchNormalization: normalization,
  LayerNormalization: normalization,
  InstanceNormalization: normalization,
  GroupNormalization: normalization,
  RMSNormalization: normalization,
  LSTM: (_, input) => (input === 3 ? of('bias') : weight(1)),
  GRU: (_, input) => (input === 3 ? of('bias') : weight(1)),
  RNN: (_, input) => (input === 3 ? of('bias') : weight(1)),
}

/** Where axis i of a value stands in the tensor; undefined where that is not known. */
type Axes = readonly number[] | undefined

/** Operators that hand a tensor on, whole or in parts, and what becomes of its axes. */
const PASSING: Readonly<Record<string, (node: Node, axes: Axes) => Axes>> = {
  ...Object.fromEntries(
    ['Identity', 'Cast', 'CastLike', 'Slice', 'Split', 'Concat'].map((op) => [
      op,
      (_: Node, axes: Axes) => axes,
    ]),
  ),
  ...Object.fromEntries(['Unsqueeze', 'Squeeze', 'Reshape', 'Flatten'].map((op) => [op, () => undefined])),
  Transpose: (node, axes) => {
    const order = intsAttribute(node, 'perm') ?? axes?.map((_, axis) => axes.length - 1 - axis)
    return order?.map((axis) => axes?.[axis] ?? 0)
  },
}

/**
 * The role and the unit axis of a tensor, from the operators that read it (DESIGN: Conv and Gemm with transB axis 0,
 * the right operand of MatMul its last axis, an embedding its row, one dimension the element). A tensor that is only
 * multiplied or added elementwise is a norm's when it has one dimension; anything else is a weight along axis 0.
 */
export function usageOf(graph: Graph, tensor: string, rank: number): Usage {
  const found = readingOf(graph, tensor, rank)
  const fallback: Usage = { role: rank <= 1 ? 'norm' : 'weight', unitAxis: 0 }
  return found === undefined ? fallback : found.usage
}

/** The operator that says what a tensor is to the network. */
export interface Reading {
  readonly usage: Usage
  readonly node: Node
  /** Which of the node's inputs it is. */
  readonly input: number
  /** For each axis of what the node reads, the tensor's axis that it is; undefined where a reshape hides it. */
  readonly axes: Axes
}

/** The first reader of a tensor, or of what hands it on, that gives it a role; undefined where none does. */
export function readingOf(graph: Graph, tensor: string, rank: number): Reading | undefined {
  const axes = Array.from({ length: rank }, (_, axis) => axis)
  return follow(graph, tensor, axes, new Set())
}

/** `seen` are the values that were followed before, to no end. */
function follow(graph: Graph, value: string, axes: Axes, seen: Set<string>): Reading | undefined {
  const key = `${axes === undefined ? 'part' : 'whole'} ${value}`
  if (seen.has(key)) return undefined
  seen.add(key)
  for (const node of nodesReading(graph, value)) {
    if (node.domain !== '') continue
    const reading = passedOn(graph, node, axes, seen) ?? readBy(node, node.inputs.indexOf(value), axes)
    if (reading !== undefined) return reading
  }
  return undefined
}

function passedOn(graph: Graph, node: Node, axes: Axes, seen: Set<string>): Reading | undefined {
  const passing = PASSING[node.op]
  if (passing === undefined) return undefined
  const after = passing(node, axes)
  for (const output of node.outputs) {
    const reading = follow(graph, output, after, seen)
    if (reading !== undefined) return reading
  }
  return undefined
}

function readBy(node: Node, input: number, axes: Axes): Reading | undefined {
  const usage = SLOTS[node.op]?.(node, input, axes?.length ?? NaN)
  if (usage === undefined) return undefined
  const { role, unitAxis } = usage
  return { usage: { role, unitAxis: axes?.[unitAxis] ?? 0 }, node, input, axes }
}
