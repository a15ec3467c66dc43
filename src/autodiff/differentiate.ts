import { UnsupportedModelError, UsageError } from '../errors.js'
import type { DType } from '../tensor.js'
import { formatShape } from '../tensor.js'
import type { GraphBuilder } from '../onnx/builder.js'
import type { Dim, Graph, NamedValue } from '../onnx/graph.js'
import { liftOpset } from '../onnx/lift.js'
import { assertRules, reverse } from './driver.js'
import { appendLoss, realOutputs } from './losses.js'
import { lower } from './lower.js'
import type { Forms, Settings } from './rule.js'
import type { LossSpec, LossTerms, TargetNeed } from './losses.js'

export interface DifferentiateOptions {
  /** Initializers that become inputs, and with respect to which the loss is differentiated. */
  readonly parameters: readonly string[]
  readonly loss: LossSpec
  /** Which statistics BatchNormalization uses (Settings.batchNorm); `running` by default. */
  readonly batchNorm?: Settings['batchNorm']
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
  const settings: Settings = { batchNorm: options.batchNorm ?? 'running', forms: options.forms ?? 'cpu' }
  const lowered = lower(withParameters(liftOpset(model), options.parameters), options.parameters, settings)
  const { builder } = lowered
  const network = builder.current()
  const data = model.inputs
  const batch = batchOf(data)
  const added: NamedValue[] = []
  const declare = (input: NamedValue): void => {
    added.push(input)
    builder.declare(input)
  }
  const weight: NamedValue = {
    name: freeName(builder, 'sample_weight'),
    dtype: lossType(network, builder, options.loss),
    shape: [batch],
  }
  declare(weight)
  assertRules(network, builder, options.parameters, [judged(network, builder, options.loss)], model.opsets)
  const loss = appendLoss(options.loss, {
    graph: network,
    builder,
    batch,
    weight: weight.name,
    targetName: freeName(builder, 'target'),
    declare,
  })
  const cotangents = reverse(network, builder, options.parameters, loss.seeds, settings, model.opsets)
  if (cotangents.size === 0)
    throw new UnsupportedModelError(
      `the loss does not depend on any of the ${options.parameters.length} bound parameters (${options.parameters.slice(0, 3).join(', ')}, ...)`,
    )
  const outputs = outputsOf(loss, cotangents)
  const taken = [...outputs.keys()].find((name) => builder.has(name))
  if (taken !== undefined)
    throw new UnsupportedModelError(
      `the model has a value named '${taken}' already: is it a gradient graph? Give the network that it was made from`,
    )
  const graph = builder.finish([...network.inputs, ...added], outputs)
  const used = new Set(graph.inputs.map(({ name }) => name))
  return {
    graph,
    inputs: data.filter(({ name }) => used.has(name)),
    target: loss.target,
    weight,
    batch,
    perSample: loss.perSample,
    gradients: new Map([...cotangents.keys()].map((name) => [name, gradientName(name)])),
    notes: [...lowered.notes, ...loss.notes],
  }
}

function gradientName(parameter: string): string {
  return `gradient/${parameter}`
}

function outputsOf(loss: LossTerms, cotangents: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([
    [NUMERATORS, loss.numerators],
    [DENOMINATORS, loss.denominators],
    ...[...cotangents].map(([name, value]): [string, string] => [gradientName(name), value]),
  ])
}

/** The graph with some initializers turned into plain inputs (an initializer listed as input can't be overridden). */
function withParameters(graph: Graph, parameters: readonly string[]): Graph {
  const initializers = new Map(graph.initializers)
  const inputs = parameters.map((name): NamedValue => {
    const initializer = initializers.get(name)
    if (initializer === undefined) throw new UsageError(`the model has no initializer '${name}'`)
    if (initializer.dtype !== 'float32' && initializer.dtype !== 'float64')
      throw new UnsupportedModelError(
        `the network keeps '${name}' in ${initializer.dtype ?? 'a type that is not read'}: export it in float32 (the checkpoints may stay as they are)`,
      )
    initializers.delete(name)
    return { name, dtype: initializer.dtype, shape: initializer.shape }
  })
  return { ...graph, inputs: [...graph.inputs, ...inputs], initializers }
}

/** The batch axis is the first of every input; all must agree on it. */
function batchOf(inputs: readonly NamedValue[]): Dim {
  const sizes = inputs.map(({ name, shape }): Dim => {
    const size = shape?.[0]
    if (size === undefined)
      throw new UnsupportedModelError(
        `the network's input '${name}' has no batch axis (it is ${formatShape(shape ?? [])})`,
      )
    return size
  })
  const [first] = sizes
  if (first === undefined) throw new UnsupportedModelError('the network has no inputs to put data in')
  const fixed = sizes.find((size) => typeof size === 'number')
  const other = sizes.find((size) => typeof size === 'number' && size !== fixed)
  if (other !== undefined)
    throw new UnsupportedModelError(
      `the network's inputs have different batch sizes: ${inputs.map(({ name, shape }) => `${name} ${formatShape(shape ?? [])}`).join(', ')}`,
    )
  return fixed ?? first
}

/** The value that the loss is a function of. */
function judged(graph: Graph, builder: GraphBuilder, loss: LossSpec): string {
  return loss.kind === 'output' ? loss.name : (realOutputs(graph, builder)[0]?.name ?? '')
}

/** The loss is computed in the type of what it is a function of. */
function lossType(graph: Graph, builder: GraphBuilder, loss: LossSpec): DType {
  return builder.info(judged(graph, builder, loss)).dtype === 'float64' ? 'float64' : 'float32'
}

function freeName(builder: GraphBuilder, name: string): string {
  return builder.has(name) ? freeName(builder, `${name}_`) : name
}
