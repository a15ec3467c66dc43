import { narrowBfloat16, narrowFloat16 } from '../io/float16.js'
import { createHash } from 'node:crypto'
import type { DType } from '../tensor.js'
import { attributes } from './attributes.js'
import type { AttributeValue } from './attributes.js'
import { onnxCode } from './dtypes.js'
import { opsetOf } from './graph.js'
import type { Graph, Initializer, NamedValue, Node, Shape, ValueInfo } from './graph.js'
import { Inference } from './infer.js'
import type { AttributeProto } from './proto/onnx_pb.js'
import { constantOf } from './from-proto.js'
import { sameShape, staticShape } from './shapes/dims.js'
import { capturedBy, computedBy, renameReads } from './subgraph.js'

/** Names of the values that the builder adds start with this, so that they never meet the model's own. */
const PREFIX = 'retrograd/'

/**
 * Adds nodes to a graph. Values are named by strings; every added node's type and shape is inferred at once, equal
 * nodes are added once (common subexpressions), and what is known beforehand is not computed: shapes of static size
 * become constants, reshapes and sums that change nothing disappear.
 */
export class GraphBuilder {
  private readonly nodes: Node[]
  private readonly initializers: Map<string, Initializer>
  private readonly known = new Map<string, readonly string[]>()
  /** Names that are taken by what will be added later. */
  private readonly reserved = new Set<string>()
  /** Where in `nodes` a value is computed. */
  private readonly producers = new Map<string, number>()
  private readonly inference: Inference
  private count = 0

  /**
   * @param outer the builder of the graph around, for a graph that a node carries. Constants go there, and so do nodes
   *   that read nothing of this graph (they are the same in every iteration), unless this graph may not run at all
   *   (`hoists` false: a branch of If).
   */
  constructor(
    private readonly graph: Graph,
    private readonly outer?: GraphBuilder,
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
    if (!this.initializers.has(name)) {
      const initializer = constantOf(shape, onnxCode(dtype), encode(dtype, values))
      this.initializers.set(name, initializer)
      this.inference.declare(name, { dtype, shape }, dtype === 'int64' ? values : undefined)
    }
    return name
  }

  /** Holds a constant of a graph that a node carries, in the outermost graph; gives it a new name. */
  hold(initializer: Initializer): string {
    if (this.outer !== undefined) return this.outer.hold(initializer)
    const name = this.name('constant')
    this.initializers.set(name, initializer)
    this.inference.declare(name, { dtype: initializer.dtype, shape: initializer.shape })
    return name
  }

  /** A value's shape as a one-dimensional int64 value: a constant where it is static. */
  shape(value: string): string {
    const sizes = staticShape(this.shapeOf(value))
    return sizes === undefined ? this.add('Shape', [value]) : this.integers(sizes)
  }

  /** The sizes along some axes as a one-dimensional int64 value, in their order. */
  sizes(value: string, axes: readonly number[]): string {
    const shape = this.shapeOf(value)
    const sizes = staticShape(shape && axes.map((axis) => shape[axis]!))
    return sizes === undefined
      ? this.add('Gather', [this.shape(value), this.integers(axes)])
      : this.integers(sizes)
  }

  /** A value with another's shape; both hold equally many elements. */
  reshapeLike(value: string, like: string): string {
    return sameShape(this.shapeOf(value), this.shapeOf(like))
      ? value
      : this.reshapeTo(value, this.targetShape(like))
  }

  reshapeTo(value: string, shape: string): string {
    return this.add('Reshape', [value, shape], { allowzero: 1 })
  }

  /** A value reshaped to sizes of which one at most is -1 (what is left). */
  reshape(value: string, sizes: readonly number[]): string {
    const wanted = staticShape(this.shapeOf(value))
    if (wanted?.length === sizes.length && wanted.every((size, i) => size === sizes[i])) return value
    return this.reshapeTo(value, this.integers(sizes))
  }

  /** A shape for Reshape: with one symbol and no zero, -1 says it without a Shape node. */
  private targetShape(like: string): string {
    const shape = this.shapeOf(like)
    const symbols = shape?.filter((dim) => typeof dim === 'string').length
    if (shape === undefined || symbols !== 1 || shape.includes(0)) return this.shape(like)
    return this.integers(shape.map((dim) => (typeof dim === 'number' ? dim : -1)))
  }

  /** Sum over axes (all counted from 0); over no axes it is the value itself. */
  sum(value: string, axes: readonly number[], keepDims: boolean): string {
    if (axes.length === 0) return value
    return this.add('ReduceSum', [value, this.integers(axes)], { keepdims: keepDims ? 1 : 0 })
  }

  /** A value repeated along axes of size 1 to the shape of another. */
  expandLike(value: string, like: string): string {
    return sameShape(this.shapeOf(value), this.shapeOf(like))
      ? value
      : this.add('Expand', [value, this.shape(like)])
  }

