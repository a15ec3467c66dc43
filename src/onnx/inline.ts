import { create } from '@bufbuild/protobuf'
import { UnsupportedModelError } from '../errors.js'
import { describeNode, opsetOf } from './graph.js'
import type { Graph, Initializer, Node } from './graph.js'
import { liftOpset, RULE_OPSET } from './lift.js'
import { plainNode } from './plain-node.js'
import { NodeProtoSchema } from './proto/onnx_pb.js'
import type { AttributeProto, FunctionProto, GraphProto, NodeProto } from './proto/onnx_pb.js'
import { constantTensor, toNode } from './from-proto.js'
import { subgraphNames, subgraphOf, withSubgraphs } from './subgraph.js'
import { readInitializer } from './tensors.js'

/**
 * The graph with every call of a model-local function replaced by the function's body (ONNX IR, Functions), inside
 * subgraphs too. Where functions and model are written in different versions of ai.onnx, both are lifted first.
 *
 * @throws UnsupportedModelError for a function that calls itself, or versions that can't be brought together
 */
export function inlineFunctions(graph: Graph): Graph {
  if (graph.functions.length === 0) return graph
  const functions = new Map(graph.functions.map((one) => [keyOf(one), one]))
  if (![...functionsCalled(graph.nodes)].some((key) => functions.has(key))) return { ...graph, functions: [] }
  const opset = commonOpset(graph)
  const base = opset === opsetOf(graph) ? graph : liftOpset(graph)
  const initializers = new Map(base.initializers)
  const inlining = new Inlining(base, functions, opset, initializers)
  const nodes = inlining.all(base.nodes, [])
  return { ...base, opsets: new Map([...base.opsets, ['', opset]]), functions: [], initializers, nodes }
}

function keyOf({ domain, name, overload }: Pick<FunctionProto, 'domain' | 'name' | 'overload'>): string {
  return JSON.stringify([domain, name, overload])
}

function keyOfNode({ domain, op, overload }: Node): string {
  return keyOf({ domain, name: op, overload: overload ?? '' })
}

function functionsCalled(nodes: readonly Node[]): Set<string> {
  const called = new Set<string>()
  const inGraph = ({ node }: GraphProto): void => {
    node.forEach((one) => {
      visit(toNode(one))
    })
  }
  const visit = (node: Node): void => {
    called.add(keyOfNode(node))
    for (const { g, graphs } of node.attributes.values())
      (g === undefined ? graphs : [g, ...graphs]).forEach(inGraph)
  }
  nodes.forEach(visit)
  return called
}

/** Operators whose form differs between versions that need no lifting, so that a mixture could be misread. */
export const DIFFERENT_SINCE: Readonly<Record<string, number>> = {
  DFT: 20,
  GridSample: 20,
  GroupNormalization: 21,
}

/** The version of ai.onnx that model and functions can both be read in. */
function commonOpset(graph: Graph): number {
  const versions = [opsetOf(graph), ...graph.functions.map((one) => functionOpset(one, graph))]
  const [low, high] = [Math.min(...versions), Math.max(...versions)]
  if (low === high) return low
  const result = Math.max(high, RULE_OPSET)
  const nodes = [...graph.nodes, ...graph.functions.flatMap(({ node }) => node.map(toNode))]
  const mixed = nodes.find(({ op, domain }) => {
    const since = domain === '' ? DIFFERENT_SINCE[op] : undefined
    return since !== undefined && low < since && since <= result
  })
  if (mixed !== undefined)
    throw new UnsupportedModelError(
      `the model and its functions are written in ai.onnx opsets ${low} to ${high}, between which ${mixed.op} changed its ` +
        `meaning; export the model with one opset_version`,
    )
  return result
}

function functionOpset({ opsetImport }: FunctionProto, graph: Graph): number {
  const own = opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')
  return own === undefined ? opsetOf(graph) : Number(own.version)
}

/** Functions that call functions, twice each and so on, would grow without bound. */
const MOST_NODES = 1_000_000
const DEEPEST_CALL = 200

class Inlining {
  private count = 0
  /** How many nodes the calls so far have been replaced by. */
  private size = 0

  constructor(
    private readonly graph: Graph,
    private readonly functions: ReadonlyMap<string, FunctionProto>,
    private readonly opset: number,
    private readonly initializers: Map<string, Initializer>,
  ) {}

  /** `calls` are the functions that are being inlined, outermost first. */
  all(nodes: readonly Node[], calls: readonly string[]): Node[] {
    return nodes.flatMap((node) => {
      const key = keyOfNode(node)
      const called = this.functions.get(key)
      if (called === undefined) return [this.inSubgraphs(node, calls)]
      if (calls.includes(key))
        throw new UnsupportedModelError(`the function ${called.domain}.${called.name} calls itself`)
      this.grow(called, calls.length)
      return this.all(this.body(node, called), [...calls, key])
    })
  }

