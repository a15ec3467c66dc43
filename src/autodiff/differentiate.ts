import { UnsupportedModelError } from '../errors.js'
import type { GraphBuilder } from '../onnx/builder.js'
import type { Dim, Graph, NamedValue } from '../onnx/graph.js'
import { backward } from './backward.js'
import type { LossSpec, LossTerms, TargetNeed } from './losses.js'
import { halved } from '../onnx/half.js'
import { adaptToProvider } from './provider.js'
import type { Forms, Settings } from './rule.js'

export interface DifferentiateOptions {
  /** Initializers that become inputs. */
  readonly parameters: readonly string[]
  /** Those of them with respect to which the loss is differentiated; all by default. */
  readonly wanted?: readonly string[]
  readonly loss: LossSpec
  /** Which statistics BatchNormalization uses (Settings.batchNorm); `running` by default. */
  readonly batchNorm?: Settings['batchNorm']
  /** The type that the network's values are computed in (half.ts); that of its file by default. */
  readonly precision?: 'float32' | 'float16' | undefined
  /** The execution provider that the graph is built for; `cpu` by default. */
  readonly forms?: Forms
}

/** Names of the gradient graph's own inputs and outputs; the network's inputs and parameters keep theirs. */
export const NUMERATORS = 'loss/numerators'
export const DENOMINATORS = 'loss/denominators'

/**
 * A network with its loss and the gradient of that loss in one graph of plain ai.onnx operators.
 * Outputs: `loss/numerators` and `loss/denominators`, one element per sample (see LossTerms), and `gradient/NAME` for
 * every parameter: the gradient of the numerators' sum over the micro-batch, in the parameter's shape.
 */
export interface GradientGraph {
  readonly graph: Graph
  /** The network's inputs that the loss depends on, first axis the batch. */
  readonly inputs: readonly NamedValue[]
  readonly target: TargetNeed | undefined
  /** Input of shape [batch]: how much each sample counts (1; 0 for padding). */
  readonly weight: NamedValue
  /** The batch axis' size: a symbol, or a number for a network exported with a fixed batch. */
  readonly batch: Dim
  /** Whether the loss has one element per sample; otherwise micro-batches can't be padded. */
  readonly perSample: boolean
  /**
   * The operator that takes statistics over the samples of a micro-batch, so that the loss depends on how samples are
   * cut, and none can be padded; undefined where each sample counts for itself.
   */
  readonly coupledBy: string | undefined
  /** Output name by parameter; parameters that the loss does not depend on are absent. */
  readonly gradients: ReadonlyMap<string, string>
  /** Choices made on the way that a user should know. */
  readonly notes: readonly string[]
}

/**
 * Differentiates a network: turns the given initializers into inputs, appends the loss and writes the backward pass.
 *
 * @throws UnsupportedOperatorError when a node between parameters and loss has no derivative rule
 * @throws UnsupportedModelError when the network's inputs or outputs don't fit the loss
 * @throws UsageError when a parameter or the loss' output is not in the graph
 */
export function differentiate(model: Graph, options: DifferentiateOptions): GradientGraph {
  const { parameters, wanted, loss, precision } = options
  const settings = settingsOf(options)
  assertNetwork(model)
  const judged = loss.kind === 'output' ? [loss.name] : []
  const network = precision === 'float16' ? halved(model, parameters, judged) : model
  const built = backward(network, { parameters, wanted, loss, settings, result: 'sums' })
  const { builder, cotangents, data, target, weight, batch } = built
  const outputs = outputsOf(built.loss, cotangents)
  assertFree(builder, outputs.keys())
  const graph = adaptToProvider(builder.finish(built.allInputs, outputs), settings)
  const used = new Set(graph.inputs.map(({ name }) => name))
  return {
    graph,
    inputs: data.filter(({ name }) => used.has(name)),
    target,
    weight,
    batch,
    perSample: built.loss.perSample,
    coupledBy: built.coupledBy,
    gradients: new Map([...cotangents.keys()].map((name) => [name, gradientName(name)])),
    notes: built.notes,
  }
}

/** The settings that options ask for, with their defaults. */
export function settingsOf({
  batchNorm,
  forms,
}: Pick<DifferentiateOptions, 'batchNorm' | 'forms'>): Settings {
  return { batchNorm: batchNorm ?? 'running', forms: forms ?? 'cpu' }
}

/** The name of the output that holds a parameter's gradient. */
export function gradientName(parameter: string): string {
  return `gradient/${parameter}`
}

/** Refuses names of outputs that the network's own values have. */
export function assertFree(builder: GraphBuilder, names: Iterable<string>): void {
  const taken = [...names].find((name) => builder.has(name))
  if (taken !== undefined) throw ownName(taken)
}

/** Refuses a gradient graph, whose parameters are inputs without a batch, by what it is. */
export function assertNetwork({ outputs }: Graph): void {
  const gradient = outputs.find(({ name }) => name.startsWith(gradientName('')))
  if (gradient !== undefined) throw ownName(gradient.name)
}

function ownName(name: string): UnsupportedModelError {
  return new UnsupportedModelError(
    `the model has a value named '${name}' already: is it a gradient graph? Give the network that it was made from`,
  )
}

function outputsOf(loss: LossTerms, cotangents: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([
    [NUMERATORS, loss.numerators],
    [DENOMINATORS, loss.denominators],
    ...[...cotangents].map(([name, value]): [string, string] => [gradientName(name), value]),
  ])
}