  /** Zeros of the shape of another value, in its type. */
  zerosLike(value: string): string {
    return this.add('Expand', [this.scalar(0, this.dtype(value)), this.shape(value)])
  }

  cast(value: string, dtype: DType): string {
    return this.info(value).dtype === dtype ? value : this.add('Cast', [value], { to: onnxCode(dtype) })
  }

  transpose(value: string, order: readonly number[]): string {
    return order.every((axis, i) => axis === i) ? value : this.add('Transpose', [value], { perm: order })
  }

  mul(a: string, b: string): string {
    return this.add('Mul', [a, b])
  }

  /** The product with a number; with 1 it is the value itself. */
  scale(value: string, factor: number): string {
    return factor === 1 ? value : this.mul(value, this.scalar(factor, this.dtype(value)))
  }

  /**
   * The graph as built so far, less the nodes, constants and inputs that no output needs. `outputs` maps the names
   * that the outputs shall have to the values that they are.
   */
  finish(inputs: readonly NamedValue[], outputs: ReadonlyMap<string, string>): Graph {
    const renamed = this.nameOutputs(outputs)
    const needed = new Set(outputs.keys())
    const nodes = prune(renamed, needed)
    return {
      ...this.graph,
      inputs: inputs.filter(({ name }) => needed.has(name)),
      outputs: [...outputs].map(([name, value]) => ({ name, ...this.info(value) })),
      initializers: new Map([...this.initializers].filter(([name]) => needed.has(name))),
      nodes,
    }
  }

  /**
   * The graph as the body of a node: all inputs stay, in their order, and the outputs are the given values, each
   * copied where it is not computed in this graph or stands there twice. What is an input is not computed.
   */
  finishBody(inputs: readonly NamedValue[], outputs: readonly string[]): Graph {
    const given = new Set(inputs.map(({ name }) => name))
    const seen = new Set(given)
    const names = outputs.map((value) => {
      if (this.producers.has(value) && !seen.has(value)) {
        seen.add(value)
        return value
      }
      const copy = this.name('Identity')
      this.push(identity(value, copy))
      return copy
    })
    const needed = new Set(names)
    const nodes = prune(this.nodes, needed, given)
    return {
      ...this.graph,
      inputs,
      outputs: names.map((name) => ({ name, ...this.info(name) })),
      initializers: new Map([...this.initializers].filter(([name]) => needed.has(name))),
      nodes,
    }
  }

  /**
   * The nodes of this graph, with some values renamed: one that is computed here gets its name, another is copied.
   * A value that is asked for under two names is copied too.
   */
  named(values: readonly (readonly [name: string, value: string])[]): Node[] {
    const names = new Map<string, string>()
    const copies: Node[] = []
    for (const [name, value] of values) {
      if (this.producers.has(value) && !names.has(value)) names.set(value, name)
      else copies.push(identity(names.get(value) ?? value, name))
    }
    const rename = (value: string): string => names.get(value) ?? value
    const nodes = this.nodes.map((node) => {
      const renamed = renameReads(node, rename)
      return node.outputs.some((name) => names.has(name))
        ? { ...renamed, outputs: node.outputs.map(rename) }
        : renamed
    })
    return [...nodes, ...copies]
  }

  /** Renames the computed values that become outputs; the network's own, which others may read, are copied. */
  private nameOutputs(outputs: ReadonlyMap<string, string>): Node[] {
    const own = [...outputs].filter(([name, value]) => name !== value && value.startsWith(PREFIX))
    const copied = [...outputs].filter(([name, value]) => name !== value && !value.startsWith(PREFIX))
    return [...this.named(own), ...copied.map(([name, value]) => identity(value, name))]
  }

  private name(op: string): string {
    if (this.outer !== undefined) return this.outer.name(op)
    this.count += 1
    const name = `${PREFIX}${op}_${this.count}`
    return this.has(name) || this.reserved.has(name) ? this.name(op) : name
  }
}

function identity(from: string, to: string): Node {
  return { name: '', domain: '', op: 'Identity', inputs: [from], outputs: [to], attributes: new Map() }
}

/** The nodes that compute what is needed and not given; `needed` grows by what they read themselves. */
function prune(nodes: readonly Node[], needed: Set<string>, given: ReadonlySet<string> = new Set()): Node[] {
  const kept = nodes.toReversed().filter((node) => {
    if (!node.outputs.some((name) => needed.has(name) && !given.has(name))) return false
    for (const name of node.inputs) needed.add(name)
    for (const name of capturedBy(node)) needed.add(name)
    return true
  })
  return kept.reverse()
}

/** More numbers than these are named by their digest. */
const LISTED_NUMBERS = 64

function listed(values: readonly number[]): string {
  const text = values.join(',')
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
