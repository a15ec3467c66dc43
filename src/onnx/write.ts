import { create, toBinary } from '@bufbuild/protobuf'
import { onnxCode } from './dtypes.js'
import type { Graph, NamedValue } from './graph.js'
import {
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from './proto/onnx_pb.js'
import type { GraphProto, ValueInfoProto } from './proto/onnx_pb.js'

/** The graph as the bytes of an ONNX file, with every initializer inside (raw_data). */
export function encodeModel(graph: Graph): Uint8Array {
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: BigInt(graph.irVersion),
      producerName: 'retrograd',
      opsetImport: [...graph.opsets].map(([domain, version]) =>
        create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
      ),
      functions: [...graph.functions],
      graph: toGraphProto(graph),
    }),
  )
}

/** A graph in its protobuf form, every initializer inside. */
export function toGraphProto(graph: Graph): GraphProto {
  return create(GraphProtoSchema, {
    name: graph.name === '' ? 'graph' : graph.name,
    input: graph.inputs.map(toValueInfo),
    output: graph.outputs.map(toValueInfo),
    initializer: [...graph.initializers].map(([name, { shape, code, read }]) =>
      create(TensorProtoSchema, { name, dataType: code, dims: shape.map(BigInt), rawData: read() }),
    ),
    node: graph.nodes.map((node) =>
      create(NodeProtoSchema, {
        name: node.name,
        opType: node.op,
        domain: node.domain,
        input: [...node.inputs],
        output: [...node.outputs],
        attribute: [...node.attributes.values()],
      }),
    ),
  })
}

function toValueInfo({ name, dtype, shape }: NamedValue): ValueInfoProto {
  if (dtype === undefined) return create(ValueInfoProtoSchema, { name })
  const dimensions = shape?.map((size) =>
    create(TensorShapeProto_DimensionSchema, {
      value:
        typeof size === 'number'
          ? { case: 'dimValue', value: BigInt(size) }
          : { case: 'dimParam', value: size },
    }),
  )
  const tensor = create(TypeProto_TensorSchema, {
    elemType: onnxCode(dtype),
    ...(dimensions && { shape: create(TensorShapeProtoSchema, { dim: dimensions }) }),
  })
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensor } }),
  })
}
