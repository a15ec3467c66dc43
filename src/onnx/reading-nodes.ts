import type { Graph, Node } from './graph.js'

const known = new WeakMap<Graph, ReadonlyMap<string, readonly Node[]>>()

/** The nodes of a graph that read a value, in the graph's order, each once. */
export function nodesReading(graph: Graph, value: string): readonly Node[] {
  let all = known.get(graph)
  if (all === undefined) {
    all = indexOf(graph)
    known.set(graph, all)
  }
  return all.get(value) ?? []
}

function indexOf({ nodes }: Graph): ReadonlyMap<string, readonly Node[]> {
  const readers = new Map<string, Node[]>()
  for (const node of nodes)
    for (const input of new Set(node.inputs)) {
      const found = readers.get(input)
      if (found === undefined) readers.set(input, [node])
      else found.push(node)
    }
  return readers
}
