import { GraphBuilder } from '../../onnx/builder.js'
import type { Graph, NamedValue, Node, ValueInfo } from '../../onnx/graph.js'
import { plainNode } from '../../onnx/plain-node.js'
import { capturedBy } from '../../onnx/subgraph.js'
import type { DType } from '../../tensor.js'
import { activeValues, addedUp, reachedFrom, reverseTerms } from '../driver.js'
import type { VjpContext } from '../rule.js'

/** A value that an iteration passes to the next: its name as an input of the body, and as an output. */
export interface Carried {
  readonly before: string
  readonly after: string
}

/** Operators whose results are kept for the way back: what costs more to compute again than to store. */
const KEPT = new Set(
  (
    'MatMul Gemm Conv ConvTranspose Einsum DeformConv MaxPool LpPool Softmax LogSoftmax TopK Scan Loop If Exp Log Erf ' +
    'Tanh Sigmoid Softplus Sin Cos Pow Sqrt ReduceLogSumExp Inverse Det GridSample Resize DFT'
  ).split(' '),
)

/** Types of which there are constants, for where nothing is kept. */
const STORED = new Set<DType | undefined>(['float32', 'float64', 'int64', 'int32', 'bool'])

/** Computed again they would be other numbers. */
const RANDOM = new Set(
  'RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli Multinomial'.split(' '),
)

/**
 * The derivative of a graph that a node carries: its nodes and those of the way back in one builder, to be parted into
 * the body of the forward node, which gives what the way back needs as further outputs, and that of a new node.
 */
export class DifferentiatedBody {
  readonly builder: GraphBuilder
  /** Values of the graph around that the body reads and that change with the parameters. */
  readonly captured: readonly string[]
  private readonly fixed: ReadonlySet<string>
  private readonly own: ReadonlySet<string>

  constructor(
    private readonly c: VjpContext,
    readonly graph: Graph,
    hoists: boolean,
  ) {
    this.builder = new GraphBuilder(graph, c.builder, hoists)
    this.own = new Set([
      ...graph.inputs.map(({ name }) => name),
      ...graph.nodes.flatMap(({ outputs }) => outputs),
    ])
    const captured = capturedBy(c.node)
    this.captured = captured.filter((name) => c.isActive(name))
    this.fixed = new Set([...c.node.inputs, ...captured].flatMap((name) => symbolsOf(c.builder.info(name))))
  }

  /** The body's inputs that change with the parameters, given those that do at the start: a state may become one. */
  activeInputs(start: readonly string[], carried: readonly Carried[]): ReadonlySet<string> {
    const inputs = new Set(start)
    for (;;) {
      const active = this.active(inputs)
      const more = carried.filter(({ before, after }) => active.has(after) && !inputs.has(before))
      if (more.length === 0) return inputs
      for (const { before } of more) inputs.add(before)
    }
  }

  private active(inputs: ReadonlySet<string>): Set<string> {
    return activeValues(this.graph, this.builder, [...inputs, ...this.captured])
  }

  /** The carried values (as inputs) that have a cotangent, given the outputs that have one at the start. */
  reached(
    inputs: ReadonlySet<string>,
    seeds: readonly string[],
    carried: readonly Carried[],
  ): ReadonlySet<string> {
    const active = this.active(inputs)
    const outputs = new Set(seeds)
    for (;;) {
      const { reached } = reachedFrom(this.graph, active, outputs)
      const more = carried.filter(({ before, after }) => {
        return inputs.has(before) && reached.has(before) && !outputs.has(after)
      })
      if (more.length === 0) break
      for (const { after } of more) outputs.add(after)
    }
    const reached = carried.filter(({ before, after }) => inputs.has(before) && outputs.has(after))
    return new Set(reached.map(({ before }) => before))
  }

  /** Writes the way back from cotangents of the body's outputs. */
  reverse(inputs: ReadonlySet<string>, seeds: readonly (readonly [string, string])[]): Map<string, string[]> {
    const { c, builder, graph } = this
    const merged = new Map<string, string>()
    for (const [value, cotangent] of seeds) {
      const sum = merged.get(value)
      merged.set(value, sum === undefined ? cotangent : addedUp(builder, value, [sum, cotangent]))
    }
    return reverseTerms(graph, builder, [...inputs, ...this.captured], merged, c.settings)
  }

