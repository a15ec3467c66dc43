import { narrowBfloat16, narrowFloat16 } from '../io/float16.js'
import { createHash } from 'node:crypto'
import { UnsupportedModelError } from '../errors.js'
import type { DType } from '../tensor.js'
import { attributes } from './attributes.js'
import type { AttributeValue } from './attributes.js'
import { onnxCode } from './dtypes.js'
import { opsetOf } from './graph.js'
import type { Graph, Initializer, NamedValue, Node, Shape, ValueInfo } from './graph.js'
import { Inference } from './infer.js'
import type { AttributeProto } from './proto/onnx_pb.js'
import { constantOf } from './from-proto.js'
import { computedBy } from './subgraph.js'

/** Names of the values that the builder adds start with this, so that they never meet the model's own. */
export const PREFIX = 'retrograd/'

/**
 * Adds nodes and constants to a graph. Values are named by strings; every added node's type and shape is inferred at
 * once, and equal nodes are added once (common subexpressions).
 */
export class NodeBuilder {
  protected readonly nodes: Node[]
  protected readonly initializers: Map<string, Initializer>
  private readonly known = new Map<string, readonly string[]>()
  /** Names that are taken by what will be added later. */
  private readonly reserved = new Set<string>()
  /** Where in `nodes` a value is computed. */
  protected readonly producers = new Map<string, number>()
  private readonly inference: Inference
  private count = 0

  /**
   * @param outer the builder of the graph around, for a graph that a node carries. Constants go there, and so do nodes
   *   that read nothing of this graph (they are the same in every iteration), unless this graph may not run at all
   *   (`hoists` false: a branch of If).
   */
  constructor(
    protected readonly graph: Graph,
    protected readonly outer?: NodeBuilder,
    private readonly hoists = true,
  ) {
    this.nodes = [...graph.nodes]
    this.nodes.forEach((node, at) => {
      this.note(node, at)
    })
    this.initializers = new Map(graph.initializers)
    this.inference = new Inference(graph, outer?.inference)
  }

  /** The version of ai.onnx that nodes are written in. */
  get opset(): number {
    return opsetOf(this.graph)
  }

  /** The graph as it is so far, nothing left out. */
  current(): Graph {
    return { ...this.graph, initializers: this.initializers, nodes: [...this.nodes] }
  }

  private note(node: Node, at: number): void {
    for (const name of node.outputs) if (name !== '') this.producers.set(name, at)
  }

  /** The node that computes a value, here or in the graph around; undefined for an input or a constant. */
  producer(value: string): Node | undefined {
    const at = this.producers.get(value)
    return at === undefined ? this.outer?.producer(value) : this.nodes[at]
  }

  /** Whether a value belongs to this graph rather than to the one around it. */
  owns(value: string): boolean {
    return this.inference.owns(value)
  }

  /** What is known of a value's type and shape. */
  info(value: string): ValueInfo {
    return this.inference.info(value)
  }

  /** Whether a name is taken by a value of the graph. */
  has(value: string): boolean {
    return this.inference.has(value)
  }

  /** Takes in an input that will be among the finished graph's. */
  declare({ name, dtype, shape }: NamedValue): void {
    this.inference.declare(name, { dtype, shape })
  }

  /** A name that no value has, for an output of a node that is made by hand. */
  newName(op: string): string {
    return this.name(op)
  }

  /** Takes in an input of a new name, for a graph that a node will carry. */
  input(info: ValueInfo): string {
    const name = this.name('input')
    this.inference.declare(name, info)
    return name
  }

  /** A graph that a node carries, its inputs typed by what is known of the node's. */
  body(node: Node, attribute: string): Graph {
    return this.inference.body(node, attribute)
  }

  /** Takes note that a value has the type and shape of another, where less is known of it. */
  declareLike(value: string, like: string): void {
    const [own, other] = [this.info(value), this.info(like)]
    const shape = own.shape?.map((dim, axis) =>
      typeof dim === 'number' ? dim : (other.shape?.[axis] ?? dim),
    )
    this.inference.declare(value, { dtype: own.dtype ?? other.dtype, shape: shape ?? other.shape })
  }

  shapeOf(value: string): Shape | undefined {
    return this.info(value).shape
  }

  rank(value: string): number | undefined {
    return this.shapeOf(value)?.length
  }

  /** The element type of a value that a rule computes with; float32 where inference lost it. */
  dtype(value: string): DType {
    return this.info(value).dtype ?? 'float32'
  }

  /** Elements of a small integer constant, or undefined where they are not known. */
  constantsOf(value: string): readonly number[] | undefined {
    return value === '' ? undefined : this.inference.constants(value)
  }

  /** Elements of a small real-valued constant, or undefined where they are not known. */
  realsOf(value: string): readonly number[] | undefined {
    return value === '' ? undefined : this.inference.reals(value)
  }

  /** Adds a node with one output and returns that output's name. */
  add(op: string, inputs: readonly string[], values: Readonly<Record<string, AttributeValue>> = {}): string {
    return this.addMany(op, inputs, 1, values)[0]!
  }

