import { GraphBuilder } from '../onnx/builder.js'
import type { Graph, Node } from '../onnx/graph.js'
import { subgraphNames, withSubgraphs } from '../onnx/subgraph.js'
import { rewriteNode } from './rewriting.js'
import type { Settings } from './rule.js'
import { PROVIDER_FORMS } from './rules/provider-forms.js'

/**
 * The finished graph in operators that the execution provider runs (Settings.forms), inside of subgraphs too. Inputs,
 * outputs and all values of the graph keep their names.
 *
 * @throws UnsupportedOperatorError for a form that can't be said otherwise
 */
export function adaptToProvider(graph: Graph, settings: Settings): Graph {
  if (settings.forms === 'cpu') return graph
  const builder = new GraphBuilder({ ...graph, nodes: [] })
  builder.reserve(graph.nodes)
  return adapted(graph, builder, settings)
}

function adapted(graph: Graph, builder: GraphBuilder, settings: Settings): Graph {
  const place = { graph, builder, settings, active: true, note: () => undefined }
  const add = (node: Node): void => {
    const form = node.domain === '' ? PROVIDER_FORMS.get(node.op) : undefined
    const nodes = form?.applies(node, builder) === true ? rewriteNode(node, form.rewrite, place) : undefined
    if (nodes === undefined) builder.push(withAdaptedBodies(node, builder, settings))
    else nodes.forEach(add)
  }
  graph.nodes.forEach(add)
  const { nodes, initializers } = builder.current()
  return { ...graph, nodes, initializers }
}

function withAdaptedBodies(node: Node, outer: GraphBuilder, settings: Settings): Node {
  const names = subgraphNames(node)
  if (names.length === 0) return node
  const bodies = names.map((name): [string, Graph] => {
    const body = outer.body(node, name)
    return [name, adapted(body, new GraphBuilder({ ...body, nodes: [] }, outer, false), settings)]
  })
  return withSubgraphs(node, new Map(bodies))
}
