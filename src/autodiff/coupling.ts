import { intsAttribute } from '../onnx/attributes.js'
import type { Graph, Node } from '../onnx/graph.js'
import { capturedBy, subgraphNames, subgraphOf } from '../onnx/subgraph.js'
import type { Settings } from './rule.js'

/** Axes of MeanVarianceNormalization where the node names none (version 13). */
const MEAN_VARIANCE_AXES = [0, 2, 3]

/**
 * The operator that lets samples of a micro-batch meet before the loss: it takes statistics over the batch axis, so that
 * the loss depends on how samples are cut into micro-batches. Undefined where each sample counts for itself.
 *
 * @param value the value that the loss is a function of
 */
export function coupledBy(graph: Graph, value: string, settings: Settings): string | undefined {
  const wanted = new Set([value])
  const above = graph.nodes.toReversed().filter((node) => {
    if (!node.outputs.some((name) => wanted.has(name))) return false
    for (const name of [...node.inputs, ...capturedBy(node)]) wanted.add(name)
    return true
  })
  for (const node of withBodies(graph, above.reverse())) if (couples(node, settings)) return node.op
  return undefined
}

/** Whether a network normalizes by BatchNormalization, whose meaning depends on the settings. */
export function hasBatchNorm(graph: Graph): boolean {
  for (const { domain, op } of withBodies(graph, graph.nodes))
    if (domain === '' && op === 'BatchNormalization') return true
  return false
}

/** What is said where a user asks for the statistics of the batch, and nothing takes any. */
export const NO_BATCH_NORM =
  '--batchnorm batch has no effect: the network has no BatchNormalization (an exporter may have folded it)'

function couples(node: Node, settings: Settings): boolean {
  if (node.domain !== '') return false
  if (node.op === 'BatchNormalization') return settings.batchNorm === 'batch'
  return (
    node.op === 'MeanVarianceNormalization' && (intsAttribute(node, 'axes') ?? MEAN_VARIANCE_AXES).includes(0)
  )
}

/** Nodes, each followed by those of the graphs that it carries. */
function* withBodies(graph: Graph, nodes: readonly Node[]): Generator<Node> {
  for (const node of nodes) {
    yield node
    for (const name of subgraphNames(node)) {
      const body = subgraphOf(graph, node, name)
      yield* withBodies(body, body.nodes)
    }
  }
}