  private grow({ domain, name, node }: FunctionProto, depth: number): void {
    this.size += 1 + node.length
    if (this.size > MOST_NODES || depth >= DEEPEST_CALL)
      throw new UnsupportedModelError(
        `the functions of the model call each other too deep or too often (at ${domain}.${name}): they would become more ` +
          `than ${MOST_NODES} nodes, or stand ${DEEPEST_CALL} deep`,
      )
  }

  private inSubgraphs(node: Node, calls: readonly string[]): Node {
    const names = subgraphNames(node)
    if (names.length === 0 || ![...functionsCalled([node])].some((key) => this.functions.has(key)))
      return node
    const bodies = names.map((name): [string, Graph] => {
      const body = subgraphOf(this.graph, node, name)
      return [name, { ...body, nodes: this.all(body.nodes, calls) }]
    })
    return withSubgraphs(node, new Map(bodies))
  }

  /** The nodes of a function for one call: values have new names, attributes the caller's values. */
  private body(call: Node, called: FunctionProto): Node[] {
    this.count += 1
    const prefix = `inlined/${this.count}/`
    const names = new Map<string, string>([['', '']])
    called.input.forEach((name, i) => names.set(name, call.inputs[i] ?? ''))
    const copies = this.nameOutputs(call, called, names, prefix)
    const rename = (name: string): string => names.get(name) ?? `${prefix}${name}`
    const given = attributesOf(call, called)
    const nodes = called.node.map((proto) => toNode(boundNode(proto, rename, given)))
    return [...this.lifted(nodes, called).flatMap((node) => this.withoutConstants(node)), ...copies]
  }

  /** An output that is an input, or stands twice, is copied to its name. */
  private nameOutputs(call: Node, called: FunctionProto, names: Map<string, string>, prefix: string): Node[] {
    return called.output.flatMap((name, i): Node[] => {
      const wanted = call.outputs[i] ?? ''
      if (wanted === '') return []
      if (!names.has(name)) {
        names.set(name, wanted)
        return []
      }
      return [plainNode('Identity', [names.get(name) ?? `${prefix}${name}`], wanted)]
    })
  }

  private lifted(nodes: Node[], called: FunctionProto): readonly Node[] {
    const own = functionOpset(called, this.graph)
    if (own >= RULE_OPSET || own === this.opset) return nodes
    const graph: Graph = {
      ...this.graph,
      opsets: new Map([['', own]]),
      inputs: [],
      outputs: [],
      initializers: new Map(),
      nodes,
    }
    const { nodes: result, initializers } = liftOpset(graph)
    for (const [name, initializer] of initializers) this.initializers.set(name, initializer)
    return result
  }

  private withoutConstants(node: Node): Node[] {
    const tensor = constantTensor(node)
    if (tensor === undefined) return [node]
    const name = node.outputs[0] ?? ''
    this.initializers.set(name, { ...readInitializer(tensor, describeNode(node), name), literal: true })
    return []
  }
}

/** Attribute values of a call by the names that the function gives them: the caller's, else the function's defaults. */
function attributesOf(call: Node, called: FunctionProto): ReadonlyMap<string, AttributeProto> {
  return new Map([
    ...called.attributeProto.map((attribute): [string, AttributeProto] => [attribute.name, attribute]),
    ...call.attributes,
  ])
}

/** A node with values renamed, in its subgraphs too, and attributes that refer to the function's replaced by values. */
function boundNode(
  proto: NodeProto,
  rename: (name: string) => string,
  given: ReadonlyMap<string, AttributeProto>,
): NodeProto {
  const attribute = proto.attribute.flatMap((one): AttributeProto[] => {
    if (one.refAttrName === '') return [boundAttribute(one, rename, given)]
    const value = given.get(one.refAttrName)
    return value === undefined ? [] : [{ ...value, name: one.name }]
  })
  return create(NodeProtoSchema, {
    ...proto,
    attribute,
    input: proto.input.map(rename),
    output: proto.output.map(rename),
  })
}

function boundAttribute(
  attribute: AttributeProto,
  rename: (name: string) => string,
  given: ReadonlyMap<string, AttributeProto>,
): AttributeProto {
  const { g, graphs } = attribute
  if (g === undefined && graphs.length === 0) return attribute
  const bound = (graph: GraphProto): GraphProto => boundGraph(graph, rename, given)
  return { ...attribute, graphs: graphs.map(bound), ...(g && { g: bound(g) }) }
}

function boundGraph(
  graph: GraphProto,
  rename: (name: string) => string,
  given: ReadonlyMap<string, AttributeProto>,
): GraphProto {
  const named = <T extends { readonly name: string }>(values: readonly T[]): T[] =>
    values.map((value) => ({ ...value, name: rename(value.name) }))
  return {
    ...graph,
    input: named(graph.input),
    output: named(graph.output),
    initializer: named(graph.initializer),
    valueInfo: [],
    node: graph.node.map((one) => boundNode(one, rename, given)),
  }
}
