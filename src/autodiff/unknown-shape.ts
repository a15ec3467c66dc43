import { describeNode } from '../onnx/graph.js'
import type { GraphBuilder } from '../onnx/builder.js'
import type { Graph } from '../onnx/graph.js'

/** Why the shape of a value is not known: the node where inference first lost it, or the input that declares none. */
export function reasonForUnknownShape(graph: Graph, builder: GraphBuilder, value: string): string {
  const producer = graph.nodes.find((node) => node.outputs.includes(value))
  if (producer === undefined) return `'${value}' is declared without a shape`
  const before = producer.inputs.find((name) => name !== '' && builder.shapeOf(name) === undefined)
  if (before !== undefined) return reasonForUnknownShape(graph, builder, before)
  return `the output of node ${describeNode(producer)} can't be inferred`
}
