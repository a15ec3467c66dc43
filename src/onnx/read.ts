import { readFile, stat } from 'node:fs/promises'
import { fromBinary } from '@bufbuild/protobuf'
import { ModelError, UnsupportedModelError, UsageError } from '../errors.js'
import { fromGraphProto } from './from-proto.js'
import { describeNode } from './graph.js'
import type { Graph } from './graph.js'
import { inlineFunctions } from './inline.js'
import { withoutLargeTensors } from './large-tensors.js'
import { countMessages } from './message-count.js'
import { ModelProtoSchema } from './proto/onnx_pb.js'
import type { GraphProto, ModelProto } from './proto/onnx_pb.js'
import { nestingOf } from './subgraph.js'
import type { OwnPlace } from './tensors.js'

/** Protobuf messages end at 2 GiB; a larger file keeps its weights as external data. */
const LARGEST_MODEL = 2 ** 31

/** Of larger files the large tensors stay on disk: most are parameters, whose numbers nobody asks for. */
const HELD_IN_MEMORY = 32 * 2 ** 20

/** The largest networks have some 20,000 nodes, each with some ten messages of its own; a message takes some 500 bytes. */
const MAX_MESSAGES = 400_000

/** The oldest ai.onnx operator set that is read. */
export const OLDEST_OPSET = 11

/** The newest one that ONNX Runtime 1.30 runs. */
export const NEWEST_OPSET = 26

/**
 * Reads an ONNX model (IR 3 and newer, ai.onnx opset 11 and newer). Initializers stay on disk where they are
 * external, or large in a large file. Throws UsageError when there is no such file, ModelError when it is no valid model,
 * UnsupportedModelError for an older opset.
 */
export async function readModel(path: string): Promise<Graph> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory() === true) throw new UsageError(`${path}: is a folder; name an ONNX file`)
  if (found?.isFile() !== true) throw new UsageError(`${path}: no such model file`)
  if (found.size > LARGEST_MODEL)
    throw new ModelError(
      `${path}: ${found.size} bytes is more than a protobuf file can hold; export with external data`,
    )
  const large = found.size > HELD_IN_MEMORY ? await withoutLargeTensors(path) : undefined
  return large === undefined
    ? decodeModel(await readFile(path), path)
    : decodeModel(large.bytes, path, large.places)
}

/**
 * A model from the bytes of its file, its own functions inlined; `path` names it in errors and is where external data
 * is looked for.
 *
 * @param own where the numbers of initializers lie in that file that `bytes` lack, by name
 */
export function decodeModel(
  bytes: Uint8Array,
  path: string,
  own: ReadonlyMap<string, OwnPlace> = new Map(),
): Graph {
  let model: ModelProto
  try {
    if (countMessages(bytes, ModelProtoSchema, MAX_MESSAGES) > MAX_MESSAGES) throw tooManyMessages(path)
    model = fromBinary(ModelProtoSchema, bytes)
  } catch (error) {
    if (error instanceof UnsupportedModelError) throw error
    throw new ModelError(`${path}: not an ONNX model, or truncated (protobuf can't be decoded)`)
  }
  if (model.graph === undefined) throw new ModelError(`${path}: not an ONNX model (it holds no graph)`)
  const graph = toGraph(model, model.graph, path, own)
  checkOpset(graph, path)
  checkNames(graph, path)
  const inlined = inlineFunctions(graph)
  checkNesting(inlined, path)
  return inlined
}

function tooManyMessages(path: string): UnsupportedModelError {
  return new UnsupportedModelError(
    `${path}: its graph is made of more than ${MAX_MESSAGES} parts (nodes, attributes, weights, shapes): corrupt, or larger ` +
      'than is read; export it without value_info',
  )
}

function toGraph(
  model: ModelProto,
  graph: GraphProto,
  path: string,
  own: ReadonlyMap<string, OwnPlace>,
): Graph {
  const opsets = model.opsetImport.map(({ domain, version }): [string, number] => [
    domain === 'ai.onnx' ? '' : domain,
    Number(version),
  ])
  const facts = {
    irVersion: Number(model.irVersion),
    opsets: new Map(opsets),
    functions: model.functions,
  }
  return fromGraphProto(graph, path, facts, own)
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

/** What follows for a Loop is worked out several times over, and so for each Loop inside, as often again. */
const DEEPEST_GRAPH = 8

function checkNesting({ nodes }: Graph, path: string): void {
  const deep = nodes.find((node) => nestingOf(node) > DEEPEST_GRAPH)
  if (deep !== undefined)
    throw new UnsupportedModelError(
      `${path}: node ${describeNode(deep)} holds graphs inside of graphs, more than ${DEEPEST_GRAPH} deep`,
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
