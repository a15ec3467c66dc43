import { intsAttribute } from './attributes.js'
import { scanAxis, scanStates } from './body.js'
import { GraphBuilder } from './builder.js'
import { prune } from './finish.js'
import type { Graph, Node } from './graph.js'
import { plainNode } from './plain-node.js'
import { renameReads } from './subgraph.js'

/** A Scan whose iterations would be more nodes than these stays a Scan. */
const MOST_NODES = 20_000

/**
 * The graph with every Scan of a known number of iterations written out, one iteration after the other: some execution
 * providers run no loops, and a Scan that another runs for them moves its values to and fro. Scans inside of bodies
 * follow, those inside of other nodes' graphs stay.
 */
export function unrollScans(graph: Graph): Graph {
  if (!graph.nodes.some(isScan)) return graph
  const builder = new GraphBuilder({ ...graph, nodes: [] })
  builder.reserve(graph.nodes)
  const unrolling = new Unrolling(builder)
  for (const node of graph.nodes) unrolling.take(node)
  const { nodes, initializers } = builder.current()
  return { ...graph, nodes: prune(nodes, new Set(graph.outputs.map(({ name }) => name))), initializers }
}

function isScan({ op, domain }: Node): boolean {
  return op === 'Scan' && domain === ''
}

class Unrolling {
  private left = MOST_NODES

  constructor(private readonly builder: GraphBuilder) {}

  take(node: Node): void {
    const count = isScan(node) ? this.iterations(node) : undefined
    if (count === undefined) this.builder.push(node)
    else this.unroll(node, count)
  }

  /** How often a Scan's body runs, where that is known and not too often. */
  private iterations(node: Node): number | undefined {
    const states = scanStates(node)
    const shape = this.builder.shapeOf(node.inputs[states] ?? '')
    const count = shape?.[scanAxis(node, 'scan_input_axes', 0, shape.length)]
    if (typeof count !== 'number' || count === 0) return undefined
    const size = count * (this.builder.body(node, 'body').nodes.length + node.inputs.length)
    if (size > this.left) return undefined
    this.left -= size
    return count
  }

  private unroll(node: Node, count: number): void {
    const { builder } = this
    const body = builder.body(node, 'body')
    const constants = new Map([...body.initializers].map(([name, one]) => [name, builder.hold(one)]))
    const first = scanStates(node)
    let states = node.inputs.slice(0, first)
    const written: string[][] = body.outputs.slice(first).map(() => [])
    for (let t = 0; t < count; t += 1) {
      const slices = node.inputs.slice(first).map((value, i) => this.slice(node, value, { i, t, count }))
      const results = this.iteration(body, new Map([...constants, ...inputsOf(body, [...states, ...slices])]))
      states = results.slice(0, first)
      results.slice(first).forEach((value, i) => written[i]!.push(value))
    }
    node.outputs.forEach((name, output) => {
      if (name === '') return
      if (output < first) builder.push(plainNode('Identity', [states[output]!], name))
      else this.stack(node, written[output - first]!, { i: output - first, name })
    })
  }

  /** What the iteration `t` reads of a scanned value. */
  private slice(
    node: Node,
    value: string,
    { i, t, count }: { readonly i: number; readonly t: number; readonly count: number },
  ): string {
    const axis = scanAxis(node, 'scan_input_axes', i, this.builder.rank(value)!)
    const backwards = intsAttribute(node, 'scan_input_directions')?.[i] === 1
    const index = this.builder.scalar(backwards ? count - 1 - t : t, 'int64')
    return this.builder.add('Gather', [value, index], { axis })
  }

  /** Adds the body's nodes once; gives its outputs. */
  private iteration(body: Graph, given: ReadonlyMap<string, string>): string[] {
    const names = new Map(given)
    const current = (name: string): string => names.get(name) ?? name
    for (const node of body.nodes) {
      const reading = renameReads(node, current)
      const outputs = node.outputs.map((name) => (name === '' ? '' : this.builder.newName(node.op)))
      node.outputs.forEach((name, i) => names.set(name, outputs[i]!))
      this.take({ ...reading, outputs })
    }
    return body.outputs.map(({ name }) => current(name))
  }

  private stack(
    node: Node,
    values: readonly string[],
    { i, name }: { readonly i: number; readonly name: string },
  ): void {
    const { builder } = this
    const axis = scanAxis(node, 'scan_output_axes', i, builder.rank(values[0]!)! + 1)
    const backwards = intsAttribute(node, 'scan_output_directions')?.[i] === 1
    const rows = values.map((value) => builder.add('Unsqueeze', [value, builder.integers([axis])]))
    builder.push(plainNode('Concat', backwards ? rows.reverse() : rows, name, { axis }))
  }
}

function inputsOf(body: Graph, values: readonly string[]): [string, string][] {
  return body.inputs.map(({ name }, i) => [name, values[i]!])
}
