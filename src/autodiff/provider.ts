import { GraphBuilder } from '../onnx/builder.js'
import { prune } from '../onnx/finish.js'
import type { Graph, Node } from '../onnx/graph.js'
import { lowered } from '../onnx/lower.js'
import { subgraphNames, withSubgraphs } from '../onnx/subgraph.js'
import { holdKnown } from './known-values.js'
import { rewriteNode } from './rewriting.js'
import type { Settings } from './rule.js'
import { CUDA_FORMS } from './rules/cuda-forms.js'
import { PROVIDER_FORMS } from './rules/provider-forms.js'
import { QUICK_FORMS } from './rules/quick-forms.js'

const FORMS = { cpu: QUICK_FORMS, cuda: CUDA_FORMS, webgpu: PROVIDER_FORMS }

/**
 * The finished graph in operators that the execution provider runs, and runs quickly (Settings.forms), inside of
 * subgraphs too. Inputs, outputs and all values of the graph keep their names.
 *
 * @throws UnsupportedOperatorError for a form that can't be said otherwise
 */
export function adaptToProvider(graph: Graph, settings: Settings): Graph {
  const builder = new GraphBuilder({ ...graph, nodes: [] })
  builder.reserve(graph.nodes)
  const found = adapted(graph, builder, settings)
  return settings.forms === 'cuda' ? lowered(found) : found
}

function adapted(graph: Graph, builder: GraphBuilder, settings: Settings): Graph {
  const place = { graph, builder, settings, active: true, note: () => undefined }
  const add = (node: Node): void => {
    const form = node.domain === '' ? FORMS[settings.forms].get(node.op) : undefined
    const applies = form?.applies(node, builder, graph) === true
    const nodes = applies ? rewriteNode(node, form.rewrite, place) : undefined
    if (nodes === undefined) {
      builder.push(withAdaptedBodies(node, builder, settings))
      if (settings.forms !== 'webgpu') holdKnown(node, builder)
    } else nodes.forEach(add)
  }
  graph.nodes.forEach(add)
  const { nodes, initializers } = builder.current()
  const needed = new Set(graph.outputs.map(({ name }) => name))
  return { ...graph, nodes: prune(nodes, needed), initializers }
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
