import { intAttribute } from '../onnx/attributes.js'
import { LOOP_CARRIED } from '../onnx/body.js'
import { onnxCode } from '../onnx/dtypes.js'
import { constantOf } from '../onnx/from-proto.js'
import type { Graph, Initializer, Node } from '../onnx/graph.js'
import { Inference } from '../onnx/infer.js'
import { plainNode } from '../onnx/plain-node.js'
import { normalizeAxis } from '../onnx/shapes/dims.js'
import { capturedBy, subgraphNames, subgraphOf, withSubgraphs } from '../onnx/subgraph.js'
import { readersOf } from './readers.js'

/** What may become of a list: all in one tensor, one of its tensors, or their number. */
const READERS = new Set(['ConcatFromSequence', 'SequenceAt', 'SequenceLength'])

/**
 * The graph with the lists that its loops append to (`outputs.append(h)`, then `torch.stack(outputs)`, in a scripted
 * network) as stacked outputs of the loops: a list that starts empty, gets one tensor at its end in every iteration, and
 * is then read as a whole. ONNX Runtime refuses a stack whose tensors have unlike shapes. Other lists stay.
 */
export function withStackedLists(graph: Graph, outer?: Inference): Graph {
  return graph.nodes.some(hasBodies) ? new Stacking(graph, outer).result() : graph
}

function hasBodies(node: Node): boolean {
  return subgraphNames(node).length > 0
}

/** A list of a Loop: which of the carried values it is, and what is appended. */
interface List {
  readonly index: number
  readonly inserted: string
  readonly insert: Node
  readonly before: string
}

class Stacking {
  private readonly inference: Inference
  private readonly producers = new Map<string, Node>()
  private readonly initializers: Map<string, Initializer>
  /** Stacks by the list that they stand for. */
  private readonly stacks = new Map<string, string>()

  constructor(
    private readonly graph: Graph,
    outer: Inference | undefined,
  ) {
    this.inference = new Inference({ ...graph, nodes: [] }, outer)
    this.initializers = new Map(graph.initializers)
  }

  result(): Graph {
    const nodes = this.graph.nodes.flatMap((node) => {
      const found = this.node(node)
      for (const one of found) {
        this.inference.visit(one)
        for (const name of one.outputs) this.producers.set(name, one)
      }
      return found
    })
    return { ...this.graph, initializers: this.initializers, nodes }
  }

  private node(node: Node): Node[] {
    const inner = this.withBodies(node)
    const stack = this.stacks.get(inner.inputs[0] ?? '')
    if (stack !== undefined) return this.read(inner, stack)
    return [inner.domain === '' && inner.op === 'Loop' ? this.loop(inner) : inner]
  }

  private withBodies(node: Node): Node {
    if (!hasBodies(node)) return node
    const names = subgraphNames(node)
    const changed = names.flatMap((name): [string, Graph][] => {
      const body = this.inference.body(node, name)
      const stacked = withStackedLists(body, this.inference)
      return stacked.nodes.every((one, i) => one === body.nodes[i]) ? [] : [[name, stacked]]
    })
    return changed.length === 0 ? node : withSubgraphs(node, new Map(changed))
  }

  private loop(node: Node): Node {
    const body = subgraphOf(this.graph, node, 'body')
    const lists = body.inputs.slice(LOOP_CARRIED).flatMap((_, index) => this.listOf(node, body, index) ?? [])
    if (lists.length === 0) return node
    const stacked = stackedLoop(node, body, lists)
    const trial = new Inference(
      { ...this.graph, inputs: [], initializers: new Map(), nodes: [stacked] },
      this.inference,
    )
    const names = lists.map(({ index }) => stackOf(node, index))
    // where the stack's rank is not known, its axes can't be moved
    if (names.some((name) => trial.info(name).shape === undefined)) return node
    lists.forEach(({ index }, i) => this.stacks.set(node.outputs[index]!, names[i]!))
    return stacked
  }

