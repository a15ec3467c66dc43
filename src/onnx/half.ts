import { create } from '@bufbuild/protobuf'
import { UnsupportedModelError } from '../errors.js'
import { narrowFloat16 } from '../io/float16.js'
import { attributes } from './attributes.js'
import { onnxCode } from './dtypes.js'
import { constantOf } from './from-proto.js'
import type { Graph, Initializer, NamedValue, Node } from './graph.js'
import { Inference } from './infer.js'
import { liftOpset } from './lift.js'
import { plainNode } from './plain-node.js'
import { AttributeProto_AttributeType, AttributeProtoSchema, TensorProtoSchema } from './proto/onnx_pb.js'
import type { AttributeProto } from './proto/onnx_pb.js'
import { capturedBy, renameReads, subgraphNames, withSubgraphs } from './subgraph.js'

const FLOAT16 = onnxCode('float16')
const FLOAT32 = onnxCode('float32')
/** The largest float16: what is beyond stands for infinity in masks, and times 0 must stay 0. */
const LARGEST = 65504

const HALF = 'retrograd/half/'
const WIDE = 'retrograd/wide/'

/**
 * Operators that stay in float32: execution providers lack them in float16, their numbers are places or counts, which
 * float16 does not hold from 2048 on, or their element types are settings of their own.
 */
const WIDE_OPERATORS = new Set(
  (
    'Range GridSample AffineGrid RoiAlign MaxRoiPool NonMaxSuppression DeformConv EyeLike Det DFT STFT MelWeightMatrix ' +
    'HannWindow HammingWindow BlackmanWindow RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli ' +
    'Multinomial QuantizeLinear DequantizeLinear DynamicQuantizeLinear'
  ).split(' '),
)

/** Inputs of float32 whatever the operator computes in. */
const WIDE_INPUTS: Readonly<Record<string, readonly number[]>> = { Resize: [1, 2], Upsample: [1] }

/**
 * A network that computes in float16: parameters, inputs and outputs stay float32 and are cast where they enter and leave,
 * so that its loss, the gradient with respect to it and the parameters' gradients are float32. Every value keeps its name.
 *
 * @param parameters initializers that become inputs
 * @param outputs values beside the graph's outputs that must stay float32
 * @throws UnsupportedModelError for a network that computes in float64
 */
export function halved(model: Graph, parameters: readonly string[], outputs: readonly string[] = []): Graph {
  const graph = liftOpset(model)
  const wide = [...graph.initializers.values(), ...graph.inputs].some(({ dtype }) => dtype === 'float64')
  if (wide)
    throw new UnsupportedModelError(
      '--precision float16: the network computes in float64; export it in float32',
    )
  const half = new Halving(graph, new Inference(graph), new Set(parameters))
  return half.network([...graph.outputs.map(({ name }) => name), ...outputs])
}

/** Converts one graph; the graphs that its nodes carry have converters of their own. */
class Halving {
  private readonly nodes: Node[] = []
  private readonly initializers: Map<string, Initializer>
  /** Values that are computed here (or handed in), and so have become float16 under their own name. */
  private readonly converted = new Set<string>()
  private readonly added = new Set<string>()

  constructor(
    private readonly graph: Graph,
    private readonly inference: Inference,
    private readonly parameters: ReadonlySet<string>,
    private readonly outer?: Halving,
  ) {
    this.initializers = new Map(graph.initializers)
  }

  network(kept: readonly string[]): Graph {
    for (const node of this.graph.nodes) this.node(node)
    const { graph, initializers } = this
    const computed = new Set(kept.filter((name) => this.converted.has(name)))
    const rename = (name: string): string => (computed.has(name) ? HALF + name : name)
    const nodes = this.nodes.map((node) => ({
      ...renameReads(node, rename),
      outputs: node.outputs.map(rename),
    }))
    const casts = [...computed].map((name) => plainNode('Cast', [HALF + name], name, { to: FLOAT32 }))
    return { ...graph, initializers, nodes: [...nodes, ...casts] }
  }

  /** A graph that a node carries: what it is handed and what it hands out is float16. */
  private body(): Graph {
    const { graph, inference } = this
    const typed = (value: NamedValue): NamedValue =>
      this.isFloat(value.name) ? { ...value, dtype: 'float16' } : value
    for (const { name } of graph.inputs) if (this.isFloat(name)) this.converted.add(name)
    for (const node of graph.nodes) this.node(node)
    const outputs = graph.outputs.map((output) => {
      const name = this.isFloat(output.name) ? this.half(output.name) : output.name
      return { ...typed({ ...output, ...inference.info(output.name) }), name }
    })
    return {
      ...graph,
      inputs: graph.inputs.map(typed),
      outputs,
      initializers: this.initializers,
      nodes: this.nodes,
    }
  }

