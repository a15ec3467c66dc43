import { readFile, stat } from 'node:fs/promises'
import { create, fromBinary } from '@bufbuild/protobuf'
import { ModelError, UnsupportedModelError, UsageError } from '../errors.js'
import { dtypeOf } from './dtypes.js'
import { describeNode } from './graph.js'
import type { Dim, Graph, Initializer, NamedValue, Node } from './graph.js'
import { ModelProtoSchema, TensorProtoSchema, TensorProto_DataType as Onnx } from './proto/onnx_pb.js'
import type {
  AttributeProto,
  GraphProto,
  ModelProto,
  NodeProto,
  TensorProto,
  ValueInfoProto,
} from './proto/onnx_pb.js'
import { readInitializer } from './tensors.js'

/** Protobuf messages end at 2 GiB; a larger file keeps its weights as external data. */
const LARGEST_MODEL = 2 ** 31

/** The oldest ai.onnx operator set that is read. */
export const OLDEST_OPSET = 11

/** The newest one that ONNX Runtime 1.30 runs. */
export const NEWEST_OPSET = 26

/**
 * Reads an ONNX model (IR 3 and newer, ai.onnx opset 11 and newer). Initializers stay on disk where they are
 * external. Throws UsageError when there is no such file, ModelError when it is no valid model,
 * UnsupportedModelError for an older opset.
 */
export async function readModel(path: string): Promise<Graph> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isFile() !== true) throw new UsageError(`${path}: no such model file`)
  if (found.size > LARGEST_MODEL)
    throw new ModelError(
      `${path}: ${found.size} bytes is more than a protobuf file can hold; export with external data`,
    )
  return decodeModel(await readFile(path), path)
}

/** A model from the bytes of its file; `path` names it in errors and is where external data is looked for. */
export function decodeModel(bytes: Uint8Array, path: string): Graph {
  let model: ModelProto
  try {
    model = fromBinary(ModelProtoSchema, bytes)
  } catch {
    throw new ModelError(`${path}: not an ONNX model, or truncated (protobuf can't be decoded)`)
  }
  if (model.graph === undefined) throw new ModelError(`${path}: not an ONNX model (it holds no graph)`)
  const graph = toGraph(model, model.graph, path)
  checkOpset(graph, path)
  checkNames(graph, path)
  return graph
}

function toGraph(model: ModelProto, graph: GraphProto, path: string): Graph {
  const opsets = model.opsetImport.map(({ domain, version }): [string, number] => [
    domain === 'ai.onnx' ? '' : domain,
    Number(version),
  ])
  return fromGraphProto(graph, path, {
    irVersion: Number(model.irVersion),
    opsets: new Map(opsets),
    functions: model.functions,
  })
}

/** A graph from its protobuf form: a model's, or one that a node carries. `path` names the model in errors. */
export function fromGraphProto(
  graph: GraphProto,
  path: string,
  facts: Pick<Graph, 'irVersion' | 'opsets' | 'functions'>,
): Graph {
  if (graph.sparseInitializer.length > 0)
    throw new UnsupportedModelError(
      `${path}: sparse initializers are not supported; export with dense weights`,
    )
  const initializers = new Map<string, Initializer>()
  const add = (name: string, tensor: TensorProto): void => {
    if (initializers.has(name)) throw new ModelError(`${path}: there are two constants named '${name}'`)
    initializers.set(name, readInitializer(tensor, path, name))
  }
  for (const tensor of graph.initializer) add(tensor.name, tensor)
  const nodes: Node[] = []
  for (const proto of graph.node) {
    const node = toNode(proto)
    const constant = constantTensor(node)
    if (constant === undefined) nodes.push(node)
    else add(node.outputs[0] ?? '', constant)
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
    inputs: proto.input,
    outputs: proto.output,
    attributes: new Map(proto.attribute.map((attribute) => [attribute.name, attribute])),
  }
}

/** A Constant node's value as a tensor, so that constants have one form: initializers. Strings stay nodes. */
function constantTensor(node: Node): TensorProto | undefined {
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
  if (type?.case !== 'tensorType') return { name: proto.name, dtype: undefined, shape: undefined }
  const { elemType, shape } = type.value
  return {
    name: proto.name,
    dtype: dtypeOf(elemType),
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

function checkOpset(graph: Graph, path: string): void {
  const opset = graph.opsets.get('')
  if (opset === undefined) throw new ModelError(`${path}: the model imports no ai.onnx operator set`)
  if (opset < OLDEST_OPSET)
    throw new UnsupportedModelError(
      `${path}: opset ${opset} is older than ${OLDEST_OPSET}, the oldest that retrograd reads; export with opset_version=17 or newer`,
    )
  if (opset > NEWEST_OPSET)
    throw new UnsupportedModelError(
      `${path}: opset ${opset} is newer than ${NEWEST_OPSET}, the newest that ONNX Runtime runs here; export with an older opset_version`,
    )
}

/** Every value has one origin, and every node reads only what comes before it (ONNX IR, Graphs). */
function checkNames(graph: Graph, path: string): void {
  const known = new Set<string>([...graph.initializers.keys(), ''])
  for (const { name } of graph.inputs) {
    if (known.has(name)) throw new ModelError(`${path}: there are two inputs named '${name}'`)
    known.add(name)
  }
  for (const node of graph.nodes) {
    const missing = node.inputs.find((name) => !known.has(name))
    if (missing !== undefined)
      throw new ModelError(
        `${path}: node ${describeNode(node)} reads '${missing}', which nothing before it computes`,
      )
    for (const name of node.outputs) {
      if (name !== '' && known.has(name))
        throw new ModelError(`${path}: '${name}' is computed twice; the second time by ${describeNode(node)}`)
      known.add(name)
    }
  }
  const absent = graph.outputs.find(({ name }) => !known.has(name))
  if (absent !== undefined) throw new ModelError(`${path}: output '${absent.name}' is computed by no node`)
}

/** An initializer made of given bytes, for graphs that are built rather than read. */
export function constantOf(shape: readonly number[], code: number, bytes: Uint8Array): Initializer {
  return { shape, dtype: dtypeOf(code), code, read: () => bytes }
}
