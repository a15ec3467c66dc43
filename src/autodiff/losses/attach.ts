import { UnsupportedModelError, UsageError } from '../../errors.js'
import { GraphBuilder } from '../../onnx/builder.js'
import type { Dim, Graph, NamedValue, Node, Shape } from '../../onnx/graph.js'
import { inlineFunctions } from '../../onnx/inline.js'
import { liftOpset } from '../../onnx/lift.js'
import { product } from '../../onnx/shapes/dims.js'
import { renameReads } from '../../onnx/subgraph.js'
import { formatShape } from '../../tensor.js'
import { commonOpsets } from './opsets.js'
import { realOutputs } from './prediction.js'
import type { LossSpec } from './spec.js'

type LossGraph = Extract<LossSpec, { kind: 'graph' }>

/** A network with a loss graph behind it. */
export interface AttachedLoss {
  readonly graph: Graph
  /** The value that the loss graph computes. */
  readonly output: string
  /** The input that the target goes to, among the graph's inputs; undefined where the loss takes none. */
  readonly target: NamedValue | undefined
}

/** What a target may be called where a loss takes further data beside it. */
const TARGET_NAMES = ['target', 'targets', 'label', 'labels', 'y']

/**
 * Puts a loss graph behind a network. Its inputs are the network's outputs and inputs of the same name; where none is
 * an output's, its first other input is the network's only output of real numbers. What is left is the target (where
 * there are several, the one that is called so; the others are inputs for data, by their names). It has one output:
 * real numbers, [batch], [batch, ...], or one for the whole micro-batch.
 *
 * @param network lifted, its inputs naming the batch `batch`
 * @throws UsageError where inputs can't be matched
 * @throws UnsupportedModelError where types, shapes or operator sets don't fit
 */
export function attachLoss(network: Graph, { graph, path }: LossGraph, batch: Dim): AttachedLoss {
  const loss = liftOpset(inlineFunctions(graph))
  const builder = new GraphBuilder(network)
  const matched = matchInputs(network, loss, builder, path)
  const symbols = symbolsOf(loss, matched, builder, path)
  const free = loss.inputs.filter(({ name }) => !matched.has(name))
  const target = targetOf(free, path)
  const names = namesOf(loss, matched, target, builder)
  const inputs = free.map((input) => inputOf(input, names(input.name), symbols, batch, path))
  const taken = inputs.find(({ name }) => builder.has(name))
  if (taken !== undefined)
    throw new UsageError(
      `${path}: its input '${taken.name}' is a value inside the network, but no output; make it one, or rename the input`,
    )
  const output = names(onlyOutput(loss, path))
  return {
    graph: {
      ...network,
      irVersion: Math.max(network.irVersion, loss.irVersion),
      opsets: commonOpsets(network, loss, path),
      inputs: [...network.inputs, ...inputs],
      initializers: new Map([
        ...network.initializers,
        ...[...loss.initializers].map(([name, value]) => [names(name), value] as const),
      ]),
      nodes: [...network.nodes, ...loss.nodes.map((node) => renamed(node, names))],
    },
    output,
    target: target === undefined ? undefined : inputs.find(({ name }) => name === names(target)),
  }
}

/** The network's value for each of the loss' inputs that are not data of their own. */
function matchInputs(
  network: Graph,
  loss: Graph,
  builder: GraphBuilder,
  path: string,
): ReadonlyMap<string, string> {
  const outputs = new Set(network.outputs.map(({ name }) => name))
  const inputs = new Set(network.inputs.map(({ name }) => name))
  const matched = loss.inputs.map(({ name }) => name).filter((name) => outputs.has(name) || inputs.has(name))
  const pairs = new Map(matched.map((name) => [name, name]))
  if (!matched.some((name) => outputs.has(name))) {
    const first = loss.inputs.find(({ name }) => !pairs.has(name))
    const real = realOutputs(network, builder)
    if (first === undefined || real.length !== 1)
      throw new UsageError(
        `${path}: its inputs are ${namesIn(loss.inputs)}, and the network's outputs ${namesIn(network.outputs)}; ` +
          `call an input like the output that it takes`,
      )
    pairs.set(first.name, real[0]!.name)
  }
  return pairs
}

function namesIn(values: readonly NamedValue[]): string {
  return values.map(({ name }) => name).join(', ')
}

