import { UnsupportedOperatorError } from '../errors.js'
import { isFloat } from '../tensor.js'
import type { GraphBuilder } from '../onnx/builder.js'
import { describeNode } from '../onnx/graph.js'
import type { Graph, Node } from '../onnx/graph.js'
import { sumToShape } from './broadcast.js'
import { RuleRefusal } from './rule.js'
import type { Settings, Treatment, VjpContext } from './rule.js'
import { sideBySide } from './side-by-side.js'
import { treatmentOf } from './rules/table.js'
import { capturedBy } from '../onnx/subgraph.js'
import { knownShape } from './unknown-shape.js'

/**
 * Reverse-mode differentiation of a graph: walks its nodes from the last to the first, carrying cotangents (gradients
 * of the loss with respect to values) from outputs to inputs by each operator's vector-Jacobian product. Only nodes on
 * a path from a parameter to a seed are visited; cotangents of a value that is read several times add up; broadcasting
 * is undone here for all operators.
 *
 * @param parameters values to differentiate with respect to
 * @param seeds cotangents to start from, by value
 * @param settings what the graph is built for
 * @param opsets the operator sets that the model was written in, for messages; the graph may have been lifted
 * @returns the cotangent of each parameter that the seeds depend on
 * @throws UnsupportedOperatorError for a node on the path whose operator has no rule, or a form that has none
 */
export function reverse(
  graph: Graph,
  builder: GraphBuilder,
  parameters: readonly string[],
  seeds: ReadonlyMap<string, string>,
  settings: Settings,
  opsets: Graph['opsets'] = graph.opsets,
): Map<string, string> {
  const terms = reverseTerms(graph, builder, parameters, seeds, settings, opsets)
  return new Map([...terms].map(([name, parts]) => [name, addedUp(builder, name, parts)]))
}

/** As `reverse`, with the terms whose sum each parameter's cotangent is. */
export function reverseTerms(
  graph: Graph,
  builder: GraphBuilder,
  parameters: readonly string[],
  seeds: ReadonlyMap<string, string>,
  settings: Settings,
  opsets: Graph['opsets'] = graph.opsets,
): Map<string, string[]> {
  const active = activeValues(graph, builder, parameters)
  const terms = new Map<string, string[]>(parameters.map((name) => [name, []]))
  const cotangents = new Map<string, string>()
  const accumulate = (value: string, cotangent: string): void => {
    const own = terms.get(value)
    const sum = cotangents.get(value)
    if (own !== undefined) own.push(cotangent)
    else cotangents.set(value, addedUp(builder, value, sum === undefined ? [cotangent] : [sum, cotangent]))
  }
  const start = [...seeds].filter(([value]) => active.has(value))
  for (const [value, cotangent] of start) {
    if (terms.has(value)) accumulate(value, cotangent)
    else cotangents.set(value, cotangent)
  }
  const state: Walk = { graph, builder, settings, active, cotangents, accumulate }
  const path = nodesOnPath(
    graph,
    active,
    start.map(([value]) => value),
    opsets,
  )
  for (const ruled of path) {
    if (!ruled.node.outputs.some((name) => cotangents.has(name))) continue
    for (const [input, cotangent] of inputCotangents(state, ruled)) accumulate(input, cotangent)
  }
  return new Map([...terms].filter(([, parts]) => parts.length > 0))
}

/** The cotangent of a value from its terms. */
export function addedUp(builder: GraphBuilder, value: string, terms: readonly string[]): string {
  const total = terms.reduce((sum, term) => {
    const next = sideBySide(builder, sum, term) ?? builder.add('Add', [sum, term])
    builder.declareLike(next, value)
    return next
  })
  // not every operator that rules emit has a shape rule, but a cotangent always has its value's shape
  builder.declareLike(total, value)
  return total
}

/** What a walk over the nodes carries along. */
interface Walk {
  readonly graph: Graph
  readonly builder: GraphBuilder
  readonly settings: Settings
  readonly active: ReadonlySet<string>
  readonly cotangents: ReadonlyMap<string, string>
  readonly accumulate: (value: string, cotangent: string) => void
}

/**
 * Refuses, before anything is built, what `reverse` would refuse for want of a rule: an operator without one often has
 * no known output shape either, and then a loss could only complain about that.
 *
 * @param values what the loss will be a function of
 * @throws UnsupportedOperatorError naming the first node on the way whose operator has no rule
 */
export function assertRules(
  graph: Graph,
  builder: GraphBuilder,
  parameters: readonly string[],
  values: readonly string[],
  opsets: Graph['opsets'],
): void {
  const active = activeValues(graph, builder, parameters)
  const seeds = values.filter((value) => active.has(value))
  nodesOnPath(graph, active, seeds, opsets)
}

/** Values that change with the parameters and can carry a derivative: real numbers, not behind a zero derivative. */
export function activeValues(
  graph: Graph,
  builder: GraphBuilder,
  parameters: readonly string[],
): Set<string> {
  const active = new Set(parameters)
  for (const node of graph.nodes) activate(node, builder, active)
  return active
}