  /** Adds a node with several outputs. An equal node that is there already is used instead. */
  addMany(
    op: string,
    inputs: readonly string[],
    outputs: number,
    values: Readonly<Record<string, AttributeValue>> = {},
  ): readonly string[] {
    if (this.outer !== undefined && this.hoists && inputs.length > 0 && !inputs.some((x) => this.owns(x)))
      return this.outer.addMany(op, inputs, outputs, values)
    const key = JSON.stringify([op, inputs, values, outputs])
    const found = this.known.get(key)
    if (found !== undefined) return found
    const names = Array.from({ length: outputs }, () => this.name(op))
    this.push({ name: '', domain: '', op, inputs, outputs: names, attributes: attributes(values) })
    this.known.set(key, names)
    return names
  }

  /** Adds a node whose outputs have chosen names. */
  push(node: Node): void {
    this.note(node, this.nodes.length)
    this.nodes.push(node)
    this.inference.visit(node)
  }

  /**
   * Adds a node whose attributes are given in ONNX's own form (graphs, tensors), with outputs of new names. Equal
   * nodes are not looked for.
   */
  addNode(
    op: string,
    inputs: readonly string[],
    outputs: number,
    given: ReadonlyMap<string, AttributeProto>,
  ): readonly string[] {
    const names = Array.from({ length: outputs }, () => this.name(op))
    this.push({ name: '', domain: '', op, inputs, outputs: names, attributes: given })
    return names
  }

  /** Puts another node in the place of one that computes the same values, and perhaps more. */
  replace(node: Node, by: Node): void {
    const at = this.producers.get(node.outputs.find((name) => name !== '') ?? '')!
    this.nodes[at] = by
    this.note(by, at)
    this.inference.extend(by)
  }

  /** Keeps new values from getting the names of nodes that are still to be added, here or in graphs inside. */
  reserve(nodes: readonly Node[]): void {
    for (const name of computedBy(nodes)) this.reserved.add(name)
  }

  /** Gives a node of the graph further outputs (MaxPool's Indices). Returns the name of the output at `index`. */
  requireOutput(node: Node, index: number): string {
    const current = this.producer(node.outputs.find((output) => output !== '') ?? '')!
    const existing = current.outputs[index] ?? ''
    if (existing !== '') return existing
    const name = this.name(node.op)
    const outputs = Array.from({ length: Math.max(index + 1, current.outputs.length) }, (_, i) =>
      i === index ? name : (current.outputs[i] ?? ''),
    )
    this.replace(current, { ...current, outputs })
    return name
  }

  /** An int64 constant of one dimension. */
  integers(values: readonly number[]): string {
    return this.constant('int64', [values.length], values)
  }

  /** A constant of one element and no dimension. */
  scalar(value: number, dtype: DType): string {
    return this.constant(dtype, [], [value])
  }

  constant(dtype: DType, shape: readonly number[], values: readonly number[]): string {
    if (this.outer !== undefined) return this.outer.constant(dtype, shape, values)
    const name = `${PREFIX}${dtype}[${shape.join(',')}](${listed(values)})`
    if (this.graph.initializers.has(name)) this.assertSame(name, encode(dtype, values))
    if (!this.initializers.has(name)) {
      const initializer = constantOf(shape, onnxCode(dtype), encode(dtype, values))
      this.initializers.set(name, initializer)
      this.inference.declare(name, { dtype, shape }, FOLLOWED.has(dtype) ? values : undefined)
    }
    return name
  }

  /** A model that was written here has such constants, and they are what their names say. */
  private assertSame(name: string, bytes: Uint8Array): void {
    if (Buffer.compare(this.graph.initializers.get(name)!.read(), bytes) !== 0)
      throw new UnsupportedModelError(`the model uses the reserved name '${name}'`)
  }

  /** Holds a constant of a graph that a node carries, in the outermost graph; gives it a new name. */
  hold(initializer: Initializer): string {
    if (this.outer !== undefined) return this.outer.hold(initializer)
    const name = this.name('constant')
    this.initializers.set(name, initializer)
    this.inference.declare(name, { dtype: initializer.dtype, shape: initializer.shape })
    return name
  }

  protected name(op: string): string {
    if (this.outer !== undefined) return this.outer.name(op)
    for (;;) {
      this.count += 1
      const name = `${PREFIX}${op}_${this.count}`
      if (!this.has(name) && !this.reserved.has(name)) return name
    }
  }
}

/** Constants of these types are followed through the arithmetic of shapes. */
const FOLLOWED: ReadonlySet<DType> = new Set<DType>(['int64', 'int32', 'bool'])

/** More numbers than these are named by their digest. */
const LISTED_NUMBERS = 64

function listed(values: readonly number[]): string {
  // -0 is another number than 0
  const text = values.map((value) => (Object.is(value, -0) ? '-0' : String(value))).join(',')
  return values.length <= LISTED_NUMBERS ? text : createHash('sha256').update(text).digest('hex')
}

function encode(dtype: DType, values: readonly number[]): Uint8Array {
  switch (dtype) {
    case 'int32':
      return new Uint8Array(Int32Array.from(values).buffer)
    case 'int64':
      return new Uint8Array(BigInt64Array.from(values, BigInt).buffer)
    case 'float64':
      return new Uint8Array(Float64Array.from(values).buffer)
    case 'float32':
      return new Uint8Array(Float32Array.from(values).buffer)
    case 'float16':
      return new Uint8Array(narrowFloat16(values).buffer)
    case 'bfloat16':
      return new Uint8Array(narrowBfloat16(values).buffer)
    case 'bool':
      return Uint8Array.from(values)
    default:
      throw new TypeError(`constants of type ${dtype} are not built`)
  }
}