  private listOf(node: Node, body: Graph, index: number): List | undefined {
    const before = body.inputs[index + LOOP_CARRIED]!.name
    const after = body.outputs[index + 1]!.name
    const insert = body.nodes.find((one) => one.outputs[0] === after)
    const inserted = insert?.inputs[1]
    const appends =
      insert?.op === 'SequenceInsert' && insert.inputs[0] === before && (insert.inputs[2] ?? '') === ''
    const once = readersOf(body, before) === 1 && readersOf(body, after) === 1
    const starts = this.producers.get(node.inputs[index + LOOP_CARRIED] ?? '')?.op === 'SequenceEmpty'
    if (
      !appends ||
      !once ||
      !starts ||
      inserted === undefined ||
      !this.isReadWhole(node.outputs[index] ?? '')
    )
      return undefined
    return { index, insert, inserted, before }
  }

  private isReadWhole(list: string): boolean {
    const readers = this.graph.nodes.filter(
      (one) => one.inputs.includes(list) || capturedBy(one).includes(list),
    )
    const whole = readers.every((one) => READERS.has(one.op) && one.inputs[0] === list)
    return list !== '' && whole && readers.length === readersOf(this.graph, list)
  }

  /** What is read of a list, read of its stack [tensors, ...]. */
  private read(node: Node, stack: string): Node[] {
    const [y] = node.outputs as [string]
    if (node.op === 'SequenceAt') return [plainNode('Gather', [stack, node.inputs[1]!], y, { axis: 0 })]
    if (node.op === 'SequenceLength') {
      const size = plainNode('Shape', [stack], `${y}/size`, { start: 0, end: 1 })
      return [size, plainNode('Squeeze', [`${y}/size`], y)]
    }
    return this.concatenated(node, stack)
  }

  private concatenated(node: Node, stack: string): Node[] {
    const [y] = node.outputs as [string]
    const rank = this.inference.info(stack).shape!.length
    const added = intAttribute(node, 'new_axis', 0) === 1
    const axis = normalizeAxis(intAttribute(node, 'axis', 0), added ? rank : rank - 1)
    const others = Array.from({ length: rank - 1 }, (_, i) => i + 1)
    const perm = others.toSpliced(axis, 0, 0)
    if (added) return [plainNode('Transpose', [stack], y, { perm })]
    // [..., tensors, size, ...] as [..., tensors * size, ...]
    const [moved, front, back, open, joined] = ['moved', 'front', 'back', 'open', 'joined'].map(
      (name) => `${y}/${name}`,
    ) as [string, string, string, string, string]
    const rest = new Uint8Array(BigInt64Array.of(-1n).buffer)
    this.initializers.set(open, constantOf([1], onnxCode('int64'), rest))
    this.inference.declare(open, { dtype: 'int64', shape: [1] }, [-1])
    return [
      plainNode('Transpose', [stack], moved, { perm }),
      plainNode('Shape', [moved], front, { start: 0, end: axis }),
      plainNode('Shape', [moved], back, { start: axis + 2 }),
      plainNode('Concat', [front, open, back], joined, { axis: 0 }),
      plainNode('Reshape', [moved, joined], y),
    ]
  }
}

function stackOf(node: Node, index: number): string {
  return `${node.outputs[index]!}/stacked`
}

/** The Loop without its lists, and with what is appended to them as further scan outputs. */
function stackedLoop(node: Node, body: Graph, lists: readonly List[]): Node {
  const dropped = new Set(lists.map(({ index }) => index))
  const inserts = new Set(lists.map(({ insert }) => insert))
  const copies = lists.map(({ index, inserted }) => plainNode('Identity', [inserted], stackOf(node, index)))
  const graph: Graph = {
    ...body,
    inputs: body.inputs.filter((_, i) => !dropped.has(i - LOOP_CARRIED)),
    nodes: [...body.nodes.filter((one) => !inserts.has(one)), ...copies.map(inBody)],
    outputs: [
      ...body.outputs.filter((_, i) => !dropped.has(i - 1)),
      ...copies.map((copy) => ({ name: inBody(copy).outputs[0]!, dtype: undefined, shape: undefined })),
    ],
  }
  const all = body.outputs.slice(1).map((_, i) => node.outputs[i] ?? '')
  const changed = withSubgraphs(node, new Map([['body', graph]]))
  return {
    ...changed,
    inputs: node.inputs.filter((_, i) => !dropped.has(i - LOOP_CARRIED)),
    outputs: [...all.filter((_, i) => !dropped.has(i)), ...copies.map((copy) => copy.outputs[0]!)],
  }
}

/** A value of the body must not have the name of one outside. */
function inBody(copy: Node): Node {
  return { ...copy, outputs: copy.outputs.map((name) => `${name}/each`) }
}
