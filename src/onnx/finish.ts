import type { Node } from './graph.js'
import { plainNode } from './plain-node.js'
import { capturedBy, renameReads } from './subgraph.js'

/** The nodes that compute what is needed and not given; `needed` grows by what they read themselves. */
export function prune(
  nodes: readonly Node[],
  needed: Set<string>,
  given: ReadonlySet<string> = new Set(),
): Node[] {
  const kept = nodes.toReversed().filter((node) => {
    if (!node.outputs.some((name) => needed.has(name) && !given.has(name))) return false
    for (const name of node.inputs) needed.add(name)
    for (const name of capturedBy(node)) needed.add(name)
    return true
  })
  return kept.reverse()
}

/**
 * Nodes with some values renamed: one that is `computed` by them gets its name, another is copied, and so is a value
 * that is asked for under two names.
 */
export function renamedValues(
  nodes: readonly Node[],
  computed: (value: string) => boolean,
  values: readonly (readonly [name: string, value: string])[],
): Node[] {
  const names = new Map<string, string>()
  const copies: Node[] = []
  for (const [name, value] of values) {
    if (computed(value) && !names.has(value)) names.set(value, name)
    else copies.push(plainNode('Identity', [names.get(value) ?? value], name))
  }
  const rename = (value: string): string => names.get(value) ?? value
  const renamed = nodes.map((node) => {
    const reading = renameReads(node, rename)
    return node.outputs.some((name) => names.has(name))
      ? { ...reading, outputs: node.outputs.map(rename) }
      : reading
  })
  return [...renamed, ...copies]
}
