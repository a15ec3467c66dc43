import { attributes } from '../../src/onnx/attributes.js'
import type { AttributeValue } from '../../src/onnx/attributes.js'
import { onnxCode } from '../../src/onnx/dtypes.js'
import type { Graph, Initializer, NamedValue, Node, Shape } from '../../src/onnx/graph.js'
import { constantOf } from '../../src/onnx/from-proto.js'
import type { DType } from '../../src/tensor.js'

/** Parts of a graph that a test cares about; the rest has defaults. */
export interface GraphParts {
  readonly opset?: number
  readonly irVersion?: number
  readonly opsets?: ReadonlyMap<string, number>
  readonly inputs: readonly NamedValue[]
  readonly outputs: readonly string[]
  readonly initializers?: Readonly<Record<string, Initializer>>
  readonly nodes: readonly Node[]
}

/** A graph in opset 18 (IR 8) unless said otherwise; its outputs are named and otherwise undeclared. */
export function graphOf(parts: GraphParts): Graph {
  return {
    name: 'test',
    irVersion: parts.irVersion ?? 8,
    opsets: parts.opsets ?? new Map([['', parts.opset ?? 18]]),
    inputs: parts.inputs,
    outputs: parts.outputs.map((name) => ({ name, dtype: undefined, shape: undefined })),
    initializers: new Map(Object.entries(parts.initializers ?? {})),
    nodes: parts.nodes,
    functions: [],
  }
}

/** A node of ai.onnx without a name; numbers in `values` are ONNX ints, `{ float }` floats. */
export function node(
  op: string,
  inputs: readonly string[],
  outputs: string | readonly string[],
  values: Readonly<Record<string, AttributeValue>> = {},
): Node {
  return {
    name: '',
    domain: '',
    op,
    inputs,
    outputs: typeof outputs === 'string' ? [outputs] : outputs,
    attributes: attributes(values),
  }
}

export function input(name: string, shape: Shape, dtype: DType = 'float32'): NamedValue {
  return { name, dtype, shape }
}

/** A constant or weight of a model. */
export function tensor(dtype: DType, shape: readonly number[], values: readonly number[]): Initializer {
  const { buffer } = arrayOf(dtype, values)
  return constantOf(shape, onnxCode(dtype), new Uint8Array(buffer))
}

/** Numbers as the array that holds them in memory. */
export function arrayOf(
  dtype: DType,
  values: readonly number[],
): Float32Array | Float64Array | BigInt64Array | Int32Array | Int8Array | Uint8Array {
  switch (dtype) {
    case 'float64':
      return Float64Array.from(values)
    case 'float32':
      return Float32Array.from(values)
    case 'int64':
      return BigInt64Array.from(values, BigInt)
    case 'int32':
      return Int32Array.from(values)
    case 'int8':
      return Int8Array.from(values)
    case 'bool':
    case 'uint8':
      return Uint8Array.from(values)
    default:
      throw new TypeError(`tests build no ${dtype} tensors`)
  }
}
