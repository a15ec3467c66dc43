import { UnsupportedModelError } from '../errors.js'
import { elementCount, formatShape } from '../tensor.js'
import type { DType } from '../tensor.js'
import { GraphBuilder } from './builder.js'
import { prune } from './finish.js'
import type { Dim, Graph, NamedValue, Node, Shape } from './graph.js'
import { plainNode } from './plain-node.js'
import { staticShape } from './shapes/dims.js'
import { renameReads, subgraphNames, withSubgraphs } from './subgraph.js'

/** Numbers for the symbols of a graph's sizes. */
export type Sizes = ReadonlyMap<string, number>

/**
 * The numbers that the symbols of inputs stand for when these shapes are fed, in the order of the inputs.
 *
 * @param shapes by the input's name; an input that is absent says nothing
 * @throws UnsupportedModelError where a shape contradicts the input's, or another's
 */
export function sizesOf(
  inputs: readonly NamedValue[],
  shapes: ReadonlyMap<string, readonly number[]>,
): Map<string, number> {
  const sizes = new Map<string, number>()
  for (const { name, shape } of inputs) {
    const fed = shapes.get(name)
    if (fed === undefined || shape === undefined) continue
    const fits =
      fed.length === shape.length &&
      shape.every((dim, axis) => {
        const known = typeof dim === 'string' ? (sizes.get(dim) ?? fed[axis]!) : dim
        if (typeof dim === 'string') sizes.set(dim, known)
        return known === fed[axis]
      })
    if (!fits)
      throw new UnsupportedModelError(
        `the input '${name}' is ${formatShape(shape)} and is fed ${formatShape(fed)}${told(sizes)}`,
      )
  }
  return sizes
}

function told(sizes: Sizes): string {
  return sizes.size === 0 ? '' : ` (${[...sizes].map(([symbol, size]) => `${symbol} = ${size}`).join(', ')})`
}

/**
 * The graph for one set of sizes: symbols of the inputs' shapes are replaced by numbers, all shapes follow anew, and
 * what is known of whole numbers and truth values (the arithmetic of shapes) becomes constants, inside of subgraphs
 * too, and so does what has no elements. Nodes and constants that nothing needs any more are left out. All inputs stay, in their order; inputs and
 * outputs keep their names.
 */
export function specialize(graph: Graph, sizes: Sizes): Graph {
  const inputs = graph.inputs.map((input) => ({ ...input, shape: numbered(input.shape, sizes) }))
  const sized = { ...graph, inputs }
  const builder = new GraphBuilder({ ...sized, nodes: [] })
  builder.reserve(graph.nodes)
  const folded = withFolded(sized, builder)
  const outputs = graph.outputs.map((output) => ({ ...output, ...builder.info(output.name) }))
  return withoutUnread({ ...folded, outputs, initializers: builder.current().initializers })
}

/** A shape with numbers for its symbols. */
function numbered(shape: Shape | undefined, sizes: Sizes): Shape | undefined {
  return shape?.map((dim): Dim => (typeof dim === 'string' ? (sizes.get(dim) ?? dim) : dim))
}

/** The graph's nodes one by one, each that is known left out and its constant read instead. */
function withFolded(
  graph: Graph,
  builder: GraphBuilder,
  outer: ReadonlyMap<string, string> = new Map(),
): Graph {
  const constants = new Map(outer)
  const outputs = new Set(graph.outputs.map(({ name }) => name))
  for (const node of graph.nodes) {
    const reading = renameReads(node, (name) => constants.get(name) ?? name)
    builder.push(withFoldedBodies(reading, builder))
    const name = reading.outputs[0] ?? ''
    const constant = constantFor(name, reading, builder)
    if (constant === undefined) continue
    if (outputs.has(name)) builder.replace(reading, plainNode('Identity', [constant], name))
    else constants.set(name, constant)
  }
  const { nodes } = builder.current()
  return { ...graph, nodes: prune(nodes, outputs) }
}

/** A constant that holds what a node computes, where that is known. */
function constantFor(name: string, node: Node, builder: GraphBuilder): string | undefined {
  if (node.domain !== '' || name === '') return undefined
  const { dtype, shape } = builder.info(name)
  const [numbers, sizes] = [builder.constantsOf(name), staticShape(shape)]
  if (dtype === undefined || sizes === undefined) return undefined
  // ONNX Runtime drops an Expand to nothing, and its operand's one element takes its place
  if (sizes.includes(0) && node.op !== 'Identity') return builder.constant(dtype, sizes, [])
  if (!WHOLE.has(dtype) || numbers === undefined) return undefined
  // the largest int64, which stands for the end of any axis, is no number of JavaScript's
  if (elementCount(sizes) !== numbers.length || !numbers.every((one) => Number.isSafeInteger(one)))
    return undefined
  return builder.constant(dtype, sizes, numbers)
}

const WHOLE: ReadonlySet<DType> = new Set<DType>(['int64', 'int32', 'bool'])

function withFoldedBodies(node: Node, outer: GraphBuilder): Node {
  const names = subgraphNames(node)
  if (names.length === 0) return node
  const bodies = names.map((name): [string, Graph] => {
    const body = outer.body(node, name)
    return [name, withFolded(body, new GraphBuilder({ ...body, nodes: [] }, outer, false))]
  })
  return withSubgraphs(node, new Map(bodies))
}

/** The graph less the initializers that nothing reads. */
export function withoutUnread(graph: Graph): Graph {
  const read = new Set(graph.outputs.map(({ name }) => name))
  prune(graph.nodes, read)
  return { ...graph, initializers: new Map([...graph.initializers].filter(([name]) => read.has(name))) }
}