  /**
   * What values need: of the forward nodes' results those that are kept, and of the body's inputs those that are read.
   * Where only the shape of a value is wanted, that is kept instead of it.
   */
  kept(outputs: readonly string[]): {
    readonly values: readonly string[]
    readonly inputs: ReadonlySet<string>
  } {
    const { nodes } = this.builder.current()
    const needed = new Set(outputs)
    const shapes = new Map<string, string[]>()
    const values: string[] = []
    const settle = (value: string): void => {
      if (!needed.has(value)) values.push(...(shapes.get(value) ?? []))
    }
    for (const [index, node] of [...nodes.entries()].reverse()) {
      for (const name of node.outputs) settle(name)
      const wanted = node.outputs.filter((name) => needed.has(name))
      if (wanted.length === 0) continue
      const forward = index < this.graph.nodes.length
      const [x = ''] = node.inputs
      if (forward && this.isKept(node, wanted)) values.push(...wanted)
      else if (!forward && node.op === 'Shape' && this.isForward(x))
        shapes.set(x, [...(shapes.get(x) ?? []), ...wanted])
      else for (const name of [...node.inputs, ...capturedBy(node)]) needed.add(name)
    }
    for (const { name } of this.graph.inputs) settle(name)
    const inputs = this.graph.inputs.map(({ name }) => name).filter((name) => needed.has(name))
    return { values: values.reverse(), inputs: new Set(inputs) }
  }

  /** Whether a value is an input of the body or computed by its own nodes. */
  private isForward(value: string): boolean {
    return this.own.has(value)
  }

  /** Results of unlike shapes can't be stacked; where that is not known to be impossible they are computed again. */
  private isKept(node: Node, outputs: readonly string[]): boolean {
    if (node.domain !== '') return false
    if (RANDOM.has(node.op)) return true
    return KEPT.has(node.op) && outputs.every((name) => this.isFixed(this.builder.info(name)))
  }

  private isFixed(info: ValueInfo): boolean {
    return (
      STORED.has(info.dtype) &&
      info.shape !== undefined &&
      symbolsOf(info).every((symbol) => this.fixed.has(symbol))
    )
  }

  /** The body of the forward node, with further outputs. */
  forward(values: readonly string[]): Graph {
    const { builder, graph } = this
    const nodes = builder.current().nodes.slice(0, graph.nodes.length)
    const forward = new Set(nodes)
    const given = new Set(graph.outputs.map(({ name }) => name))
    const names = values.map((value) => {
      const producer = builder.producer(value)
      if (producer === undefined || !builder.owns(value) || given.has(value)) {
        const copy = builder.newName('Identity')
        nodes.push(plainNode('Identity', [value], copy))
        return copy
      }
      if (!forward.has(producer)) nodes.push(producer)
      return value
    })
    const own = graph.outputs.map((declared) => ({
      ...declared,
      ...refined(builder.info(declared.name), declared),
    }))
    const added = values.map((value, i) => ({ name: names[i]!, ...builder.info(value) }))
    return { ...graph, nodes, outputs: [...own, ...added] }
  }
}

function refined(known: ValueInfo, declared: ValueInfo): ValueInfo {
  return { dtype: known.dtype ?? declared.dtype, shape: known.shape ?? declared.shape }
}

/** A graph with nodes in front that give what it takes as inputs. */
export function withPrologue(graph: Graph, inputs: readonly NamedValue[], prologue: readonly Node[]): Graph {
  return { ...graph, inputs, nodes: [...prologue, ...graph.nodes] }
}

/** The symbols in a shape; those of a product one by one. */
function symbolsOf({ shape }: ValueInfo): string[] {
  return (shape ?? []).flatMap((dim) =>
    typeof dim === 'number' ? [] : dim.split('*').filter((part) => !/^\d+$/.test(part)),
  )
}
