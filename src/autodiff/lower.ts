import { elementCount } from '../tensor.js'
import { GraphBuilder } from '../onnx/builder.js'
import type { Graph, Node } from '../onnx/graph.js'
import { capturedBy, renameReads, subgraphNames, withSubgraphs } from '../onnx/subgraph.js'
import { activate } from './driver.js'
import { withStackedLists } from './lists.js'
import { rewriteNode } from './rewriting.js'
import type { Place } from './rewriting.js'
import type { Rewrite, Settings } from './rule.js'
import { FORWARD_FORMS } from './rules/forward-forms.js'
import { treatmentOf } from './rules/table.js'

export interface Lowered {
  /** Holds the graph with the rewritten nodes, ready to be added to. */
  readonly builder: GraphBuilder
  /** Choices made on the way that a user should know. */
  readonly notes: readonly string[]
}

/**
 * Rewrites the nodes whose operators are differentiated in terms of others, where their result changes with the
 * parameters, and those whose meaning depends on the settings, wherever they stand. What a rewriting emits is
 * rewritten in its turn. Every value of the graph keeps its name, but for lists that a loop appends to, which become
 * tensors (withStackedLists).
 *
 * @throws UnsupportedOperatorError for a node in a form that can't be rewritten
 */
export function lower(model: Graph, parameters: readonly string[], settings: Settings): Lowered {
  const notes = new Set<string>()
  const graph = withStackedLists(model)
  const builder = new GraphBuilder({ ...graph, nodes: [] })
  builder.reserve(graph.nodes)
  new Lowering(graph, builder, settings, new Set(parameters), notes).all(graph.nodes)
  return { builder, notes: [...notes] }
}

class Lowering {
  private readonly canonical = new WeakSet<Node>()

  constructor(
    private readonly graph: Graph,
    private readonly builder: GraphBuilder,
    private readonly settings: Settings,
    private readonly active: Set<string>,
    private readonly notes: Set<string>,
  ) {}

  all(nodes: readonly Node[]): void {
    for (const node of nodes) this.node(node)
  }

  private node(node: Node): void {
    const inner = this.withLoweredBodies(node)
    const rewrite = this.rewritingOf(inner)
    const nodes = rewrite && rewriteNode(inner, rewrite, this.place(inner))
    if (nodes === undefined) {
      this.builder.push(inner)
      activate(inner, this.builder, this.active)
    } else this.all(this.marked(nodes, inner))
  }

  /** Nodes of an operator that its own rewriting emits are in the form that its rule knows: they stay. */
  private marked(nodes: Node[], { op, domain }: Node): Node[] {
    for (const node of nodes) if (node.op === op && node.domain === domain) this.canonical.add(node)
    return nodes
  }

  private rewritingOf(node: Node): Rewrite | undefined {
    const treatment = treatmentOf(node)
    if (treatment?.state === 'rule' && treatment.canonical !== undefined && !this.canonical.has(node))
      return treatment.canonical
    if (treatment?.state === 'rule' && this.settings.forms !== 'webgpu' && !this.canonical.has(node))
      return FORWARD_FORMS.get(node.op)
    if (treatment?.state !== 'rewritten') return undefined
    return treatment.always || this.isActive(node) ? treatment.rewrite : undefined
  }

  private place(node: Node): Place {
    return {
      graph: this.graph,
      builder: this.builder,
      settings: this.settings,
      active: this.isActive(node),
      note: (text) => this.notes.add(text),
    }
  }

  private isActive(node: Node): boolean {
    return [...node.inputs, ...capturedBy(node)].some((name) => this.active.has(name))
  }

  /** In the body of an active node everything counts as active: what is not costs a little, and harms nothing. */
  private withLoweredBodies(node: Node): Node {
    const names = subgraphNames(node)
    if (names.length === 0) return node
    const active = this.isActive(node)
    const bodies = names.map((name) => {
      const body = this.builder.body(node, name)
      const builder = new GraphBuilder({ ...body, nodes: [] }, this.builder, false)
      const values = active ? [...body.inputs.map((input) => input.name), ...capturedBy(node)] : []
      new Lowering(body, builder, this.settings, new Set(values), this.notes).all(body.nodes)
      const lowered = active ? this.sharingConstants(builder.current()) : builder.current()
      const graph: Graph = { ...lowered, inputs: body.inputs, outputs: body.outputs }
      return { name, graph, changed: !sameNodes(body, lowered) }
    })
    if (!bodies.some(({ changed }) => changed)) return node
    return withSubgraphs(node, new Map(bodies.map(({ name, graph }) => [name, graph])))
  }

  /** A body whose large constants are held by the graph around: that of the way back reads them too. */
  private sharingConstants(body: Graph): Graph {
    const outputs = new Set(body.outputs.map(({ name }) => name))
    const large = [...body.initializers].filter(
      ([name, { shape }]) => elementCount(shape) > LARGEST_COPIED && !outputs.has(name),
    )
    if (large.length === 0) return body
    const names = new Map(large.map(([name, initializer]) => [name, this.builder.hold(initializer)]))
    return {
      ...body,
      initializers: new Map([...body.initializers].filter(([name]) => !names.has(name))),
      nodes: body.nodes.map((node) => renameReads(node, (name) => names.get(name) ?? name)),
    }
  }
}

/** Constants of a body up to this many elements stay there. */
const LARGEST_COPIED = 64

function sameNodes(a: Graph, b: Graph): boolean {
  return a.nodes.length === b.nodes.length && a.nodes.every((node, i) => node === b.nodes[i])
}
