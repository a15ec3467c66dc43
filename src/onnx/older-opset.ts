import { opsetOf } from './graph.js'
import type { Graph, Node } from './graph.js'
import { subgraphNames, subgraphOf } from './subgraph.js'

/** The newest opset that providers have kernels of all their operators for. */
const COMMON_OPSET = 21

/** Operators that came after it (fixtures/onnx/operators.json). */
const LATER_OPERATORS: ReadonlySet<string> = new Set([
  'Attention',
  'BitCast',
  'CumProd',
  'RMSNormalization',
  'RotaryEmbedding',
  'Swish',
  'TensorScatter',
])

/** Attributes that came after it: Cast 24, QuantizeLinear and DequantizeLinear 23. */
const LATER_ATTRIBUTES: ReadonlySet<string> = new Set([
  'Cast round_mode',
  'CastLike round_mode',
  'QuantizeLinear precision',
  'DequantizeLinear output_dtype',
])

/**
 * The graph declared in opset 21 where it is in a newer one and none of its nodes needs that. Opsets 22 to 26 gave the
 * operators that there were only more element types (bfloat16 and such of 2, 4 and 8 bits) and the attributes above,
 * but ONNX Runtime's WebGPU provider takes some of them (MaxPool, ConvTranspose, HardSigmoid and others) up to 21 only.
 */
export function inOlderOpset(graph: Graph): Graph {
  if (opsetOf(graph) <= COMMON_OPSET || needsNewer(graph)) return graph
  const opsets = new Map([...graph.opsets, ['', COMMON_OPSET]])
  return { ...graph, opsets }
}

function needsNewer(graph: Graph): boolean {
  return graph.nodes.some(
    (node) => isLater(node) || subgraphNames(node).some((name) => needsNewer(subgraphOf(graph, node, name))),
  )
}

function isLater({ domain, op, attributes }: Node): boolean {
  return (
    domain === '' &&
    (LATER_OPERATORS.has(op) || [...attributes.keys()].some((name) => LATER_ATTRIBUTES.has(`${op} ${name}`)))
  )
}
