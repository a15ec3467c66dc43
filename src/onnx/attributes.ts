import { create } from '@bufbuild/protobuf'
import { AttributeProtoSchema, AttributeProto_AttributeType as Type } from './proto/onnx_pb.js'
import type { AttributeProto } from './proto/onnx_pb.js'
import type { Node } from './graph.js'

const text = new TextDecoder()
const bytes = new TextEncoder()

/** Values that `attributes` turns into ONNX attributes: whole numbers to INT(S), `float()` to FLOAT, text to STRING. */
export type AttributeValue =
  | number
  | readonly number[]
  | string
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] }

/** Attributes for a new node, from plain values; numbers are ONNX ints, `{ float: x }` an ONNX float. */
export function attributes(values: Readonly<Record<string, AttributeValue>>): Map<string, AttributeProto> {
  return new Map(Object.entries(values).map(([name, value]) => [name, attribute(name, value)]))
}

function attribute(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === 'number')
    return create(AttributeProtoSchema, { name, type: Type.INT, i: BigInt(value) })
  if (typeof value === 'string')
    return create(AttributeProtoSchema, { name, type: Type.STRING, s: bytes.encode(value) })
  if ('float' in value)
    return create(AttributeProtoSchema, { name, type: Type.FLOAT, f: Math.fround(value.float) })
  if ('floats' in value)
    return create(AttributeProtoSchema, { name, type: Type.FLOATS, floats: value.floats.map(Math.fround) })
  if ('strings' in value) {
    const strings = value.strings.map((one) => bytes.encode(one))
    return create(AttributeProtoSchema, { name, type: Type.STRINGS, strings })
  }
  return create(AttributeProtoSchema, { name, type: Type.INTS, ints: value.map(BigInt) })
}

/** An integer attribute of a node, or its default. */
export function intAttribute(node: Node, name: string, otherwise: number): number {
  const found = node.attributes.get(name)
  return found === undefined ? otherwise : Number(found.i)
}

/** A list-of-integers attribute of a node, or undefined where it is absent. */
export function intsAttribute(node: Node, name: string): number[] | undefined {
  return node.attributes.get(name)?.ints.map(Number)
}

/** A float attribute of a node, or its default. */
export function floatAttribute(node: Node, name: string, otherwise: number): number {
  return node.attributes.get(name)?.f ?? otherwise
}

/** A string attribute of a node, or its default. */
export function stringAttribute(node: Node, name: string, otherwise: string): string {
  const found = node.attributes.get(name)
  return found === undefined ? otherwise : text.decode(found.s)
}

/** Whether a node carries a graph in an attribute (If, Loop, Scan). */
export function hasSubgraph(node: Node): boolean {
  for (const { g, graphs } of node.attributes.values()) if (g !== undefined || graphs.length > 0) return true
  return false
}
