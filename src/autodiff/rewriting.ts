import { UnsupportedOperatorError } from '../errors.js'
import { GraphBuilder } from '../onnx/builder.js'
import { describeNode } from '../onnx/graph.js'
import type { Graph, Node } from '../onnx/graph.js'
import { readersOf } from './readers.js'
import { RuleRefusal } from './rule.js'
import type { Rewrite, RewriteContext, Settings } from './rule.js'
import { knownShape } from './unknown-shape.js'

/** What a rewriting is done in. */
export interface Place {
  readonly graph: Graph
  /** Holds the nodes before the one that is rewritten. */
  readonly builder: GraphBuilder
  readonly settings: Settings
  /** Whether the node reads something that changes with the parameters. */
  readonly active: boolean
  readonly note: (text: string) => void
}

/**
 * The nodes that take a node's place; the values that it computed keep their names. Undefined where the node stays as
 * it is. Nothing is added to the graph yet but constants.
 *
 * @throws UnsupportedOperatorError naming the node, for a form that can't be rewritten
 */
export function rewriteNode(node: Node, rewrite: Rewrite, place: Place): Node[] | undefined {
  const draft = new GraphBuilder(
    { ...place.graph, inputs: [], outputs: [], initializers: new Map(), nodes: [] },
    place.builder,
    false,
  )
  const values = refusing(node, () => rewrite(context(node, draft, place)))
  if (values === undefined) return undefined
  return draft.named(
    node.outputs.flatMap((name, i): [string, string][] => {
      if (name === '') return []
      const value = values[i]
      if (value === undefined) throw new TypeError(`rewriting ${node.op} gives no output ${i}`)
      return [[name, value]]
    }),
  )
}

function refusing<T>(node: Node, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if (!(error instanceof RuleRefusal)) throw error
    throw new UnsupportedOperatorError(`node ${describeNode(node)} can't be differentiated: ${error.message}`)
  }
}

function context(
  node: Node,
  builder: GraphBuilder,
  { graph, settings, active, note }: Place,
): RewriteContext {
  const x = (input: number): string => node.inputs[input] ?? ''
  return {
    node,
    builder,
    settings,
    active,
    x,
    wants: (output) => (node.outputs[output] ?? '') !== '',
    shape: (input) => knownShape(builder, x(input)),
    readers: (value) => readersOf(graph, value),
    note,
  }
}
