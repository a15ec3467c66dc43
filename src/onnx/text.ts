import { AttributeProto_AttributeType as Type } from './proto/onnx_pb.js'
import type { AttributeProto } from './proto/onnx_pb.js'
import type { Graph, NamedValue, Node } from './graph.js'

/** A graph as text, one line a node, for snapshots and for people. */
export function graphText(graph: Graph): string {
  const opsets = [...graph.opsets].map(
    ([domain, version]) => `${domain === '' ? 'ai.onnx' : domain} ${version}`,
  )
  return [
    `opset ${opsets.join(', ')}`,
    ...graph.inputs.map((value) => `input ${valueText(value)}`),
    ...[...graph.initializers].map(
      ([name, { dtype, shape }]) => `constant ${name}: ${valueType(dtype, shape)}`,
    ),
    ...graph.nodes.map(nodeText),
    ...graph.outputs.map((value) => `output ${valueText(value)}`),
    '',
  ].join('\n')
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
