import { CheckpointError, CheckpointFormatError } from '../../errors.js'
import { joinPath } from '../../io/join-path.js'
import type { WeightKind } from './format.js'
import type { GraphNode } from './object-graph.js'

/** What an object-based checkpoint holds: the key of each weight by its name, and the keys of its counters. */
export interface TrackedWeights {
  readonly weights: ReadonlyMap<string, string>
  /** Keys of the counts of steps that optimizers made. */
  readonly iterations: readonly string[]
  /** Whether the checkpoint itself is a Keras model, saved by a callback whose names count epochs. */
  readonly isKerasModel: boolean
}

const VALUE = 'VARIABLE_VALUE'

/** Parts that hold no weights, by their name in the object they belong to. */
const NO_WEIGHTS = /^(?:_?optimizer|keras_api|save_counter|(?:.*_)?metrics|_?loss_tracker)$/

/** How optimizers name the count of their steps: in Keras 3 and 2.11, and in earlier ones. */
const ITERATIONS = ['_iterations', 'iter']

/** Names that variables get when nobody names them. */
const NO_NAME = /^(?:Variable(?:_\d+)?)?$/

/** The slot of an averaging optimizer, and the list of a Keras 3 optimizer with `use_ema`, in the order of its variables. */
const AVERAGE_SLOT = 'average'
const AVERAGES = '_model_variables_moving_average'
const AVERAGED = '_trainable_variables'

/**
 * The weights among a checkpoint's objects: every variable that can be reached from the checkpoint without passing
 * through an optimizer or a metric. Keys don't tell, since an optimizer of Keras 3 refers to the weights too, and the
 * shortest path to a variable is its key. Weights have the variables' own names (`conv1/kernel`) where these are
 * all there and all different, and else the shortest path to each.
 * @param isFloat whether the tensor of a key holds floats; whole numbers are counters and seeds, called by their paths
 * @param path the file, for messages
 * @throws CheckpointFormatError where averages are asked for and there are none
 */
export function trackedWeights(
  nodes: readonly GraphNode[],
  isFloat: (key: string) => boolean,
  kind: WeightKind,
  path: string,
): TrackedWeights {
  const optimizers = nodes.filter((node, i) => i > 0 && isOptimizer(node))
  const variables = variablesOf(nodes)
  const averages = kind === 'ema' ? averagesOf(nodes, optimizers, path) : new Map<number, number>()
  const named = haveNames(variables.filter(({ key }) => isFloat(key)))
  const weights = new Map<string, string>()
  for (const { node, trail, fullName, key } of variables) {
    const average = averages.get(node)
    const name = named && isFloat(key) ? fullName : trail
    weights.set(name, average === undefined ? key : requireKey(nodes, average, path))
  }
  const iterations = optimizers.flatMap(({ children }) =>
    children.filter(({ name }) => ITERATIONS.includes(name)).map(({ node }) => valueOf(nodes[node]!)?.key),
  )
  return {
    weights,
    iterations: iterations.filter((key) => key !== undefined),
    isKerasModel: (nodes[0]?.children ?? []).some(({ name }) => name === 'layer_with_weights-0'),
  }
}

/** A variable, the shortest path to it, the name that it was given, and its key. */
interface Variable {
  readonly node: number
  readonly trail: string
  readonly fullName: string
  readonly key: string
}

function variablesOf(nodes: readonly GraphNode[]): Variable[] {
  return [...reachable(nodes)].flatMap(([node, trail]) => {
    const value = valueOf(nodes[node]!)
    return value === undefined ? [] : [{ node, trail, ...value }]
  })
}

function haveNames(variables: readonly Variable[]): boolean {
  const names = new Set(variables.map(({ fullName }) => fullName))
  return names.size === variables.length && ![...names].some((name) => NO_NAME.test(name))
}

/** The shortest path to each object that is no part of an optimizer or a metric; breadth first, in the file's order. */
function reachable(nodes: readonly GraphNode[]): ReadonlyMap<number, string> {
  const paths = new Map<number, string>([[0, '']])
  for (const [node, trail] of paths) {
    for (const child of nodes[node]?.children ?? []) {
      const target = nodes[child.node]!
      if (paths.has(child.node) || NO_WEIGHTS.test(child.name) || isOptimizer(target) || isMetric(target))
        continue
      paths.set(child.node, joinPath(trail, child.name))
    }
  }
  return paths
}

function isOptimizer({ children, slots }: GraphNode): boolean {
  const names = children.map(({ name }) => name)
  return (
    slots.length > 0 ||
    names.includes('_iterations') ||
    (names.includes('iter') && names.includes('learning_rate'))
  )
}

/** A mean that Keras keeps of a loss or a metric. */
function isMetric({ children }: GraphNode): boolean {
  const names = children.map(({ name }) => name)
  return names.includes('total') && names.includes('count')
}

function valueOf({ attributes }: GraphNode): { key: string; fullName: string } | undefined {
  const value = attributes.find(({ name }) => name === VALUE)
  return value === undefined ? undefined : { key: value.key, fullName: value.fullName }
}

/** The variable that holds the average of another, by the other. */
function averagesOf(
  nodes: readonly GraphNode[],
  optimizers: readonly GraphNode[],
  path: string,
): ReadonlyMap<number, number> {
  const averages = new Map<number, number>()
  for (const optimizer of optimizers) {
    for (const { name, variable, slot } of optimizer.slots)
      if (name === AVERAGE_SLOT) averages.set(variable, slot)
    const [variables, means] = [AVERAGED, AVERAGES].map((list) => listOf(nodes, optimizer, list))
    if (means!.length === variables!.length)
      for (const [i, { node }] of means!.entries()) averages.set(variables![i]!.node, node)
  }
  if (averages.size > 0) return averages
  throw new CheckpointFormatError(
    `${path}: holds no averaged weights: no optimizer in it keeps an average; take the raw ones`,
  )
}

function listOf(nodes: readonly GraphNode[], optimizer: GraphNode, name: string): GraphNode['children'] {
  const list = optimizer.children.find((child) => child.name === name)
  return list === undefined ? [] : nodes[list.node]!.children
}

function requireKey(nodes: readonly GraphNode[], node: number, path: string): string {
  const value = valueOf(nodes[node]!)
  if (value === undefined) throw new CheckpointError(`${path}: corrupt: an average without a value`)
  return value.key
}
