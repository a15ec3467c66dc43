import { differentiate } from '../autodiff/differentiate.js'
import type { GradientGraph } from '../autodiff/differentiate.js'
import { openData } from '../data/open-data.js'
import type { DataNeeds, DataSet, InputSpec } from '../data/needs.js'
import { defaultBatchSize } from '../engines/micro-batches.js'
import { BindingError, DataError, UsageError } from '../errors.js'
import { findCopies } from '../onnx/copies.js'
import { listNames } from '../listing.js'
import type { Graph, NamedValue } from '../onnx/graph.js'
import { readModel } from '../onnx/read.js'
import { elementsPerSample } from '../onnx/size.js'
import { EXPORT_LINE } from '../trajectory/bind-report.js'
import { bind } from '../trajectory/bind.js'
import type { Binding, NetworkTensor } from '../trajectory/bind.js'
import type { Trajectory } from '../trajectory/checkpoint.js'
import { openTrajectory } from '../trajectory/open-trajectory.js'
import type { RunEvents, RunOptions } from './options.js'
import { describeTensors } from './tensors.js'
import type { LcaTensor } from './tensors.js'

/** A note is one line on a terminal. */
const NAMES_IN_NOTE = 8

/** Everything that a replay needs, opened and checked against each other. */
export interface Prepared {
  readonly trajectory: Trajectory
  readonly binding: Binding
  readonly tensors: readonly LcaTensor[]
  readonly gradient: GradientGraph
  readonly data: ReadonlyMap<string, DataSet>
  readonly batchSize: number
  /** What was told to the user on the way. */
  readonly notes: readonly string[]
}

/** Opens checkpoints, network and data, binds names and differentiates. Everything cheap is checked before any work. */
export async function prepare(options: RunOptions, events: RunEvents): Promise<Prepared> {
  const notes: string[] = []
  const note = (text: string): void => {
    notes.push(text)
    events.onNote?.(text)
  }
  const model = await readModel(options.model)
  const trajectory = await openTrajectory(options.checkpoints, options.steps && { steps: options.steps })
  try {
    trajectory.notes.forEach(note)
    const binding = bindTensors(options, model, trajectory)
    bindingNotes(binding).forEach(note)
    const parameters = binding.pairs.map(({ parameter }) => parameter)
    const gradient = differentiate(model, { parameters, loss: options.loss })
    gradient.notes.forEach(note)
    unreached(parameters, gradient).forEach(note)
    const batchSize = chooseBatchSize(options, gradient, note)
    const data = await openSplits(options, gradient, batchSize, note)
    const tensors = describeTensors(model, binding)
    return { trajectory, binding, tensors, gradient, data, batchSize, notes }
  } catch (error) {
    await trajectory.close()
    throw error
  }
}

function bindTensors(options: RunOptions, model: Graph, trajectory: Trajectory): Binding {
  const network = [...model.initializers].flatMap(([name, { shape, dtype }]): NetworkTensor[] =>
    dtype === undefined ? [] : [{ name, shape, dtype }],
  )
  const [first] = trajectory.checkpoints
  const binding = bind(network, first!.tensors, { model: options.model, checkpoint: first!.path })
  refuseCopies(options, model, binding)
  return binding
}

/** A weight that the network also holds as a constant would move in one of its uses only: the numbers would be wrong. */
function refuseCopies({ model: path }: RunOptions, model: Graph, { pairs, constants }: Binding): void {
  const weights = pairs.map(({ parameter }) => parameter)
  const [copy] = findCopies(model, weights, constants)
  if (copy === undefined) return
  throw new BindingError(
    `${path}: '${copy.constant}' is a constant with the numbers of '${copy.weight}': the exporter folded one use of that ` +
      `weight, or the weight is tied and saved once; its gradient would lack that use. Export with ${EXPORT_LINE}`,
  )
}

function bindingNotes({ how, pairs, constants, ignored }: Binding): string[] {
  const list = (names: readonly string[]): string => listNames(names, NAMES_IN_NOTE)
  return [
    `${pairs.length} tensors bound ${how}`,
    ...(constants.length > 0 ? [`constant, since the checkpoints don't hold them: ${list(constants)}`] : []),
    ...(ignored.length > 0 ? [`left out, being counters: ${list(ignored)}`] : []),
  ]
}

function unreached(parameters: readonly string[], { gradients }: GradientGraph): string[] {
  const without = parameters.filter((name) => !gradients.has(name))
  return without.length === 0 ? [] : [`the loss does not depend on ${without.join(', ')}: their LCA is zero`]
}

/** The size of a micro-batch: the network's own where it is fixed, else as asked for, else what suits the model. */
function chooseBatchSize(options: RunOptions, gradient: GradientGraph, note: (text: string) => void): number {
  const { batch } = gradient
  if (typeof batch === 'string')
    return options.batchSize ?? defaultBatchSize(elementsPerSample(gradient.graph, batch))
  if (options.batchSize !== undefined && options.batchSize !== batch)
    throw new UsageError(
      `--batch-size ${options.batchSize}: ${options.model} was exported with a fixed batch of ${batch}; leave the option out, or export with ${EXPORT_LINE}`,
    )
  note(
    `the network was exported with a fixed batch of ${batch}, so micro-batches have that size, which is slow when it is small; ` +
      `to leave it open: ${EXPORT_LINE}`,
  )
  return batch
}

async function openSplits(
  options: RunOptions,
  gradient: GradientGraph,
  batchSize: number,
  note: (text: string) => void,
): Promise<Map<string, DataSet>> {
  const { input, target, scale } = options
  const names = { ...(input !== undefined && { input }), ...(target !== undefined && { target }) }
  const data = new Map<string, DataSet>()
  for (const [split, path] of options.splits) {
    const set = await openData(path, dataNeeds(gradient), { ...names, scale })
    for (const text of set.notes) note(`${split}: ${text}`)
    checkRemainder(set, gradient, batchSize)
    data.set(split, set)
  }
  return data
}

function dataNeeds({ inputs, target }: GradientGraph): DataNeeds {
  const spec = ({ name, dtype, shape }: NamedValue): InputSpec => ({
    name,
    dtype: dtype ?? 'float32',
    dims: shape ?? [],
  })
  if (target === undefined) return { inputs: inputs.map(spec) }
  if (target.kind === 'values')
    return { inputs: inputs.map(spec), target: { kind: 'values', dims: target.input.shape ?? [] } }
  const { classes } = target
  return {
    inputs: inputs.map(spec),
    target: {
      kind: 'labels',
      positions: (target.input.shape ?? []).slice(1),
      ...(typeof classes === 'number' && { classes }),
    },
  }
}

/** One loss for the whole micro-batch can't leave padding out. */
function checkRemainder({ path, samples }: DataSet, gradient: GradientGraph, batchSize: number): void {
  if (gradient.perSample || typeof gradient.batch === 'string' || samples % batchSize === 0) return
  throw new DataError(
    `${path}: ${samples} samples don't fill micro-batches of ${batchSize}, and the loss is one number for a whole micro-batch, ` +
      `so that none can be padded; use a multiple of ${batchSize} samples, or export with ${EXPORT_LINE}`,
  )
}
