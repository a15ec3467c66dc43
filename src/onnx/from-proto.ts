import { create } from '@bufbuild/protobuf'
import { ModelError, UnsupportedModelError } from '../errors.js'
import { dtypeOf } from './dtypes.js'
import type { Dim, Graph, Initializer, NamedValue, Node } from './graph.js'
import { TensorProtoSchema, TensorProto_DataType as Onnx } from './proto/onnx_pb.js'
import type { AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto } from './proto/onnx_pb.js'
import { readInitializer } from './tensors.js'
import type { OwnPlace } from './tensors.js'

/**
 * A graph from its protobuf form: a model's, or one that a node carries. `path` names the model in errors.
 * @param own where the numbers of initializers lie in the file that were left out of the protobuf form, by name
 */
export function fromGraphProto(
  graph: GraphProto,
  path: string,
  facts: Pick<Graph, 'irVersion' | 'opsets' | 'functions'>,
  own: ReadonlyMap<string, OwnPlace> = new Map(),
): Graph {
  if (graph.sparseInitializer.length > 0)
    throw new UnsupportedModelError(
      `${path}: sparse initializers are not supported; export with dense weights`,
    )
  const initializers = new Map<string, Initializer>()
  const add = (name: string, tensor: TensorProto, place?: OwnPlace): void => {
    if (initializers.has(name)) throw new ModelError(`${path}: there are two constants named '${name}'`)
    initializers.set(name, readInitializer(tensor, path, name, place))
  }
  const addLiteral = (name: string, tensor: TensorProto): void => {
    add(name, tensor)
    initializers.set(name, { ...initializers.get(name)!, literal: true })
  }
  for (const tensor of graph.initializer) add(tensor.name, tensor, own.get(tensor.name))
  const nodes: Node[] = []
  for (const proto of graph.node) {
    const node = toNode(proto)
    const constant = constantTensor(node)
    if (constant === undefined) nodes.push(node)
    else addLiteral(node.outputs[0] ?? '', constant)
  }
  return {
    ...facts,
    name: graph.name,
    inputs: graph.input.filter(({ name }) => !initializers.has(name)).map(toValue),
    outputs: graph.output.map(toValue),
    initializers,
    nodes,
  }
}

/** A node from its protobuf form. */
export function toNode(proto: NodeProto): Node {
  return {
    name: proto.name,
    domain: proto.domain === 'ai.onnx' ? '' : proto.domain,
    op: proto.opType,
    ...(proto.overload !== '' && { overload: proto.overload }),
    inputs: proto.input,
    outputs: proto.output,
    attributes: new Map(proto.attribute.map((attribute) => [attribute.name, attribute])),
  }
}

/** A Constant node's value as a tensor, so that constants have one form: initializers. Strings stay nodes. */
export function constantTensor(node: Node): TensorProto | undefined {
  if (node.op !== 'Constant' || node.domain !== '') return undefined
  const name = node.outputs[0] ?? ''
  const [key, attribute] = [...node.attributes][0] ?? ['', undefined]
  if (attribute === undefined) return undefined
  switch (key) {
    case 'value':
      return attribute.t
    case 'value_int':
      return create(TensorProtoSchema, { name, dataType: Onnx.INT64, int64Data: [attribute.i] })
    case 'value_float':
      return create(TensorProtoSchema, { name, dataType: Onnx.FLOAT, floatData: [attribute.f] })
    default:
      return constantList(name, key, attribute)
  }
}

function constantList(name: string, key: string, attribute: AttributeProto): TensorProto | undefined {
  if (key === 'value_ints')
    return create(TensorProtoSchema, {
      name,
      dataType: Onnx.INT64,
      dims: [BigInt(attribute.ints.length)],
      int64Data: attribute.ints,
    })
  if (key === 'value_floats')
    return create(TensorProtoSchema, {
      name,
      dataType: Onnx.FLOAT,
      dims: [BigInt(attribute.floats.length)],
      floatData: attribute.floats,
    })
  return undefined
}

function toValue(proto: ValueInfoProto): NamedValue {
  const type = proto.type?.value
  const other = proto.type === undefined ? {} : { type: proto.type }
  if (type?.case !== 'tensorType') return { name: proto.name, dtype: undefined, shape: undefined, ...other }
  const { elemType, shape } = type.value
  const dtype = dtypeOf(elemType)
  return {
    name: proto.name,
    dtype,
    ...(dtype === undefined && other),
    shape: shape?.dim.map(({ value }, axis): Dim => {
      if (value.case === 'dimValue' && value.value >= 0n) return Number(value.value)
      if (value.case === 'dimParam' && value.value !== '') return symbolOf(value.value)
      return `${proto.name}.${axis}`
    }),
  }
}

/**
 * A size's name. Sizes multiply into 'a*b' when shapes are inferred, so that in an expression which is no product
 * ('2*s0 + 1') the asterisk must not look like one.
 */
function symbolOf(name: string): string {
  return /^[\w.]+(\*[\w.]+)*$/.test(name) ? name : name.replaceAll('*', ' x ')
}

/** An initializer made of given bytes, for graphs that are built rather than read. */
export function constantOf(shape: readonly number[], code: number, bytes: Uint8Array): Initializer {
  return { shape, dtype: dtypeOf(code), code, read: () => bytes }
}
