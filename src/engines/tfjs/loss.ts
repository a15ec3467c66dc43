import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs'
import { classAxis } from '../../autodiff/losses/class-axis.js'
import type { TargetNeed } from '../../autodiff/losses.js'
import { IGNORE_INDEX } from '../../autodiff/losses/spec.js'
import { UnsupportedModelError, UsageError } from '../../errors.js'
import type { Dim, NamedValue, Shape } from '../../onnx/graph.js'
import { formatShape } from '../../tensor.js'

import type { FinalActivation } from './ending.js'
import type { Tf } from './load.js'
import { crossEntropy, negativeLogLikelihood } from './losses/classes.js'
import { binaryCrossEntropy, meanSquaredError, ownValues } from './losses/elements.js'
import type { Loss } from './losses/terms.js'
import type { TfjsLossSpec } from './setup.js'

/** A loss of a network: how it is computed, and what it compares the prediction with. */
export interface NetworkLoss {
  readonly compute: Loss
  readonly target: TargetNeed | undefined
  readonly notes: readonly string[]
}

/** What the loss judges: one output of the network. */
export interface Judged {
  readonly name: string
  readonly shape: Shape
  readonly end: FinalActivation | undefined
}

/** The name of the target's input; data are asked for by it. */
const TARGET = 'target'

/**
 * The loss that a spec names. Where the network ends in Softmax or Sigmoid and the loss takes logits, the activation is
 * taken off the model.
 *
 * @throws UsageError for an axis that the output has not, or weights of another number than classes
 * @throws UnsupportedModelError where the output does not fit the loss
 */
export function lossOf(tf: Tf, spec: TfjsLossSpec, judged: Judged): NetworkLoss {
  switch (spec.kind) {
    case 'cross-entropy':
    case 'nll':
      return ofClasses(tf, spec, judged)
    case 'bce-with-logits':
      return ofYesAndNo(tf, spec, judged)
    case 'mse':
      return { compute: meanSquaredError(), target: values(judged), notes: [] }
    case 'output':
      return { compute: ownValues(), target: undefined, notes: [] }
  }
}

type OfClasses = Extract<TfjsLossSpec, { kind: 'cross-entropy' | 'nll' }>

function ofClasses(tf: Tf, spec: OfClasses, judged: Judged): NetworkLoss {
  const { name, shape, end } = judged
  const { axis } = classAxis({
    name,
    shape,
    given: spec.classAxis,
    normalized: shape.length - 1,
    weights: undefined,
  })
  const classes = shape[axis]!
  if (classes === 1)
    throw new UnsupportedModelError(
      `'${name}' is ${formatShape(shape)}: one class only (axis ${axis}), of which every loss over classes is 0; ` +
        `for a yes or no use bce-with-logits`,
    )
  checkCount('--class-weights', spec.classWeights, judged, axis)
  const overClasses = end !== undefined && end.op !== 'Sigmoid' && axis === shape.length - 1
  if (overClasses) takeOff(end, spec.kind)
  const soft = spec.kind === 'cross-entropy' && spec.softLabels === true
  const compute =
    spec.kind === 'nll' && !overClasses
      ? negativeLogLikelihood(tf, spec, axis)
      : crossEntropy(tf, { ...spec, kind: 'cross-entropy' }, axis)
  return {
    compute,
    target: soft ? values(judged) : labels(spec, judged, axis),
    notes: [
      ...endNotes(judged, overClasses),
      ...(spec.kind === 'nll' && !overClasses ? [takenAsLogs(name)] : []),
    ],
  }
}

function takenAsLogs(name: string): string {
  return `nll takes '${name}' as log-probabilities; for logits use cross-entropy`
}

function endNotes({ name, end }: Judged, overClasses: boolean): string[] {
  if (end?.op === 'Sigmoid')
    return [
      `'${name}' comes out of a Sigmoid and is taken as it is, for classes that exclude each other; for others use bce-with-logits`,
    ]
  if (!overClasses) return []
  const holds = end!.op === 'Softmax' ? 'probabilities' : 'log-probabilities'
  return [
    `'${name}' holds ${holds}: cross-entropy is taken of what stands before ${end!.op} in layer '${end!.layer}'`,
  ]
}

