import { UnsupportedModelError } from '../../errors.js'
import type { NamedValue } from '../../onnx/graph.js'
import { Formula } from '../formula.js'
import { classAxis } from './class-axis.js'
import { alongAxis } from './classes.js'
import { before, finalActivation, prediction, seedsOf } from './prediction.js'
import type { Prediction } from './prediction.js'
import type { LossSpec } from './spec.js'
import type { LossContext, LossTerms } from './terms.js'
import { elementsAlong, productOf, sampleWeights, seedScale, summedPerSample, times } from './weighting.js'

/** A loss of each element against its target, and its derivative, less a factor, in the prediction's shape. */
interface Elements {
  readonly loss: string
  readonly derivative: string
  readonly factor?: number
}

/** A loss that averages over all elements of all samples. */
function overElements(
  name: string,
  context: LossContext,
  prediction: Prediction,
  elements: (target: string) => Elements,
): LossTerms {
  const { builder, targetName, weight } = context
  const { source, value, shape, notes } = prediction
  if (shape.length === 0)
    throw new UnsupportedModelError(`${name} needs an output with a batch axis; '${source}' is scalar`)
  const input: NamedValue = { name: targetName, dtype: builder.dtype(value), shape }
  context.declare(input)
  const { loss, derivative, factor = 1 } = elements(targetName)
  const samples = sampleWeights(context, shape.length)
  const denominators = times(builder, elementsAlong(builder, value, shape), weight)
  const constant = factor === 1 ? undefined : builder.scalar(factor, builder.dtype(value))
  const share = productOf(builder, samples, constant, seedScale(context, denominators, value))
  return {
    numerators: times(builder, summedPerSample(builder, loss, shape.length), weight),
    denominators,
    seeds: seedsOf(context, prediction, times(builder, derivative, share)),
    perSample: true,
    target: { kind: 'values', input },
    notes,
  }
}

/** Squared error (PyTorch's mse_loss). */
export function meanSquaredError(context: LossContext): LossTerms {
  const { builder } = context
  const output = prediction(context)
  return overElements('mse', context, output, (target) => {
    const difference = builder.add('Sub', [output.value, target])
    // d/dz (z - t)^2 = 2 (z - t)
    return { loss: builder.mul(difference, difference), derivative: difference, factor: 2 }
  })
}

/** Binary cross-entropy of logits (PyTorch's binary_cross_entropy_with_logits). */
export function binaryCrossEntropy(
  spec: Extract<LossSpec, { kind: 'bce-with-logits' }>,
  context: LossContext,
): LossTerms {
  const output = prediction(context)
  const end = finalActivation(context, output)
  const own = end?.op === 'Sigmoid' ? withoutSigmoid(context, output, end.input) : output
  const weights = positiveWeights(spec, context, own)
  return overElements('bce-with-logits', context, own, (target) =>
    weights === undefined
      ? binary(context, own.value, target)
      : weightedBinary(context, own.value, target, weights),
  )
}

function withoutSigmoid(context: LossContext, output: Prediction, input: string): Prediction {
  const own = before(context, { op: 'Sigmoid', input, axis: undefined }, output)
  const note = `'${output.source}' holds probabilities: bce-with-logits is taken of '${input}' before Sigmoid`
  return { ...own, notes: [...output.notes, note] }
}

/** max(z, 0) - z t + log(1 + exp(-|z|)), which never overflows. */
function binary({ builder }: LossContext, z: string, t: string): Elements {
  const f = new Formula(builder, z)
  const loss = f.add(f.sub(f.call('Relu', z), f.mul(z, t)), logOnePlusExp(f, z))
  // d/dz = sigmoid(z) - t
  return { loss, derivative: f.sub(f.call('Sigmoid', z), t) }
}

/** (1 - t) z + (1 + (w - 1) t) (log(1 + exp(-|z|)) + max(-z, 0)) for weights w of the positive term. */
function weightedBinary({ builder }: LossContext, z: string, t: string, w: string): Elements {
  const f = new Formula(builder, z)
  const factor = f.add(f.mul(f.sub(w, 1), t), 1)
  const softplus = f.add(logOnePlusExp(f, z), f.call('Relu', f.call('Neg', z)))
  const loss = f.add(f.mul(f.sub(1, t), z), f.mul(factor, softplus))
  // d/dz = (1 + (w - 1) t) sigmoid(z) - w t
  return { loss, derivative: f.sub(f.mul(factor, f.call('Sigmoid', z)), f.mul(w, t)) }
}

/** log(1 + exp(-|z|)), between 0 and log 2. */
function logOnePlusExp(f: Formula, z: string): string {
  return f.call('Log', f.add(f.call('Exp', f.call('Neg', f.call('Abs', z))), 1))
}

/** One weight for all elements, or one for each entry of the class axis. */
function positiveWeights(
  { positiveWeights: weights, classAxis: given }: Extract<LossSpec, { kind: 'bce-with-logits' }>,
  context: LossContext,
  output: Prediction,
): string | undefined {
  if (weights === undefined) return undefined
  const { builder } = context
  if (weights.length === 1) return builder.scalar(weights[0]!, builder.dtype(output.value))
  const { source: name, shape } = output
  const { axis } = classAxis({ name, shape, given, normalized: undefined, weights: weights.length })
  return alongAxis(context, output, axis, weights, '--pos-weight')
}
