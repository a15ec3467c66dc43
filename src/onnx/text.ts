import { AttributeProto_AttributeType as Type } from './proto/onnx_pb.js'
import type { AttributeProto } from './proto/onnx_pb.js'
import type { Graph, NamedValue, Node } from './graph.js'
import { subgraphNames, subgraphOf } from './subgraph.js'

/** A graph as text, one line a node and the graphs that it carries indented below it, for snapshots and for people. */
export function graphText(graph: Graph): string {
  const opsets = [...graph.opsets].map(
    ([domain, version]) => `${domain === '' ? 'ai.onnx' : domain} ${version}`,
  )
  return [`opset ${opsets.join(', ')}`, ...linesOf(graph), ''].join('\n')
}

function linesOf(graph: Graph): string[] {
  return [
    ...graph.inputs.map((value) => `input ${valueText(value)}`),
    ...[...graph.initializers].map(
      ([name, { dtype, shape }]) => `constant ${name}: ${valueType(dtype, shape)}`,
    ),
    ...graph.nodes.flatMap((node) => [nodeText(node), ...carriedLines(graph, node)]),
    ...graph.outputs.map((value) => `output ${valueText(value)}`),
  ]
}

function carriedLines(graph: Graph, node: Node): string[] {
  return subgraphNames(node).flatMap((name) => [
    `  ${name}:`,
    ...linesOf(subgraphOf(graph, node, name)).map((line) => `    ${line}`),
  ])
}

function valueText({ name, dtype, shape }: NamedValue): string {
  return `${name}: ${valueType(dtype, shape)}`
}

function valueType(dtype: NamedValue['dtype'], shape: NamedValue['shape']): string {
  return `${dtype ?? '?'}[${shape?.join(', ') ?? '...'}]`
}

function nodeText({ outputs, op, domain, inputs, attributes }: Node): string {
  const settings = [...attributes].map(([name, attribute]) => `${name}=${attributeText(attribute)}`)
  const operator = domain === '' ? op : `${domain}.${op}`
  return `${outputs.join(', ')} = ${operator}${settings.length === 0 ? '' : `<${settings.join(', ')}>`}(${inputs.join(', ')})`
}

function attributeText(attribute: AttributeProto): string {
  switch (attribute.type) {
    case Type.INT:
      return attribute.i.toString()
    case Type.INTS:
      return `[${attribute.ints.join(', ')}]`
    case Type.FLOAT:
      return String(attribute.f)
    case Type.FLOATS:
      return `[${attribute.floats.join(', ')}]`
    case Type.STRING:
      return JSON.stringify(new TextDecoder().decode(attribute.s))
    default:
      return `(${Type[attribute.type].toLowerCase()})`
  }
}