  private isFloat(name: string): boolean {
    return name !== '' && this.inference.info(name).dtype === 'float32'
  }

  private node(node: Node): void {
    const stays = node.domain === '' && WIDE_OPERATORS.has(node.op)
    const floats = node.outputs.filter((name) => this.isFloat(name))
    if (stays) {
      const outputs = node.outputs.map((name) => (floats.includes(name) ? WIDE + name : name))
      this.nodes.push({ ...node, inputs: node.inputs.map((name) => this.wide(name)), outputs })
      for (const name of floats) this.nodes.push(plainNode('Cast', [WIDE + name], name, { to: FLOAT16 }))
    } else {
      const settings = node.domain === '' ? WIDE_INPUTS[node.op] : undefined
      const inputs = node.inputs.map((name, i) => (settings?.includes(i) ? this.wide(name) : this.half(name)))
      this.nodes.push(this.withBodies({ ...node, inputs, attributes: halvedAttributes(node) }, node))
    }
    for (const name of floats) this.converted.add(name)
  }

  private withBodies(node: Node, before: Node): Node {
    const names = subgraphNames(node)
    if (names.length === 0) return node
    const bodies = names.map((name): [string, Graph] => {
      const body = this.inference.body(before, name)
      return [name, new Halving(body, new Inference(body, this.inference), this.parameters, this).body()]
    })
    const halved = withSubgraphs(node, new Map(bodies))
    const captured = new Map(capturedBy(halved).map((name) => [name, this.half(name)]))
    return renameReads(halved, (name) => captured.get(name) ?? name)
  }

  /** The float16 form of a value that the nodes to come read; other types stay as they are. */
  private half(name: string): string {
    if (!this.isFloat(name) || this.converted.has(name)) return name
    const constant = this.graph.initializers.get(name)
    const own = HALF + name
    if (constant !== undefined && !this.parameters.has(name))
      this.initializers.set(own, narrowed(constant, name))
    // what stands around a body is the outer graph's to convert
    else if (this.outer !== undefined) return name
    else this.once(own, plainNode('Cast', [name], own, { to: FLOAT16 }))
    return own
  }

  /** The float32 form. */
  private wide(name: string): string {
    if (!this.isFloat(name) || (!this.converted.has(name) && this.outer === undefined)) return name
    if (this.graph.initializers.has(name)) return name
    const own = WIDE + name
    this.once(own, plainNode('Cast', [name], own, { to: FLOAT32 }))
    return own
  }

  private once(name: string, node: Node): void {
    if (this.added.has(name)) return
    this.added.add(name)
    this.nodes.push(node)
  }
}

/** Element types that attributes say: of Cast, and of the tensor that ConstantOfShape repeats. */
function halvedAttributes(node: Node): Node['attributes'] {
  const [to, value] = [node.attributes.get('to'), node.attributes.get('value')?.t]
  if (node.domain !== '') return node.attributes
  if (node.op === 'Cast' && Number(to?.i) === FLOAT32)
    return new Map([...node.attributes, ...attributes({ to: FLOAT16 })])
  if (node.op === 'ConstantOfShape' && (value === undefined || value.dataType === FLOAT32))
    return new Map([...node.attributes, ['value', halfTensor(value === undefined ? 0 : firstOf(value))]])
  return node.attributes
}

function firstOf({ rawData, floatData }: { rawData: Uint8Array; floatData: readonly number[] }): number {
  if (rawData.byteLength < 4) return floatData[0] ?? 0
  return new DataView(rawData.buffer, rawData.byteOffset).getFloat32(0, true)
}

function halfTensor(value: number): AttributeProto {
  const bytes = new Uint8Array(narrowFloat16([clamped(value)]).buffer)
  const t = create(TensorProtoSchema, { dataType: FLOAT16, dims: [1n], rawData: bytes })
  return create(AttributeProtoSchema, { name: 'value', type: AttributeProto_AttributeType.TENSOR, t })
}

function narrowed({ shape, read, literal }: Initializer, name: string): Initializer {
  const bytes = Uint8Array.from(read())
  const values = new Float32Array(bytes.buffer)
  const half = new Uint8Array(narrowFloat16(Array.from(values, clamped)).buffer)
  if (half.byteLength * 2 !== bytes.byteLength) throw new UnsupportedModelError(`'${name}' is not whole`)
  return { ...constantOf(shape, FLOAT16, half), ...(literal && { literal }) }
}

function clamped(value: number): number {
  return Number.isFinite(value) ? Math.max(-LARGEST, Math.min(LARGEST, value)) : value
}
