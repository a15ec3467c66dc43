import type { Graph } from '../onnx/graph.js'
import { capturedBy } from '../onnx/subgraph.js'

const counted = new WeakMap<Graph, ReadonlyMap<string, number>>()

/** How often a value is read: by nodes, by the graphs that they carry, and as an output. */
export function readersOf(graph: Graph, value: string): number {
  let counts = counted.get(graph)
  if (counts === undefined) {
    counts = readers(graph)
    counted.set(graph, counts)
  }
  return counts.get(value) ?? 0
}

function readers({ nodes, outputs }: Graph): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  const count = (name: string): void => {
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  for (const node of nodes) {
    node.inputs.forEach(count)
    capturedBy(node).forEach(count)
  }
  for (const { name } of outputs) count(name)
  return counts
}
