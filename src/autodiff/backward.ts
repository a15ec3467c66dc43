import { UnsupportedModelError } from '../errors.js'
import type { DType } from '../tensor.js'
import type { GraphBuilder } from '../onnx/builder.js'
import type { Dim, Graph, NamedValue } from '../onnx/graph.js'
import { liftOpset } from '../onnx/lift.js'
import { commonBatch } from './batch.js'
import { coupledBy } from './coupling.js'
import { assertRules, reverse } from './driver.js'
import { appendLoss, judged } from './losses.js'
import type { AppendedLoss, LossContext, LossSpec, LossTerms, TargetNeed } from './losses.js'
import { attachLoss } from './losses/attach.js'
import { lower } from './lower.js'
import { withParameters } from './parameters.js'
import type { Settings } from './rule.js'

export interface BackwardOptions {
  /** Initializers that become inputs. */
  readonly parameters: readonly string[]
  /** Those of them with respect to which the loss is differentiated; all by default. */
  readonly wanted?: readonly string[] | undefined
  readonly loss: LossSpec
  readonly settings: Settings
  /** What is differentiated: the sum of all numerators, weighted by samples, or the mean. */
  readonly result: LossContext['result']
}

/** A network with its loss and the backward pass, before its outputs are chosen. */
export interface Backward {
  readonly builder: GraphBuilder
  /** All inputs that the finished graph may have. */
  readonly allInputs: readonly NamedValue[]
  /** The inputs that data go to; the target is not among them. */
  readonly data: readonly NamedValue[]
  readonly target: TargetNeed | undefined
  /** Input of shape [batch] that the samples' weights go to; in the mean all count alike, and nothing reads it. */
  readonly weight: NamedValue
  readonly batch: Dim
  readonly loss: LossTerms
  /** The value of each parameter's gradient, for those that the loss depends on. */
  readonly cotangents: ReadonlyMap<string, string>
  readonly coupledBy: string | undefined
  readonly notes: readonly string[]
}

/**
 * Turns initializers into inputs, appends the loss and writes the backward pass.
 *
 * @throws UnsupportedOperatorError when a node between parameters and loss has no derivative rule
 * @throws UnsupportedModelError when the network's inputs or outputs don't fit the loss
 * @throws UsageError when a parameter or the loss' output is not in the graph
 */
export function backward(
  model: Graph,
  { parameters, wanted = parameters, loss: asked, settings, result }: BackwardOptions,
): Backward {
  const { network: written, loss: spec, target, batch } = withLoss(model, asked)
  const { builder, notes } = lower(withParameters(written, parameters), parameters, settings)
  const network = builder.current()
  const added: NamedValue[] = []
  const declare = (input: NamedValue): void => {
    added.push(input)
    builder.declare(input)
  }
  const dtype = lossType(builder, judged(spec, network, builder))
  const weight: NamedValue = { name: freeName(builder, 'sample_weight'), dtype, shape: [batch] }
  if (result === 'sums') declare(weight)
  assertRules(network, builder, wanted, [judged(spec, network, builder)], model.opsets)
  const loss = appendLoss(spec, {
    graph: written,
    builder,
    settings,
    batch,
    weight: result === 'sums' ? weight.name : undefined,
    result,
    targetName: freeName(builder, 'target'),
    declare,
  })
  const cotangents = reverse(network, builder, wanted, loss.seeds, settings, model.opsets)
  if (cotangents.size === 0) throw nothingReached(wanted)
  return {
    builder,
    allInputs: [...network.inputs, ...added],
    data: written.inputs.filter(({ name }) => name !== target?.name),
    target: loss.target ?? (target && { kind: 'values', input: target }),
    weight,
    batch,
    loss,
    cotangents,
    coupledBy: coupledBy(written, judged(spec, network, builder), settings),
    notes: [...notes, ...loss.notes],
  }
}

/** The network in the newest form of its operators, with one name for the batch, and a loss that is a graph joined to it. */
interface WithLoss {
  readonly network: Graph
  readonly loss: AppendedLoss
  /** The target's input, where the network has it already. */
  readonly target: NamedValue | undefined
  readonly batch: Dim
}

function withLoss(model: Graph, loss: LossSpec): WithLoss {
  const { size: batch, inputs } = commonBatch(model.inputs)
  const network = liftOpset({ ...model, inputs })
  if (loss.kind !== 'graph') return { network, loss, target: undefined, batch }
  const attached = attachLoss(network, loss, batch)
  return {
    network: attached.graph,
    loss: { kind: 'output', name: attached.output },
    target: attached.target,
    batch,
  }
}

/** The loss is computed in the type of what it is a function of. */
function lossType(builder: GraphBuilder, value: string): DType {
  return builder.info(value).dtype === 'float64' ? 'float64' : 'float32'
}

function nothingReached(parameters: readonly string[]): UnsupportedModelError {
  return new UnsupportedModelError(
    `the loss does not depend on any of the ${parameters.length} bound parameters (${parameters.slice(0, 3).join(', ')}, ...)`,
  )
}

/** A name that no value of the graph has: the given one, or with underscores behind it. */
function freeName(builder: Pick<GraphBuilder, 'has'>, name: string): string {
  return builder.has(name) ? freeName(builder, `${name}_`) : name
}
