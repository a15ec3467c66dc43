import { intAttribute } from './attributes.js'
import type { Graph, Node } from './graph.js'
import { nodesReading } from './reading-nodes.js'
import { readingOf } from './usage.js'

/** What the index along an axis of a weight counts: output channels, input channels, or places of a window. */
export type AxisMeaning = 'output' | 'input' | 'window'

/** How a network lays a weight out, in terms that every framework has. */
export interface WeightUse {
  readonly kind: 'dense' | 'convolution' | 'transposed convolution' | 'embedding' | 'recurrent'
  /** One meaning for each axis of the tensor; empty for a recurrent kernel, whose gates have an order besides. */
  readonly axes: readonly AxisMeaning[]
}

/** What the axes of a weight mean to the node that reads it (ONNX operators; windows have any number of axes). */
const USES: Readonly<Record<string, (node: Node, input: number, rank: number) => WeightUse | undefined>> = {
  Conv: (_, input, rank) =>
    input === 1 ? { kind: 'convolution', axes: ['output', 'input', ...windows(rank)] } : undefined,
  ConvTranspose: (_, input, rank) =>
    input === 1 ? { kind: 'transposed convolution', axes: ['input', 'output', ...windows(rank)] } : undefined,
  Gemm: (node, input) => {
    if (input === 2) return undefined
    const rows = input === 1 ? intAttribute(node, 'transB', 0) === 1 : intAttribute(node, 'transA', 0) === 0
    return dense(rows)
  },
  MatMul: (_, input, rank) => (rank === 2 ? dense(input === 0) : undefined),
  Gather: (_, input, rank) =>
    input === 0 && rank === 2 ? { kind: 'embedding', axes: ['input', 'output'] } : undefined,
}

const RECURRENT = new Set(['LSTM', 'GRU', 'RNN'])

/** `rows`: whether each row makes one output. */
function dense(rows: boolean): WeightUse {
  return { kind: 'dense', axes: rows ? ['output', 'input'] : ['input', 'output'] }
}

function windows(rank: number): AxisMeaning[] {
  return new Array<AxisMeaning>(Math.max(0, rank - 2)).fill('window')
}

/** How the graph uses a tensor, through transpositions; undefined for what is no kernel, or where a reshape hides it. */
export function weightUseOf(graph: Graph, tensor: string, rank: number): WeightUse | undefined {
  const reading = readingOf(graph, tensor, rank)
  if (reading === undefined) return undefined
  const { node, input, axes } = reading
  if (RECURRENT.has(node.op)) return { kind: 'recurrent', axes: [] }
  const use = axes && USES[node.op]?.(node, input, axes.length)
  if (use?.axes.length !== rank) return undefined
  const meanings = new Array<AxisMeaning>(rank)
  axes!.forEach((axis, i) => (meanings[axis] = use.axes[i]!))
  return { kind: use.kind, axes: meanings }
}

/**
 * For each initializer the others that belong to the same layer as far as the graph tells: those that the node beside it
 * reads, or a node that reads that node's result (MatMul and the Add of its bias), in both directions.
 */
export function neighboursOf(graph: Graph): ReadonlyMap<string, ReadonlySet<string>> {
  const { initializers } = graph
  const found = new Map([...initializers.keys()].map((name) => [name, new Set<string>()]))
  for (const [name, beside] of found) {
    const own = nodesReading(graph, name)
    const after = own.flatMap(({ outputs }) => outputs.flatMap((output) => nodesReading(graph, output)))
    for (const other of [...own, ...after].flatMap(({ inputs }) => inputs)) {
      if (other === name || !initializers.has(other)) continue
      beside.add(other)
      found.get(other)!.add(name)
    }
  }
  return found
}