function ofYesAndNo(
  tf: Tf,
  { positiveWeights, classAxis: given }: Extract<TfjsLossSpec, { kind: 'bce-with-logits' }>,
  judged: Judged,
): NetworkLoss {
  const { name, shape, end } = judged
  const single = positiveWeights === undefined || positiveWeights.length === 1
  const axis = single
    ? 0
    : classAxis({ name, shape, given, normalized: shape.length - 1, weights: undefined }).axis
  if (!single) checkCount('--pos-weight', positiveWeights, judged, axis)
  const sigmoid = end?.op === 'Sigmoid'
  if (sigmoid) takeOff(end, 'bce-with-logits')
  return {
    compute: binaryCrossEntropy(tf, positiveWeights, axis),
    target: values(judged),
    notes: sigmoid
      ? [
          `'${name}' holds probabilities: bce-with-logits is taken of what stands before Sigmoid in layer '${end.layer}'`,
        ]
      : [],
  }
}

function takeOff(end: FinalActivation, loss: string): void {
  if (end.takeOff === undefined)
    throw new UnsupportedModelError(
      `layer '${end.layer}', whose ${end.op} ends the network, is used elsewhere in it too, so that ${loss} can't be taken of ` +
        `what stands before; let the network end in a layer of its own (tf.layers.activation)`,
    )
  end.takeOff()
}

function checkCount(
  option: string,
  numbers: readonly number[] | undefined,
  { name, shape }: Judged,
  axis: number,
): void {
  const size = shape[axis]!
  if (numbers !== undefined && typeof size === 'number' && numbers.length !== size)
    throw new UsageError(
      `${option}: ${numbers.length} numbers for ${size} classes; '${name}' is ${formatShape(shape)}, and axis ${axis} its classes`,
    )
}

function labels(spec: OfClasses, { shape }: Judged, axis: number): TargetNeed {
  const input: NamedValue = { name: TARGET, dtype: 'int64', shape: shape.filter((_, i) => i !== axis) }
  return {
    kind: 'labels',
    input,
    classes: shape[axis]!,
    ignored: spec.ignoreIndex ?? IGNORE_INDEX,
    ...(spec.classWeights && { weights: spec.classWeights }),
  }
}

function values({ shape }: Judged): TargetNeed {
  return { kind: 'values', input: { name: TARGET, dtype: 'float32', shape } }
}

/** What a loss judges: the first output, or for `output:NAME` the output or layer of that name. */
export interface Output {
  readonly name: string
  readonly symbolic: SymbolicTensor
  /** Which of the model's outputs it is; undefined for a value inside. */
  readonly index: number | undefined
  readonly notes: readonly string[]
}

/** @throws UsageError where nothing has the name, or a layer gives more than one value */
export function judgedOutput(model: LayersModel, spec: TfjsLossSpec): Output {
  const names = model.outputs.map(({ sourceLayer }) => sourceLayer.name)
  if (spec.kind !== 'output') {
    const [name = '', ...others] = names
    const notes =
      others.length === 0
        ? []
        : [`the loss is taken of the first output '${name}'; not used: ${others.join(', ')}`]
    return { name, symbolic: model.outputs[0]!, index: 0, notes }
  }
  const { name } = spec
  const index = names.indexOf(name)
  if (index >= 0) return { name, symbolic: model.outputs[index]!, index, notes: [] }
  const layer = model.layers.find((one) => one.name === name)
  const symbolic = layer?.inboundNodes.length === 1 ? layer.output : undefined
  if (symbolic === undefined || Array.isArray(symbolic))
    throw new UsageError(
      `--loss output:${name}: the network has no output '${name}', and no layer that gives one value; its outputs are ${names.join(', ')}`,
    )
  return { name, symbolic, index: undefined, notes: [] }
}

/** A symbolic shape: the batch by its name, other open sizes by names of their own. */
export function shapeOf(symbolic: SymbolicTensor, batch: Dim, name: string): Shape {
  return symbolic.shape.map((size, axis) => (axis === 0 ? batch : (size ?? `${name}.${axis}`)))
}
