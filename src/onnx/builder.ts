import type { DType } from '../tensor.js'
import { attributes } from './attributes.js'
import type { AttributeValue } from './attributes.js'
import { onnxCode } from './dtypes.js'
import type { Graph, Initializer, NamedValue, Node, Shape, ValueInfo } from './graph.js'
import { Inference } from './infer.js'
import type { AttributeProto } from './proto/onnx_pb.js'
import { constantOf } from './read.js'
import { sameShape, staticShape } from './shapes/dims.js'

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
  private readonly inference: Inference
  private count = 0

  constructor(private readonly graph: Graph) {
    this.nodes = [...graph.nodes]
    this.initializers = new Map(graph.initializers)
    this.inference = new Inference(graph)
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
    this.nodes.push(node)
    this.inference.visit(node)
  }

  /** Gives a node of the graph further outputs (MaxPool's Indices). Returns the name of the output at `index`. */
  requireOutput(node: Node, index: number): string {
    const at = this.nodes.findIndex((other) => other.outputs[0] === node.outputs[0])
    const current = this.nodes[at]!
    const existing = current.outputs[index] ?? ''
    if (existing !== '') return existing
    const name = this.name(node.op)
    const outputs = Array.from({ length: Math.max(index + 1, current.outputs.length) }, (_, i) =>
      i === index ? name : (current.outputs[i] ?? ''),
    )
    this.nodes[at] = { ...current, outputs }
    this.inference.visit(this.nodes[at])
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
    const name = `${PREFIX}${dtype}[${shape.join(',')}](${values.join(',')})`
    if (!this.initializers.has(name)) {
      const initializer = constantOf(shape, onnxCode(dtype), encode(dtype, values))
      this.initializers.set(name, initializer)
      this.inference.declare(name, { dtype, shape }, dtype === 'int64' ? values : undefined)
    }
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
    const nodes = renamed.toReversed().filter((node) => {
      if (!node.outputs.some((name) => needed.has(name))) return false
      for (const name of [...node.inputs, ...outerReferences(node)]) needed.add(name)
      return true
    })
    return {
      ...this.graph,
      inputs: inputs.filter(({ name }) => needed.has(name)),
      outputs: [...outputs].map(([name, value]) => ({ name, ...this.info(value) })),
      initializers: new Map([...this.initializers].filter(([name]) => needed.has(name))),
      nodes: nodes.reverse(),
    }
  }

  /** Renames the computed values that become outputs; one that is asked for twice, or is no node's, is copied. */
  private nameOutputs(outputs: ReadonlyMap<string, string>): Node[] {
    const computed = new Set(this.nodes.flatMap((node) => node.outputs))
    const names = new Map<string, string>()
    const copies: Node[] = []
    for (const [name, value] of outputs) {
      if (name === value) continue
      if (value.startsWith(PREFIX) && computed.has(value) && !names.has(value)) names.set(value, name)
      else copies.push(identity(names.get(value) ?? value, name))
    }
    const rename = (value: string): string => names.get(value) ?? value
    const nodes = this.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(rename),
      outputs: node.outputs.map(rename),
    }))
    return [...nodes, ...copies]
  }

  private name(op: string): string {
    this.count += 1
    const name = `${PREFIX}${op}_${this.count}`
    return this.has(name) ? this.name(op) : name
  }
}

function identity(from: string, to: string): Node {
  return { name: '', domain: '', op: 'Identity', inputs: [from], outputs: [to], attributes: new Map() }
}

/** Names that a node's subgraphs, however deep, may read from the graph around them. */
function outerReferences(node: Node): string[] {
  return [...node.attributes.values()].flatMap(referencesIn)
}

function referencesIn({ g, graphs }: AttributeProto): string[] {
  const subgraphs = g === undefined ? graphs : [g, ...graphs]
  return subgraphs.flatMap(({ node, output }) => [
    ...output.map(({ name }) => name),
    ...node.flatMap(({ input, attribute }) => [...input, ...attribute.flatMap(referencesIn)]),
  ])
}

function encode(dtype: DType, values: readonly number[]): Uint8Array {
  switch (dtype) {
    case 'int64':
      return new Uint8Array(BigInt64Array.from(values, BigInt).buffer)
    case 'float64':
      return new Uint8Array(Float64Array.from(values).buffer)
    case 'float32':
      return new Uint8Array(Float32Array.from(values).buffer)
    case 'bool':
      return Uint8Array.from(values)
    default:
      throw new TypeError(`constants of type ${dtype} are not built`)
  }
}
