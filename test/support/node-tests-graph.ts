import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { onnxCode, dtypeOf } from '../../src/onnx/dtypes.js'
import { constantOf } from '../../src/onnx/from-proto.js'
import type { Graph, Node } from '../../src/onnx/graph.js'
import { ModelProtoSchema } from '../../src/onnx/proto/onnx_pb.js'
import type { ModelProto, TypeProto } from '../../src/onnx/proto/onnx_pb.js'
import { decodeModel, NEWEST_OPSET, OLDEST_OPSET } from '../../src/onnx/read.js'
import { node } from './graphs.js'
import { isList } from './node-tests.js'
import type { NodeTest, StoredTensor, StoredValue } from './node-tests.js'
import { isReal, numbersOf, ofWidth, realBytes } from './node-tests-types.js'
import type { Width } from './node-tests-types.js'

/** A tensor that goes into a test's model: an input, or an element of one that is a sequence. */
export interface Leaf {
  readonly name: string
  readonly tensor: StoredTensor
}

/** A tensor that comes out, with what ONNX expects it to be. */
export interface Result {
  readonly name: string
  readonly expected: StoredTensor
}

/** A test's model as a graph whose inputs and outputs are all tensors; the inputs are not declared yet. */
export interface Problem {
  readonly name: string
  readonly graph: Graph
  readonly leaves: readonly Leaf[]
  readonly results: readonly Result[]
}

/** A case that is not about ai.onnx of opset 11 to 26. */
export class OutsideError extends Error {}

const parsed = new WeakMap<NodeTest, ModelProto>()

/**
 * The test's model, in its own types or with one type for all real numbers. A model of an opset that is not read here
 * is declared to be of the nearest one that is: most operators are the same there, and where one is not, ONNX Runtime
 * refuses it or gives another result than expected.
 *
 * @param newest the newest opset that it may be declared to be of
 * @throws OutsideError for operators of other domains
 */
export function problemOf(test: NodeTest, width: Width | 'own', newest = NEWEST_OPSET): Problem {
  const model = parsed.get(test) ?? fromBinary(ModelProtoSchema, test.model)
  parsed.set(test, model)
  const brought = declaredInReach(width === 'own' ? model : ofWidth(model, width), newest)
  const base = decodeModel(toBinary(ModelProtoSchema, brought), test.name)
  const wiring = new Wiring(width)
  test.inputs.forEach((value, i) => {
    wiring.input(value, brought.graph!.input[i]!.name, brought.graph!.input[i]!.type)
  })
  test.outputs.forEach((value, i) => {
    wiring.output(value, brought.graph!.output[i]!.name, brought.graph!.output[i]!.type)
  })
  const { leaves, results, before, after } = wiring
  const graph = { ...base, inputs: [], outputs: [], nodes: [...before, ...base.nodes, ...after] }
  return { name: test.name, graph, leaves, results }
}

/** The opset that the test's model is written in. */
export function declaredOpset(test: NodeTest): number | undefined {
  const { opsetImport } = parsed.get(test) ?? fromBinary(ModelProtoSchema, test.model)
  const own = opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')
  return own && Number(own.version)
}

function declaredInReach(model: ModelProto, newest: number): ModelProto {
  const opsetImport = model.opsetImport.map((one) => {
    if (one.domain !== '' && one.domain !== 'ai.onnx') throw new OutsideError(`domain ${one.domain}`)
    const version = Math.min(Math.max(Number(one.version), OLDEST_OPSET), newest)
    return { ...one, version: BigInt(version) }
  })
  return { ...model, opsetImport, irVersion: BigInt(Math.max(4, Math.min(Number(model.irVersion), 13))) }
}

/** Joins tensors to the sequences and optional values that a model takes and gives: ONNX Runtime's Node API has none. */
class Wiring {
  readonly leaves: Leaf[] = []
  readonly results: Result[] = []
  readonly before: Node[] = []
  readonly after: Node[] = []

  constructor(private readonly width: Width | 'own') {}

  input(value: StoredValue, name: string, type: TypeProto | undefined): void {
    const kind = type?.value
    if (kind?.case === 'optionalType') {
      if (value === null) throw new OutsideError('an optional input that is not there')
      const inner = kind.value.elemType
      this.input(value, `${name}/value`, inner)
      this.before.push(node('Optional', [`${name}/value`], name))
    } else if (isList(value)) {
      const names = value.map((_, i) => `${name}/${i}`)
      value.forEach((one, i) => {
        this.input(one, names[i]!, undefined)
      })
      const dtype = onnxCode(this.width === 'own' ? 'float32' : this.width)
      const empty = node('SequenceEmpty', [], name, { dtype })
      this.before.push(value.length === 0 ? empty : node('SequenceConstruct', names, name))
    } else if (value !== null) this.leaves.push({ name, tensor: this.widened(value) })
  }

  output(value: StoredValue, name: string, type: TypeProto | undefined): void {
    const kind = type?.value
    if (kind?.case === 'optionalType') {
      this.after.push(node('OptionalGetElement', [name], `${name}/value`))
      this.output(value, `${name}/value`, kind.value.elemType)
    } else if (isList(value))
      value.forEach((one, i) => {
        this.element(one, name, i)
      })
    else if (value !== null) this.results.push({ name, expected: this.widened(value) })
  }

  private element(value: StoredValue, name: string, i: number): void {
    const at = `${name}/at${i}`
    this.leaves.push({ name: at, tensor: indexTensor(i) })
    this.after.push(node('SequenceAt', [name, at], `${name}/${i}`))
    this.output(value, `${name}/${i}`, undefined)
  }

  private widened(value: StoredValue): StoredTensor {
    const tensor = value as StoredTensor
    if (this.width === 'own' || !isReal(tensor.code)) return tensor
    const code = onnxCode(this.width)
    return { ...tensor, code, bytes: realBytes(numbersOf(tensor), code) }
  }
}

function indexTensor(i: number): StoredTensor {
  const bytes = new Uint8Array(BigInt64Array.of(BigInt(i)).buffer)
  return { code: onnxCode('int64'), shape: [], bytes }
}

/** A leaf as a constant of the graph. */
export function constantLeaf({ tensor: { shape, code, bytes } }: Leaf): ReturnType<typeof constantOf> {
  return { ...constantOf(shape, code, bytes), dtype: dtypeOf(code) }
}
