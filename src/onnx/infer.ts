import { elementCount } from '../tensor.js'
import { refined, typedBody } from './body.js'
import { opsetOf } from './graph.js'
import type { Dim, Graph, Node, Shape, ValueInfo } from './graph.js'
import { MATRIX_RULES } from './shapes/matrices.js'
import type { Rows } from './shapes/matrices.js'
import { SHAPE_RULES } from './shapes/rules.js'
import { VALUE_RULES } from './shapes/values.js'
import { subgraphOf } from './subgraph.js'
import { integersOf, realsOf, wholeNumbersOf } from './tensors.js'

/** Integer tensors up to this many elements are followed through shape arithmetic. */
const LARGEST_SHAPE_VALUE = 64

/** What a shape rule sees of a node: what is known of its inputs. */
export interface NodeView {
  readonly node: Node
  /** The version of ai.onnx that the node is written in. */
  readonly opset: number
  info(input: number): ValueInfo
  shape(input: number): Shape | undefined
  /** Elements of a small integer input, each a number, a symbol, or undefined where unknown. */
  integers(input: number): readonly (Dim | undefined)[] | undefined
  /** Elements of a small integer input where all are known numbers. */
  constants(input: number): readonly number[] | undefined
  /** Elements of a small integer input of two dimensions. */
  rows(input: number): Rows | undefined
  /** Elements of a small real-valued constant (the scales of a Resize). */
  reals(input: number): readonly number[] | undefined
  /** What follows for the outputs of a graph that the node carries. */
  body(attribute: string): readonly ValueInfo[]
  readonly fresh: () => Dim
}

const UNKNOWN: ValueInfo = { dtype: undefined, shape: undefined }

/**
 * Types, shapes and small integer values of every value of a graph, as far as they follow from the graph's inputs.
 * Nothing is guessed: what does not follow is a fresh symbol or unknown. Values computed by operators without a
 * shape rule are unknown.
 */
export class Inference {
  private readonly infos = new Map<string, ValueInfo>()
  private readonly values = new Map<string, readonly (Dim | undefined)[]>()
  private readonly matrices = new Map<string, Rows>()
  private symbols = 0

  /** `outer` is what is known of the graph around, for a graph that a node carries. */
  constructor(
    private readonly graph: Graph,
    private readonly outer?: Inference,
  ) {
    for (const { name, dtype, shape } of graph.inputs) this.infos.set(name, { dtype, shape })
    for (const name of graph.initializers.keys()) this.addInitializer(name)
    for (const node of graph.nodes) this.visit(node)
  }

  /** What is known of a value; '' (an omitted input) and unknown names give unknown. */
  info(name: string): ValueInfo {
    return this.infos.get(name) ?? this.outer?.info(name) ?? UNKNOWN
  }

  /** Whether a name is taken, here or in the graph around. */
  has(name: string): boolean {
    return this.infos.has(name) || this.outer?.has(name) === true
  }

  /** Whether a value belongs to this graph rather than to the one around it. */
  owns(name: string): boolean {
    return this.infos.has(name)
  }

  integers(name: string): readonly (Dim | undefined)[] | undefined {
    return this.infos.has(name) ? this.values.get(name) : this.outer?.integers(name)
  }

  constants(name: string): readonly number[] | undefined {
    const values = this.integers(name)
    return values?.every((value) => typeof value === 'number') ? values : undefined
  }

  /** Elements of a real-valued initializer that is no longer than a shape. Read when asked for: most are weights. */
  reals(name: string): readonly number[] | undefined {
    const initializer = this.graph.initializers.get(name)
    if (initializer === undefined) return this.infos.has(name) ? undefined : this.outer?.reals(name)
    return elementCount(initializer.shape) <= LARGEST_SHAPE_VALUE ? realsOf(initializer) : undefined
  }

  /** Takes in a value that was added to the graph. */
  declare(name: string, info: ValueInfo, integers?: readonly (Dim | undefined)[]): void {
    this.infos.set(name, info)
    if (integers !== undefined) this.values.set(name, integers)
  }

  /** Takes in further outputs of a node; what is known of the others stays. */
  extend(node: Node): void {
    const known = node.outputs.map((name) => [name, this.infos.get(name)] as const)
    this.visit(node)
    for (const [name, info] of known) if (info !== undefined) this.infos.set(name, info)
  }

  /** Takes in a node that was added to the graph, after its inputs. */
  visit(node: Node): void {
    const view = this.view(node)
    const standard = node.domain === ''
    const outputs = (standard ? SHAPE_RULES[node.op]?.(view) : undefined) ?? []
    node.outputs.forEach((name, index) => {
      if (name !== '') this.infos.set(name, outputs[index] ?? UNKNOWN)
    })
    const value = standard ? VALUE_RULES[node.op]?.(view) : undefined
    const rank = this.info(node.outputs[0] ?? '').shape?.length
    // a list says nothing of the layout of more than one dimension
    if (value !== undefined && value.length <= LARGEST_SHAPE_VALUE && rank !== undefined && rank <= 1)
      this.values.set(node.outputs[0]!, value)
    const rows = standard && rank === 2 ? MATRIX_RULES[node.op]?.(view) : undefined
    if (rows !== undefined) this.matrices.set(node.outputs[0]!, rows)
  }

  /** A graph that a node carries, its inputs typed by what is known of the node's. */
  body(node: Node, attribute: string): Graph {
    return typedBody(node, subgraphOf(this.graph, node, attribute), {
      info: (input) => this.info(node.inputs[input] ?? ''),
      outputs: (body) => this.bodyOutputs(body),
      fresh: () => this.fresh(),
    })
  }

  private bodyOutputs(body: Graph): readonly ValueInfo[] {
    const inner = new Inference(body, this)
    return body.outputs.map((output) => refined(inner.info(output.name), output, () => this.fresh()))
  }

  fresh(): Dim {
    if (this.outer !== undefined) return this.outer.fresh()
    this.symbols += 1
    return `?${this.symbols}`
  }

  private addInitializer(name: string): void {
    const initializer = this.graph.initializers.get(name)!
    const { dtype, shape } = initializer
    this.infos.set(name, { dtype, shape })
    const small = shape.length <= 1 && elementCount(shape) <= LARGEST_SHAPE_VALUE
    const values = small ? (integersOf(initializer) ?? wholeNumbersOf(initializer)) : undefined
    if (values !== undefined) this.values.set(name, values)
  }

  private view(node: Node): NodeView {
    const name = (input: number): string => node.inputs[input] ?? ''
    return {
      node,
      opset: opsetOf(this.graph),
      info: (input) => this.info(name(input)),
      shape: (input) => this.info(name(input)).shape,
      integers: (input) => this.integers(name(input)),
      constants: (input) => this.constants(name(input)),
      rows: (input) => this.matrices.get(name(input)),
      reals: (input) => this.reals(name(input)),
      body: (attribute) => this.bodyOutputs(this.body(node, attribute)),
      fresh: () => this.fresh(),
    }
  }
}
