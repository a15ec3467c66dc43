import { create } from '@bufbuild/protobuf'
import { UnsupportedModelError } from '../errors.js'
import { hasSubgraph } from './attributes.js'
import { describeNode } from './graph.js'
import type { Graph, Node } from './graph.js'
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  NodeProtoSchema,
  TensorProto_DataLocation,
} from './proto/onnx_pb.js'
import type { AttributeProto, GraphProto, NodeProto } from './proto/onnx_pb.js'
import { fromGraphProto } from './from-proto.js'
import { toGraphProto } from './write.js'

const decoded = new WeakMap<GraphProto, Graph>()

/** The graph that a node carries in an attribute (the body of Scan and Loop, the branches of If). */
export function subgraphOf(graph: Graph, node: Node, attribute: string): Graph {
  const proto = node.attributes.get(attribute)?.g
  if (proto === undefined)
    throw new UnsupportedModelError(`node ${describeNode(node)} has no graph '${attribute}'`)
  const before = decoded.get(proto)
  if (before?.opsets === graph.opsets) return before
  const found = decode(graph, node, proto)
  decoded.set(proto, found)
  return found
}

function decode(graph: Graph, node: Node, proto: GraphProto): Graph {
  const external = proto.initializer.find((one) => one.dataLocation === TensorProto_DataLocation.EXTERNAL)
  if (external !== undefined)
    throw new UnsupportedModelError(
      `node ${describeNode(node)} keeps '${external.name}' of its graph in another file; save the model with its data inside`,
    )
  return fromGraphProto(proto, `node ${describeNode(node)}`, graph)
}

/** Names of the attributes of a node that hold graphs. */
export function subgraphNames(node: Node): string[] {
  return [...node.attributes].flatMap(([name, { g }]) => (g === undefined ? [] : [name]))
}

/** A graph as a node's attribute. */
export function graphAttribute(name: string, graph: Graph): AttributeProto {
  return create(AttributeProtoSchema, {
    name,
    type: AttributeProto_AttributeType.GRAPH,
    g: toGraphProto(graph),
  })
}

/** The node with other graphs in some of its attributes. */
export function withSubgraphs(node: Node, graphs: ReadonlyMap<string, Graph>): Node {
  const changed = [...graphs].map(([name, graph]): [string, AttributeProto] => [
    name,
    graphAttribute(name, graph),
  ])
  return { ...node, attributes: new Map([...node.attributes, ...changed]) }
}

const NOTHING: readonly string[] = []
const captures = new WeakMap<Node, readonly string[]>()

/** The values of the graph around it that a node's subgraphs, however deep, read; each once. */
export function capturedBy(node: Node): readonly string[] {
  if (!hasSubgraph(node)) return NOTHING
  let found = captures.get(node)
  if (found === undefined) {
    const names = new Set<string>()
    for (const { g, graphs } of node.attributes.values())
      for (const graph of g === undefined ? graphs : [g, ...graphs]) collectCaptured(graph, names)
    found = [...names]
    captures.set(node, found)
  }
  return found
}

function collectCaptured(graph: GraphProto, into: Set<string>): void {
  const own = new Set([
    '',
    ...graph.input.map(({ name }) => name),
    ...graph.initializer.map(({ name }) => name),
    ...graph.node.flatMap(({ output }) => output),
  ])
  const read = (name: string): void => {
    if (!own.has(name)) into.add(name)
  }
  graph.output.forEach(({ name }) => {
    read(name)
  })
  for (const { input, attribute } of graph.node) {
    input.forEach(read)
    const inner = new Set<string>()
    for (const { g, graphs } of attribute)
      for (const one of g === undefined ? graphs : [g, ...graphs]) collectCaptured(one, inner)
    inner.forEach(read)
  }
}

/** How deep graphs stand inside of a node: 0 where it carries none. */
export function nestingOf({ attributes }: Node): number {
  const below = ({ node }: GraphProto): number =>
    1 + node.reduce((most, { attribute }) => Math.max(most, deepest(attribute)), 0)
  const deepest = (all: Iterable<AttributeProto>): number => {
    let most = 0
    for (const { g, graphs } of all)
      for (const graph of g === undefined ? graphs : [g, ...graphs]) most = Math.max(most, below(graph))
    return most
  }
  return deepest(attributes.values())
}

/** The values that nodes compute, in their subgraphs too, however deep. */
export function computedBy(nodes: readonly Node[]): string[] {
  const inGraph = ({ node }: GraphProto): string[] =>
    node.flatMap(({ output, attribute }) => [...output, ...attribute.flatMap(inAttribute)])
  const inAttribute = ({ g, graphs }: AttributeProto): string[] =>
    (g === undefined ? graphs : [g, ...graphs]).flatMap(inGraph)
  return nodes.flatMap(({ outputs, attributes }) => [
    ...outputs,
    ...[...attributes.values()].flatMap(inAttribute),
  ])
}

/** The node with the values that it reads renamed, in its inputs and in what its subgraphs capture. */
export function renameReads(node: Node, rename: (value: string) => string): Node {
  const inputs = node.inputs.every((name) => rename(name) === name) ? node.inputs : node.inputs.map(rename)
  if (inputs === node.inputs && !hasSubgraph(node)) return node
  if (capturedBy(node).every((name) => rename(name) === name)) return { ...node, inputs }
  const attributes = [...node.attributes].map(([name, attribute]): [string, AttributeProto] => [
    name,
    renamedAttribute(attribute, rename),
  ])
  return { ...node, inputs, attributes: new Map(attributes) }
}

function renamedAttribute(attribute: AttributeProto, rename: (value: string) => string): AttributeProto {
  const { g, graphs } = attribute
  if (g === undefined && graphs.length === 0) return attribute
  const renamed = graphs.map((graph) => renamedGraph(graph, rename))
  return { ...attribute, graphs: renamed, ...(g && { g: renamedGraph(g, rename) }) }
}

function renamedGraph(graph: GraphProto, outer: (value: string) => string): GraphProto {
  const own = new Set([
    ...graph.input.map(({ name }) => name),
    ...graph.initializer.map(({ name }) => name),
    ...graph.node.flatMap(({ output }) => output),
  ])
  const rename = (value: string): string => (own.has(value) ? value : outer(value))
  const node = graph.node.map((one): NodeProto =>
    create(NodeProtoSchema, {
      ...one,
      input: one.input.map(rename),
      attribute: one.attribute.map((attribute) => renamedAttribute(attribute, rename)),
    }),
  )
  return { ...graph, node, output: graph.output.map((one) => ({ ...one, name: rename(one.name) })) }
}
