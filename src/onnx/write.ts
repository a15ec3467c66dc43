import { create, toBinary } from '@bufbuild/protobuf'
import { UnsupportedModelError } from '../errors.js'
import { BYTES_PER_ELEMENT, elementCount } from '../tensor.js'
import { onnxCode } from './dtypes.js'
import type { Graph, NamedValue } from './graph.js'
import {
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from './proto/onnx_pb.js'
import type { GraphProto, ValueInfoProto } from './proto/onnx_pb.js'

/** What a file says of itself, for people and programs that read it. */
export interface FileFacts {
  readonly producerVersion?: string
  readonly description?: string
  /** Named facts (ModelProto.metadata_props). */
  readonly metadata?: ReadonlyMap<string, string>
}

/** Protobuf messages end at 2 GiB; a margin is left for what is not numbers. */
const MOST_BYTES = 2 ** 31 - 2 ** 24

/**
 * The graph as the bytes of an ONNX file, with every initializer inside (raw_data).
 *
 * @throws UnsupportedModelError where they take more than a file holds
 */
export function encodeModel(graph: Graph, facts: FileFacts = {}): Uint8Array {
  assertFits(graph)
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: BigInt(graph.irVersion),
      producerName: 'retrograd',
      producerVersion: facts.producerVersion ?? '',
      docString: facts.description ?? '',
      metadataProps: [...(facts.metadata ?? [])].map(([key, value]) =>
        create(StringStringEntryProtoSchema, { key, value }),
      ),
      opsetImport: [...graph.opsets].map(([domain, version]) =>
        create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
      ),
      functions: [...graph.functions],
      graph: toGraphProto(graph),
    }),
  )
}

function assertFits({ initializers }: Graph): void {
  const sizes = [...initializers.values()].map(
    ({ dtype, shape }) => elementCount(shape) * BYTES_PER_ELEMENT[dtype ?? 'uint8'],
  )
  const bytes = sizes.reduce((sum, size) => sum + size, 0)
  if (bytes > MOST_BYTES)
    throw new UnsupportedModelError(
      `the constants of the graph take ${bytes} bytes, more than one ONNX file holds (2 GiB); weights that are parameters ` +
        `are inputs, and take none`,
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
        overload: node.overload ?? '',
        input: [...node.inputs],
        output: [...node.outputs],
        attribute: [...node.attributes.values()],
      }),
    ),
  })
}

function toValueInfo({ name, dtype, shape, type }: NamedValue): ValueInfoProto {
  if (dtype === undefined) return create(ValueInfoProtoSchema, { name, ...(type && { type }) })
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
