import type { DType } from '../tensor.js'
import type { AttributeProto, FunctionProto, TypeProto } from './proto/onnx_pb.js'

/** A size that is known (a number) or only named (a symbol): two dimensions with one symbol are equal. */
export type Dim = number | string
export type Shape = readonly Dim[]

/** What is known of a value before the graph runs. `undefined` means unknown, never a guess. */
export interface ValueInfo {
  readonly dtype: DType | undefined
  readonly shape: Shape | undefined
}

export interface NamedValue extends ValueInfo {
  readonly name: string
  /** The declared type, where it is no tensor of an element type that retrograd computes with (a sequence). */
  readonly type?: TypeProto
}

export interface Node {
  readonly name: string
  readonly domain: string
  readonly op: string
  /** Which of several model-local functions of the same name it calls. */
  readonly overload?: string
  /** Names of the inputs; an omitted optional input is ''. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: ReadonlyMap<string, AttributeProto>
}

/**
 * A constant tensor of the model. `read` gives its elements as little-endian bytes; for external data they are
 * fetched from disk at that moment, so weights that become inputs are never loaded.
 */
export interface Initializer {
  readonly shape: readonly number[]
  /** Undefined for element types that retrograd does not compute with. */
  readonly dtype: DType | undefined
  /** ONNX TensorProto.DataType. */
  readonly code: number
  /** Written as a Constant node rather than an initializer: part of the computation, never a weight. */
  readonly literal?: true
  readonly read: () => Uint8Array
}

export interface Graph {
  readonly name: string
  /** ONNX file format version. */
  readonly irVersion: number
  /** Version of each operator set; '' is ai.onnx. */
  readonly opsets: ReadonlyMap<string, number>
  readonly inputs: readonly NamedValue[]
  readonly outputs: readonly NamedValue[]
  readonly initializers: ReadonlyMap<string, Initializer>
  /** In an order in which every node comes after those that it reads. */
  readonly nodes: readonly Node[]
  readonly functions: readonly FunctionProto[]
}

/** The version of ai.onnx that the graph's operators are written in. */
export function opsetOf(graph: Graph): number {
  return graph.opsets.get('') ?? 1
}

/** A node as error messages name it: its operator, its name if it has one, and what it computes. */
export function describeNode(node: Node): string {
  const operator = node.domain === '' ? node.op : `${node.domain}.${node.op}`
  const name = node.name === '' ? '' : ` '${node.name}'`
  return `${operator}${name} (computes '${node.outputs[0] ?? ''}')`
}
