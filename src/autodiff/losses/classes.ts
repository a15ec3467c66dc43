import { UnsupportedModelError, UsageError } from '../../errors.js'
import type { Dim } from '../../onnx/graph.js'
import { formatShape } from '../../tensor.js'
import { classAxis } from './class-axis.js'
import { before, finalActivation, prediction } from './prediction.js'
import type { FinalActivation, Prediction } from './prediction.js'
import type { ClassChoices } from './spec.js'
import type { LossContext } from './terms.js'

/** A prediction over classes: logits, or log-probabilities where the loss takes those. */
export interface ClassPrediction extends Prediction {
  readonly axis: number
  /** Size of the class axis. */
  readonly classes: Dim
  /** Weights of the classes, shaped to multiply the prediction; undefined where all count alike. */
  readonly classWeights: string | undefined
  /** The Softmax or LogSoftmax over classes that the network ends in; `value` is what it is taken of. */
  readonly normalized: 'Softmax' | 'LogSoftmax' | undefined
}

/** The network's output over classes, before a Softmax or LogSoftmax at its end. */
export function classPrediction(spec: ClassChoices, context: LossContext): ClassPrediction {
  const output = prediction(context)
  const { source, shape } = output
  const end = finalActivation(context, output)
  const weights = spec.classWeights
  const { axis, note } = classAxis({
    name: source,
    shape,
    given: spec.classAxis,
    normalized: end?.axis,
    weights: weights?.length,
  })
  if (shape[axis] === 1)
    throw new UnsupportedModelError(
      `'${source}' is ${formatShape(shape)}: one class only (axis ${axis}), of which every loss over classes is 0; ` +
        `for a yes or no use bce-with-logits`,
    )
  const normalized = end?.axis === axis && end.op !== 'Sigmoid' ? end.op : undefined
  return {
    ...(normalized === undefined ? output : before(context, end!, output)),
    notes: [...output.notes, ...(note === undefined ? [] : [note]), ...endNotes(source, end, normalized)],
    axis,
    classes: shape[axis]!,
    classWeights: weights && alongAxis(context, output, axis, weights, '--class-weights'),
    normalized,
  }
}

function endNotes(
  source: string,
  end: FinalActivation | undefined,
  normalized: ClassPrediction['normalized'],
): string[] {
  if (end?.op === 'Sigmoid')
    return [
      `'${source}' comes out of a Sigmoid and is taken as it is, for classes that exclude each other; for others use bce-with-logits`,
    ]
  if (normalized === undefined) return []
  const holds = normalized === 'Softmax' ? 'probabilities' : 'log-probabilities'
  return [`'${source}' holds ${holds}: cross-entropy is taken of '${end!.input}' before ${normalized}`]
}

/** One number for each entry of an axis, shaped to multiply a prediction. Throws UsageError where their count differs. */
export function alongAxis(
  { builder }: LossContext,
  { source, value, shape }: Prediction,
  axis: number,
  numbers: readonly number[],
  option: string,
): string {
  const size = shape[axis]!
  if (typeof size === 'number' && numbers.length !== size)
    throw new UsageError(
      `${option}: ${numbers.length} numbers for ${size} classes; '${source}' is ${formatShape(shape)}, and axis ${axis} its classes`,
    )
  const behind = Array.from({ length: shape.length - 1 - axis }, () => 1)
  return builder.constant(builder.dtype(value), [numbers.length, ...behind], numbers)
}

/** z - m - log(sum(exp(z - m))), m the largest entry: LogSoftmax, which WebGPU lacks. */
export function logSoftmax({ builder, settings }: LossContext, logits: string, axis: number): string {
  if (settings.forms !== 'webgpu') return builder.add('LogSoftmax', [logits], { axis })
  const largest = builder.add('ReduceMax', [logits, builder.integers([axis])])
  const shifted = builder.add('Sub', [logits, largest])
  const total = builder.sum(builder.add('Exp', [shifted]), [axis], true)
  return builder.add('Sub', [shifted, builder.add('Log', [total])])
}