/** Adds to the active values the outputs of a node that reads one; says whether it does. */
export function activate(node: Node, builder: GraphBuilder, active: Set<string>): boolean {
  if (!reads(node, active) || treatmentOf(node)?.state === 'zero') return false
  for (const name of node.outputs) {
    const { dtype } = builder.info(name)
    if (name !== '' && (dtype === undefined || isFloat(dtype))) active.add(name)
  }
  return true
}

/** Whether a node reads one of the values, itself or in its subgraphs. */
function reads(node: Node, values: ReadonlySet<string>): boolean {
  return node.inputs.some((name) => values.has(name)) || capturedBy(node).some((name) => values.has(name))
}

/** A node of the path with the rule that differentiates it. */
interface RuledNode {
  readonly node: Node
  readonly rule: Extract<Treatment, { state: 'rule' }>
}

/**
 * The nodes between active values and the seeds, last first. One without a rule is refused here, before anything is
 * built: what comes after it would only be refused for shapes that it left unknown.
 */
function nodesOnPath(
  graph: Graph,
  active: ReadonlySet<string>,
  seeds: Iterable<string>,
  opsets: Graph['opsets'],
): RuledNode[] {
  const { path } = reachedFrom(graph, active, seeds)
  const refused = path.toReversed().find((node) => treatmentOf(node)?.state !== 'rule')
  if (refused !== undefined) throw noRule(refused, opsets)
  return path.map((node) => ({ node, rule: treatmentOf(node) as RuledNode['rule'] }))
}

/** The active values that the seeds depend on, and the nodes in between, last first. */
export function reachedFrom(
  graph: Graph,
  active: ReadonlySet<string>,
  seeds: Iterable<string>,
): { readonly reached: ReadonlySet<string>; readonly path: readonly Node[] } {
  const reached = new Set(seeds)
  const path = graph.nodes.toReversed().filter((node) => {
    if (!node.outputs.some((name) => reached.has(name) && active.has(name))) return false
    for (const name of node.inputs) if (active.has(name)) reached.add(name)
    for (const name of capturedBy(node)) if (active.has(name)) reached.add(name)
    return reads(node, active)
  })
  return { reached, path }
}

function inputCotangents(state: Walk, { node, rule }: RuledNode): [input: string, cotangent: string][] {
  const { builder, active } = state
  try {
    const context = vjpContext(state, node)
    const results = rule.vjp(context)
    checkArity(node, results.length, active)
    return results.flatMap((cotangent, index): [string, string][] => {
      const input = node.inputs[index] ?? ''
      if (cotangent === undefined || !active.has(input)) return []
      return [[input, rule.broadcasts ? sumToShape(builder, cotangent, input) : cotangent]]
    })
  } catch (error) {
    if (!(error instanceof RuleRefusal)) throw error
    throw new UnsupportedOperatorError(`node ${describeNode(node)} can't be differentiated: ${error.message}`)
  }
}

/** A rule leaves out the inputs behind those that carry a derivative (axes, sizes); a parameter there has none. */
function checkArity(node: Node, ruled: number, active: ReadonlySet<string>): void {
  const beyond = node.inputs.slice(ruled).find((name) => active.has(name))
  if (beyond !== undefined)
    throw new RuleRefusal(`there is no derivative with respect to its input '${beyond}'`)
}

function noRule(node: Node, opsets: Graph['opsets']): UnsupportedOperatorError {
  const where = `node ${describeNode(node)} stands between the parameters and the loss`
  const treatment = treatmentOf(node)
  if (treatment?.state === 'refused')
    return new UnsupportedOperatorError(`${where} and can't be differentiated: ${treatment.reason}`)
  const set = node.domain === '' ? 'ai.onnx' : node.domain
  const opset = opsets.get(node.domain) ?? 'not declared'
  return new UnsupportedOperatorError(
    `${where}, and there is no derivative rule for ` +
      `${node.op} (${set} opset ${opset}); docs/operators.md lists the operators that have one`,
  )
}

function vjpContext(state: Walk, node: Node): VjpContext {
  const { graph, builder, settings, active, cotangents, accumulate } = state
  const x = (input: number): string => node.inputs[input] ?? ''
  return {
    node,
    graph,
    builder,
    settings,
    get g(): string {
      return cotangents.get(node.outputs[0] ?? '') ?? builder.zerosLike(node.outputs[0] ?? '')
    },
    cotangent: (output) => cotangents.get(node.outputs[output] ?? ''),
    x,
    y: (output = 0) => node.outputs[output] ?? '',
    needs: (input) => active.has(x(input)),
    isActive: (value) => active.has(value),
    accumulate: (value, cotangent) => {
      if (active.has(value)) accumulate(value, cotangent)
    },
    shape: (input) => knownShape(builder, x(input)),
  }
}