/** What the loss' names of sizes are in the network. Refuses types and shapes that can't be the same. */
function symbolsOf(
  loss: Graph,
  matched: ReadonlyMap<string, string>,
  builder: GraphBuilder,
  path: string,
): ReadonlyMap<string, Dim> {
  const symbols = new Map<string, Dim>()
  for (const { name, dtype, shape } of loss.inputs) {
    const value = matched.get(name)
    if (value === undefined) continue
    const own = builder.info(value)
    if (dtype !== undefined && own.dtype !== undefined && dtype !== own.dtype)
      throw new UnsupportedModelError(
        `${path}: its input '${name}' is ${dtype}, but the network's '${value}' ${own.dtype}`,
      )
    if (shape === undefined || own.shape === undefined) continue
    if (!unify(shape, own.shape, symbols))
      throw new UnsupportedModelError(
        `${path}: its input '${name}' is ${formatShape(shape)}, but the network's '${value}' ${formatShape(own.shape)}`,
      )
  }
  return symbols
}

function unify(shape: Shape, own: Shape, symbols: Map<string, Dim>): boolean {
  if (shape.length !== own.length) return false
  return shape.every((dim, axis) => {
    const size = own[axis]!
    if (typeof dim === 'string') symbols.set(dim, symbols.get(dim) ?? size)
    return typeof dim === 'string' || typeof size === 'string' || dim === size
  })
}

function targetOf(free: readonly NamedValue[], path: string): string | undefined {
  if (free.length <= 1) return free[0]?.name
  const called = TARGET_NAMES.find((name) => free.some((input) => input.name === name))
  if (called !== undefined) return called
  throw new UsageError(
    `${path}: ${namesIn(free)} are neither outputs nor inputs of the network; call the one that takes the target 'target'`,
  )
}

function onlyOutput({ outputs }: Graph, path: string): string {
  const [output, ...others] = outputs
  if (output !== undefined && others.length === 0) return output.name
  throw new UsageError(
    `${path}: a loss has one output, this graph has ${outputs.length} (${namesIn(outputs)})`,
  )
}

/** The names of the loss graph's values behind the network: its own with a prefix that makes them free. */
function namesOf(
  loss: Graph,
  matched: ReadonlyMap<string, string>,
  target: string | undefined,
  builder: GraphBuilder,
): (name: string) => string {
  const inputs = new Set(loss.inputs.map(({ name }) => name))
  const own = [...loss.initializers.keys(), ...loss.nodes.flatMap(({ outputs }) => outputs)]
  let prefix = 'criterion/'
  while (own.some((name) => builder.has(prefix + name))) prefix = `_${prefix}`
  let targetName = 'target'
  while (builder.has(targetName)) targetName += '_'
  return (name) => {
    if (name === '') return ''
    if (name === target) return targetName
    return matched.get(name) ?? (inputs.has(name) ? name : prefix + name)
  }
}

function renamed(node: Node, names: (name: string) => string): Node {
  return { ...renameReads(node, names), outputs: node.outputs.map(names) }
}

/** An input of the loss that data go to: its first axis is the batch, its sizes have the network's names. */
function inputOf(
  { name: own, dtype, shape }: NamedValue,
  name: string,
  symbols: ReadonlyMap<string, Dim>,
  batch: Dim,
  path: string,
): NamedValue {
  const [first, ...rest] = shape ?? []
  if (first === undefined || dtype === undefined)
    throw new UnsupportedModelError(
      `${path}: its input '${own}' is declared without a type, or without a shape whose first axis is the batch`,
    )
  const inNetwork = (dim: Dim): Dim =>
    typeof dim === 'number' ? dim : product(dim.split('*').map((one) => sizeOf(one, symbols)))
  const size = typeof first === 'string' && !symbols.has(first) ? batch : inNetwork(first)
  if (size !== batch)
    throw new UnsupportedModelError(
      `${path}: its input '${own}' is ${formatShape(shape ?? [])}, but the network's batch is ${batch}: its first axis must be the batch`,
    )
  return { name, dtype, shape: [batch, ...rest.map(inNetwork)] }
}

function sizeOf(name: string, symbols: ReadonlyMap<string, Dim>): Dim {
  return /^\d+$/.test(name) ? Number(name) : (symbols.get(name) ?? `criterion.${name}`)
}
