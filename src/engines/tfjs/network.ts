import type { LayersModel, Tensor, Variable } from '@tensorflow/tfjs'
import { commonBatch } from '../../autodiff/batch.js'
import type { TargetNeed } from '../../autodiff/losses.js'
import { UnsupportedModelError } from '../../errors.js'
import type { Dim, NamedValue } from '../../onnx/graph.js'
import { finalActivation, statefulLayer } from './ending.js'
import { batchNormLayers, setStatistics, ownersOf } from './layers.js'
import type { Layer, Owner } from './layers.js'
import type { Tf } from './load.js'
import { judgedOutput, lossOf, shapeOf } from './loss.js'
import type { Output } from './loss.js'
import type { Loss } from './losses/terms.js'
import { buildModel } from './model.js'
import type { NetworkFile } from './model.js'
import { repair } from './repairs.js'
import type { NetworkChoices } from './setup.js'

/** A network of TensorFlow.js with its loss, ready to be differentiated. */
export interface TfjsNetwork {
  readonly tf: Tf
  readonly model: LayersModel
  /** By the names of the manifest, in its order. */
  readonly variables: ReadonlyMap<string, Variable>
  readonly owners: ReadonlyMap<Variable, Owner>
  /** First axis the batch, in the model's order. */
  readonly inputs: readonly NamedValue[]
  readonly batch: Dim
  readonly target: TargetNeed | undefined
  readonly loss: Loss
  /** BatchNormalization, where it takes statistics from the micro-batch. */
  readonly coupledBy: string | undefined
  readonly normalizes: boolean
  readonly notes: readonly string[]
  /** What the loss judges, for inputs in the model's order; only BatchNormalization may behave as in training. */
  readonly predict: (inputs: Tensor[]) => Tensor
}

/** The symbol of an open batch axis. */
const BATCH = 'batch'

/**
 * Builds a network and its loss.
 * @throws UnsupportedModelError for networks that TensorFlow.js does not know, and outputs that don't fit the loss
 * @throws ModelError where topology and weights don't fit together
 * @throws UsageError for an output or an axis that the network has not
 */
export async function openNetwork(
  tf: Tf,
  file: NetworkFile,
  { loss: spec, batchNorm }: NetworkChoices,
): Promise<TfjsNetwork> {
  const { model, variables } = await buildModel(tf, file)
  const stateful = statefulLayer(model)
  if (stateful !== undefined)
    throw new UnsupportedModelError(
      `${file.path}: layer '${stateful.name}' is stateful: its loss depends on what came before; save the model with stateful: false`,
    )
  const { size: batch, inputs } = commonBatch(inputsOf(model))
  const output = judgedOutput(model, spec)
  const judged = {
    name: output.name,
    shape: shapeOf(output.symbolic, batch, 'output'),
    end: output.index === 0 ? finalActivation(model) : undefined,
  }
  const loss = lossOf(tf, spec, judged)
  const normalizes = batchNormLayers(model).length > 0
  const byBatch = normalizes && batchNorm === 'batch'
  setStatistics(model, batchNorm)
  repair(tf, model)
  return {
    tf,
    model,
    variables,
    owners: ownersOf(model),
    inputs,
    batch,
    target: loss.target,
    loss: loss.compute,
    coupledBy: byBatch ? 'BatchNormalization' : undefined,
    normalizes,
    notes: [...output.notes, ...loss.notes],
    predict: predictor(tf, model, output),
  }
}

function inputsOf(model: LayersModel): NamedValue[] {
  return model.inputs.map((symbolic) => {
    // the tensor's own name differs from one loading to the next
    const { name } = symbolic.sourceLayer
    return {
      name,
      dtype: takesTokens(symbolic.sourceLayer) ? 'int32' : 'float32',
      shape: symbolic.shape.map((size, axis) => size ?? (axis === 0 ? BATCH : `${name}.${axis}`)),
    }
  })
}

/** Whether all that reads an input looks rows up by it. Keras declares such inputs as real numbers. */
function takesTokens(input: Layer): boolean {
  const readers = readersOf(input, new Set())
  return readers.length > 0 && readers.every((name) => name === 'Embedding')
}

/** A model as a layer of another. */
interface Nested {
  readonly inputLayers?: readonly Layer[]
}

/** The classes of the layers that take an input, those of nested models too. */
function readersOf(input: Layer, seen: Set<Layer>): string[] {
  return input.outboundNodes.flatMap(({ outboundLayer: reader, inboundLayers }) => {
    const { inputLayers } = reader as Layer & Nested
    if (inputLayers === undefined) return [reader.getClassName()]
    if (seen.has(reader)) return []
    seen.add(reader)
    return inputLayers.flatMap((inner, i) => (inboundLayers[i] === input ? readersOf(inner, seen) : []))
  })
}

function predictor(tf: Tf, model: LayersModel, { symbolic, index }: Output): (inputs: Tensor[]) => Tensor {
  const part = index === undefined ? tf.model({ inputs: model.inputs, outputs: symbolic }) : model
  return (inputs) => {
    const outputs = part.apply(inputs.length === 1 ? inputs[0]! : inputs, { training: false }) as
      Tensor | Tensor[]
    return Array.isArray(outputs) ? outputs[index ?? 0]! : outputs
  }
}
