import type { Graph, Node } from '../../../src/onnx/graph.js'
import { withSubgraphs } from '../../../src/onnx/subgraph.js'
import { graphOf, input } from '../graphs.js'
import type { GraphParts } from '../graphs.js'

/** A graph for a node to carry; nothing is said of its inputs' types. */
export function bodyOf(
  inputs: readonly string[],
  outputs: readonly string[],
  nodes: readonly Node[],
  initializers: GraphParts['initializers'] = {},
): Graph {
  const untyped = inputs.map((name) => ({ name, dtype: undefined, shape: undefined }))
  return graphOf({ inputs: untyped, outputs, nodes, initializers })
}

/** The body of a Loop; ONNX Runtime wants to know the shapes of the iteration's number and of the condition. */
export function loopBody(...parts: Parameters<typeof bodyOf>): Graph {
  const graph = bodyOf(...parts)
  const inputs = graph.inputs.map((value, i) =>
    i < 2 ? input(value.name, [], i === 0 ? 'int64' : 'bool') : value,
  )
  return { ...graph, inputs }
}

/** A node with graphs in attributes. */
export function carrying(plain: Node, graphs: Readonly<Record<string, Graph>>): Node {
  return withSubgraphs(plain, new Map(Object.entries(graphs)))
}
