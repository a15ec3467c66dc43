import { UsageError } from '../errors.js'
import { listNames } from '../listing.js'
import type { GraphBuilder } from '../onnx/builder.js'
import type { Graph, NamedValue } from '../onnx/graph.js'
import { renameReads } from '../onnx/subgraph.js'
import { backward } from './backward.js'
import type { Backward } from './backward.js'
import { hasBatchNorm, NO_BATCH_NORM } from './coupling.js'
import { assertFree, assertNetwork, gradientName, settingsOf } from './differentiate.js'
import type { DifferentiateOptions } from './differentiate.js'
import type { LossSpec, TargetNeed } from './losses.js'
import { totalOf } from './losses/weighting.js'
import { weightsOf } from './parameters.js'
import { adaptToProvider } from './provider.js'
import type { Settings } from './rule.js'

/** What the standalone graph's outputs are called, beside `gradient/NAME`. */
export const LOSS = 'loss'
export const LOSSES = 'losses'

export interface StandaloneOptions extends Omit<DifferentiateOptions, 'parameters'> {
  /** Names of weights that become inputs; `*` and `?` stand for any characters. By default all that move the loss. */
  readonly parameters?: readonly string[]
}

/**
 * A network with its loss and the gradient of that loss, for use by itself. Inputs are the network's own, `target`, and
 * every parameter under its name. Outputs are `loss`, a number: the mean over the batch (PyTorch's reduction='mean');
 * `losses` [batch], each sample's own mean, where the loss has one for each (0 where all its positions are ignored);
 * and `gradient/NAME` for every parameter: the gradient of `loss` in the parameter's shape.
 */
export interface StandaloneGradient {
  readonly graph: Graph
  /** The network's inputs that the loss depends on. */
  readonly inputs: readonly NamedValue[]
  readonly target: TargetNeed | undefined
  readonly parameters: readonly NamedValue[]
  /** Output name by parameter. */
  readonly gradients: ReadonlyMap<string, string>
  /** Choices made on the way that a user should know. */
  readonly notes: readonly string[]
}

/**
 * Writes the gradient of a network's mean loss as a graph that needs no checkpoint. What is not a parameter stays
 * constant, and in the graph.
 *
 * @throws UnsupportedOperatorError when a node between parameters and loss has no derivative rule
 * @throws UnsupportedModelError when the network's inputs or outputs don't fit the loss
 * @throws UsageError when no weight is called as a parameter's name says, or the loss' output is not in the graph
 */
export function standaloneGradient(model: Graph, options: StandaloneOptions): StandaloneGradient {
  assertNetwork(model)
  const { model: network, loss } = withFreeNames(model, options.loss)
  const settings = settingsOf(options)
  const wanted = weightsOf(network, options.parameters)
  const build = (parameters: readonly string[]): Backward =>
    backward(network, { parameters, loss, settings, result: 'mean' })
  const first = build(wanted)
  // what the loss does not depend on stays as it was
  const reached = wanted.filter((name) => first.cotangents.has(name))
  const built = reached.length === wanted.length ? first : build(reached)
  const left = options.parameters === undefined ? [] : wanted.filter((name) => !reached.includes(name))
  return finished(built, settings, reached, [
    ...built.notes,
    ...(settings.batchNorm === 'batch' && !hasBatchNorm(model) ? [NO_BATCH_NORM] : []),
    ...(left.length === 0
      ? []
      : [`the loss does not depend on ${listNames(left)}: no inputs and no gradients`]),
  ])
}

function finished(
  built: Backward,
  settings: Settings,
  names: readonly string[],
  notes: readonly string[],
): StandaloneGradient {
  const { builder, cotangents, data, target } = built
  const gradients = new Map(names.map((name) => [name, gradientName(name)]))
  const outputs = new Map([
    ...lossOutputs(built),
    ...names.map((name): [string, string] => [gradientName(name), cotangents.get(name)!]),
  ])
  assertFree(builder, outputs.keys())
  const graph = adaptToProvider(builder.finish(built.allInputs, outputs), settings)
  const inputs = new Map(graph.inputs.map((input) => [input.name, input]))
  return {
    graph,
    inputs: data.filter(({ name }) => inputs.has(name)),
    target,
    parameters: names.flatMap((name) => inputs.get(name) ?? []),
    gradients,
    notes,
  }
}

function lossOutputs({ builder, loss }: Backward): [string, string][] {
  const { numerators, denominators, perSample } = loss
  if (!perSample) return [[LOSS, builder.reshape(numerators, [])]]
  const total = builder.sum(numerators, [0], false)
  const mean = builder.add('Div', [total, totalOf(builder, denominators, numerators)])
  return [
    [LOSS, mean],
    [LOSSES, perSampleMeans(builder, numerators, denominators)],
  ]
}

function perSampleMeans(builder: GraphBuilder, numerators: string, denominators: string): string {
  if (builder.rank(denominators) === 0) return builder.add('Div', [numerators, denominators])
  const dtype = builder.dtype(denominators)
  const none = builder.cast(builder.add('Equal', [denominators, builder.scalar(0, dtype)]), dtype)
  return builder.add('Div', [numerators, builder.add('Add', [denominators, none])])
}

/** The network with other names for what it calls like an output of the standalone graph. */
function withFreeNames(model: Graph, loss: LossSpec): { model: Graph; loss: LossSpec } {
  const taken = new Set(model.nodes.flatMap(({ outputs }) => outputs))
  const names = [LOSS, LOSSES].filter((name) => taken.has(name))
  if (names.length === 0) return { model, loss }
  const kept = new Set([...taken, ...model.initializers.keys(), ...model.inputs.map(({ name }) => name)])
  const renamed = new Map(names.map((name) => [name, freeOf(kept, `network/${name}`)]))
  const rename = (name: string): string => renamed.get(name) ?? name
  return {
    model: {
      ...model,
      outputs: model.outputs.map((output) => ({ ...output, name: rename(output.name) })),
      nodes: model.nodes.map((node) => ({ ...renameReads(node, rename), outputs: node.outputs.map(rename) })),
    },
    loss: loss.kind === 'output' ? { ...loss, name: rename(loss.name) } : matchedTo(loss, rename),
  }
}

function freeOf(taken: ReadonlySet<string>, name: string): string {
  return taken.has(name) ? freeOf(taken, `${name}_`) : name
}

/** A loss graph names the network's outputs, and must follow. */
function matchedTo(loss: LossSpec, rename: (name: string) => string): LossSpec {
  if (loss.kind !== 'graph') return loss
  const { graph } = loss
  const input = graph.inputs.find(({ name }) => rename(name) !== name)
  if (input === undefined) return loss
  throw new UsageError(
    `${loss.path}: it takes an output '${input.name}', which is the name of an output of the gradient graph; call it otherwise in the network`,
  )
}
