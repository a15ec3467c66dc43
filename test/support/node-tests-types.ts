import { clone, create } from '@bufbuild/protobuf'
import { dtypeOf, onnxCode } from '../../src/onnx/dtypes.js'
import {
  AttributeProto_AttributeType as Type,
  ModelProtoSchema,
  TensorProtoSchema,
} from '../../src/onnx/proto/onnx_pb.js'
import type {
  AttributeProto,
  GraphProto,
  ModelProto,
  NodeProto,
  TensorProto,
  TypeProto,
} from '../../src/onnx/proto/onnx_pb.js'
import { readInitializer } from '../../src/onnx/tensors.js'
import { decodeArray } from '../../src/io/decode.js'
import { isFloat } from '../../src/tensor.js'
import type { StoredTensor } from './node-tests.js'

/** The types that a model can be brought to as a whole. */
export type Width = 'float32' | 'float64'

/** Attributes that name an element type. */
const TYPE_ATTRIBUTES = new Set([
  'to',
  'dtype',
  'output_dtype',
  'output_datatype',
  'softmax_precision',
  'stash_type',
])

/** Whether an ONNX type code is one of the four types of real numbers that retrograd computes with. */
export function isReal(code: number): boolean {
  const dtype = dtypeOf(code)
  return dtype !== undefined && isFloat(dtype)
}

/** The elements of a tensor as numbers. */
export function numbersOf({ code, bytes }: StoredTensor): number[] {
  return Array.from(decodeArray(Uint8Array.from(bytes), dtypeOf(code)!), Number)
}

/**
 * The same model with every type of real numbers replaced by one: of inputs and outputs, constants, casts and
 * whatever else names a type. In float64 differences are far sharper than in the type that a model was written in.
 */
export function ofWidth(model: ModelProto, width: Width): ModelProto {
  const copy = clone(ModelProtoSchema, model)
  const code = onnxCode(width)
  if (copy.graph !== undefined) widenGraph(copy.graph, code)
  for (const { node } of copy.functions) for (const one of node) widenNode(one, code)
  return copy
}

function widenGraph(graph: GraphProto, code: number): void {
  for (const { type } of [...graph.input, ...graph.output, ...graph.valueInfo]) widenType(type, code)
  graph.initializer = graph.initializer.map((tensor) => widened(tensor, code))
  for (const node of graph.node) widenNode(node, code)
}

function widenType(type: TypeProto | undefined, code: number): void {
  const inner = type?.value
  if (inner?.case === 'tensorType' && isReal(inner.value.elemType)) inner.value.elemType = code
  if (inner?.case === 'sequenceType' || inner?.case === 'optionalType') widenType(inner.value.elemType, code)
}

function widenNode(node: NodeProto, code: number): void {
  node.attribute = node.attribute.map((attribute) => constantValue(node, attribute, code))
  for (const attribute of node.attribute) {
    if (attribute.g !== undefined) widenGraph(attribute.g, code)
    if (attribute.t !== undefined) attribute.t = widened(attribute.t, code)
    if (TYPE_ATTRIBUTES.has(attribute.name) && isReal(Number(attribute.i))) attribute.i = BigInt(code)
  }
}

/** A Constant's numbers as a tensor, since the short forms are float32 always. */
function constantValue(node: NodeProto, attribute: AttributeProto, code: number): AttributeProto {
  const single = attribute.name === 'value_float'
  if (node.opType !== 'Constant' || !(single || attribute.name === 'value_floats')) return attribute
  const floatData = single ? [attribute.f] : attribute.floats
  const dims = single ? [] : [BigInt(floatData.length)]
  const t = create(TensorProtoSchema, { dataType: onnxCode('float32'), dims, floatData })
  return { ...attribute, name: 'value', type: Type.TENSOR, t: widened(t, code), floats: [], f: 0 }
}

function widened(tensor: TensorProto, code: number): TensorProto {
  if (!isReal(tensor.dataType)) return tensor
  const numbers = numbersOf({
    code: tensor.dataType,
    shape: [],
    bytes: readInitializer(tensor, 'test').read(),
  })
  const { name, dims } = tensor
  return create(TensorProtoSchema, { name, dims, dataType: code, rawData: realBytes(numbers, code) })
}

/** Numbers as the bytes of float32 or float64. */
export function realBytes(numbers: readonly number[], code: number): Uint8Array {
  const array = code === onnxCode('float64') ? Float64Array.from(numbers) : Float32Array.from(numbers)
  return new Uint8Array(array.buffer)
}
