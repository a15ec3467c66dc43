import { intAttribute } from './attributes.js'
import type { DType } from '../tensor.js'
import { GraphBuilder } from './builder.js'
import { dtypeOf, onnxCode } from './dtypes.js'
import { prune } from './finish.js'
import type { Graph, NamedValue, Node } from './graph.js'
import { plainNode } from './plain-node.js'
import { staticShape } from './shapes/dims.js'
import { renameReads, subgraphNames, withSubgraphs } from './subgraph.js'
import { withoutUnread } from './specialize.js'

const ALL = -1

/** Operators that only hand elements on, and which of their inputs hold them. */
const MOVING: Readonly<Record<string, number>> = {
  Concat: ALL,
  Expand: 0,
  Flatten: 0,
  Gather: 0,
  GatherElements: 0,
  Identity: 0,
  Reshape: 0,
  Slice: 0,
  Squeeze: 0,
  Tile: 0,
  Transpose: 0,
  Unsqueeze: 0,
}

/** Operators of which one input may be int32 as well as int64, whatever type their result has, and which it is. */
const EITHER: Readonly<Record<string, number>> = { Cast: 0, Gather: 1, GatherElements: 1, ScatterElements: 1 }

const LARGEST = 2 ** 31 - 1

/**
 * The graph for a device without 64-bit integers: inputs of type int64 become int32, and what is computed from them
 * stays int32 as far as only operators follow that hand numbers on, index by them or cast them. A Cast to int64 remains
 * where another operator needs it. Inputs and outputs keep their names; outputs keep their types.
 */
export function narrowIntegers(graph: Graph): Graph {
  const wide = graph.inputs.filter(({ dtype }) => dtype === 'int64').map(({ name }) => name)
  const inputs = graph.inputs.map((input): NamedValue =>
    wide.includes(input.name) ? { ...input, dtype: 'int32' } : input,
  )
  const builder = new GraphBuilder({ ...graph, inputs, nodes: [] })
  builder.reserve(graph.nodes)
  const narrowing = new Narrowing(builder)
  for (const name of wide) narrowing.widen(name)
  return withoutUnread(narrowing.narrowed({ ...graph, inputs }))
}

/** What is known while nodes are narrowed, in one graph. */
class Narrowing {
  /** The int32 value with the numbers of an int64 one. */
  private readonly narrow: Map<string, string>
  /** What is read instead of a value. */
  private readonly instead: Map<string, string>

  constructor(
    private readonly builder: GraphBuilder,
    outer?: Narrowing,
  ) {
    this.narrow = new Map(outer?.narrow)
    this.instead = new Map(outer?.instead)
  }

  /** Takes in an int32 input that was int64: its readers read a cast. */
  widen(name: string): void {
    const value = this.builder.cast(name, 'int64')
    this.narrow.set(value, name)
    this.instead.set(name, value)
  }

  narrowed(graph: Graph): Graph {
    for (const node of graph.nodes)
      this.take(
        renameReads(node, (name) => this.instead.get(name) ?? name),
        graph,
      )
    const { nodes, initializers } = this.builder.current()
    return { ...graph, nodes: prune(nodes, new Set(graph.outputs.map(({ name }) => name))), initializers }
  }

  private take(node: Node, graph: Graph): void {
    const [name = ''] = node.outputs
    const source = node.domain === '' ? this.inNarrow(node) : undefined
    if (source === undefined) this.builder.push(this.reading(node))
    else if (!isCastTo(node, 'int32')) {
      this.builder.push(plainNode('Cast', [source], name, { to: onnxCode('int64') }))
      this.narrow.set(name, source)
    } else if (graph.outputs.some((output) => output.name === name))
      this.builder.push(plainNode('Identity', [source], name))
    else this.instead.set(name, source)
  }

  /** The int32 value with the numbers that a cast of integers gives, or that a node hands on. */
  private inNarrow(node: Node): string | undefined {
    const [value = ''] = node.inputs
    if (isCastTo(node, 'int32')) return this.narrow.get(value)
    const { dtype } = this.builder.info(value)
    if (isCastTo(node, 'int64') && dtype !== 'int64') return this.builder.cast(value, 'int32')
    if (isCastTo(node, 'int64')) return this.narrow.get(value)
    return dtype === 'int64' ? this.moved(node) : undefined
  }

  /** What hands numbers on, done with int32. */
  private moved(node: Node): string | undefined {
    const moved = MOVING[node.op]
    if (moved === undefined) return undefined
    const inputs = node.inputs.map((name, i) => (moved === ALL || moved === i ? this.inInt32(name) : name))
    if (!inputs.every((name) => name !== undefined)) return undefined
    return this.builder.addNode(node.op, this.reading({ ...node, inputs }).inputs, 1, node.attributes)[0]
  }

  private inInt32(name: string): string | undefined {
    const known = this.narrow.get(name)
    if (known !== undefined) return known
    const [numbers, sizes] = [this.builder.constantsOf(name), staticShape(this.builder.shapeOf(name))]
    if (numbers === undefined || sizes === undefined || numbers.some((one) => Math.abs(one) > LARGEST))
      return undefined
    return this.builder.constant('int32', sizes, numbers)
  }

  /** The node with int32 values for int64 ones where either will do. */
  private reading(node: Node): Node {
    const at = node.domain === '' ? EITHER[node.op] : undefined
    const value = at === undefined ? undefined : this.narrow.get(node.inputs[at] ?? '')
    return this.withNarrowBodies(
      value === undefined ? node : { ...node, inputs: node.inputs.with(at!, value) },
    )
  }

  private withNarrowBodies(node: Node): Node {
    const names = subgraphNames(node)
    if (names.length === 0) return node
    const bodies = names.map((name): [string, Graph] => {
      const body = this.builder.body(node, name)
      const inner = new GraphBuilder({ ...body, nodes: [] }, this.builder, false)
      return [name, new Narrowing(inner, this).narrowed(body)]
    })
    return withSubgraphs(node, new Map(bodies))
  }
}

function isCastTo(node: Node, dtype: DType): boolean {
  return node.op === 'Cast' && dtypeOf(intAttribute(node, 'to', 0)) === dtype
}
