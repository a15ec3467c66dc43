import { UnsupportedModelError } from '../../errors.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import type { NamedValue } from '../../onnx/graph.js'
import { formatShape } from '../../tensor.js'
import { classPrediction, logSoftmax } from './classes.js'
import type { ClassPrediction } from './classes.js'
import { readLabels } from './labels.js'
import type { Labels } from './labels.js'
import { seedsOf } from './prediction.js'
import type { LossSpec } from './spec.js'
import type { LossContext, LossTerms } from './terms.js'
import { elementsAlong, productOf, sampleWeights, seedScale, summedPerSample, times } from './weighting.js'

type CrossEntropy = Extract<LossSpec, { kind: 'cross-entropy' }>

/** What the loss is made of, for labels and for probabilities. */
interface Parts {
  readonly context: LossContext
  readonly prediction: ClassPrediction
  readonly logProbability: string
  /** The share e of a target that is spread over all classes, and e/C, a single class' part of it. */
  readonly smoothing: number
  readonly spread: number
  /** The sum of the weights of all classes; their number where all count alike. */
  readonly weightSum: number
}

/** Cross-entropy of labels or probabilities over classes (PyTorch's cross_entropy). */
export function crossEntropy(spec: CrossEntropy, context: LossContext): LossTerms {
  const prediction = classPrediction(spec, context)
  const { value, shape, axis, classes, source } = prediction
  const smoothing = spec.labelSmoothing ?? 0
  if (smoothing > 0 && typeof classes !== 'number')
    throw new UnsupportedModelError(
      `label smoothing needs a known number of classes; '${source}' is ${formatShape(shape)}: export with a fixed class axis`,
    )
  const parts: Parts = {
    context,
    prediction,
    logProbability: logSoftmax(context, value, axis),
    smoothing,
    spread: smoothing > 0 ? smoothing / Number(classes) : 0,
    weightSum: spec.classWeights?.reduce((sum, weight) => sum + weight, 0) ?? Number(classes),
  }
  return spec.softLabels === true
    ? ofProbabilities(parts)
    : ofLabels(parts, readLabels(spec, context, prediction))
}

/**
 * -(1 - e) w[y] log p[y] - e/C sum(w log p) for label y, smoothing e and class weights w; each position counts w[y].
 * Both are 0 where the label is ignored.
 */
function ofLabels(parts: Parts, labels: Labels): LossTerms {
  const { context, prediction, logProbability, smoothing, spread } = parts
  const { builder } = context
  const rank = prediction.shape.length - 1
  const counted = times(builder, labels.counted, sampleWeights(context, rank))
  const weighted = times(builder, counted, labels.weight)
  const denominators = summedPerSample(builder, weighted, rank)
  const own = builder.mul(labels.pick(logProbability), builder.scale(weighted, smoothing - 1))
  const loss =
    smoothing === 0
      ? own
      : builder.add('Sub', [own, builder.mul(overClasses(parts), builder.scale(counted, spread))])
  const scale = seedScale(context, denominators, denominators)
  const ownShare = labels.column(times(builder, builder.scale(weighted, 1 - smoothing), scale))
  const spreadShare =
    smoothing === 0 ? undefined : labels.column(times(builder, builder.scale(counted, spread), scale))
  return {
    numerators: summedPerSample(builder, loss, rank),
    denominators,
    seeds: seedsOf(context, prediction, gradientOfLabels(parts, labels, ownShare, spreadShare)),
    perSample: true,
    target: labels.target,
    notes: prediction.notes,
  }
}

/** The sum of w log p over the classes, in the labels' shape. */
function overClasses({ context: { builder }, prediction, logProbability }: Parts): string {
  return builder.sum(times(builder, logProbability, prediction.classWeights), [prediction.axis], false)
}

/** d/dz = own (p - onehot(y)) + spread (sum(w) p - w), for the shares of a position's weight. */
function gradientOfLabels(parts: Parts, labels: Labels, own: string, spread: string | undefined): string {
  const { builder } = parts.context
  const probability = builder.add('Exp', [parts.logProbability])
  if (spread === undefined) return labels.subtract(builder.mul(probability, own), own)
  const whole = builder.add('Add', [own, builder.scale(spread, parts.weightSum)])
  const smooth = builder.add('Sub', [
    builder.mul(probability, whole),
    times(builder, spread, parts.prediction.classWeights),
  ])
  return labels.subtract(smooth, own)
}

/** -sum(w q log p) for target probabilities q, smoothed to (1 - e) q + e/C; every position counts 1. */
function ofProbabilities(parts: Parts): LossTerms {
  const { context, prediction, logProbability } = parts
  const { builder, targetName } = context
  const { value, shape, axis } = prediction
  const input: NamedValue = { name: targetName, dtype: builder.dtype(value), shape }
  context.declare(input)
  const target = times(builder, smoothed(builder, targetName, parts), prediction.classWeights)
  const otherAxes = shape.flatMap((_, i) => (i === 0 || i === axis ? [] : [i]))
  const denominators = times(builder, elementsAlong(builder, value, shape, otherAxes), context.weight)
  const samples = sampleWeights(context, shape.length)
  const loss = builder.add('Neg', [
    summedPerSample(builder, builder.mul(target, logProbability), shape.length),
  ])
  // d/dz = sum(w q) p - w q
  const whole = builder.sum(target, [axis], true)
  const probability = builder.add('Exp', [logProbability])
  const gradient = builder.add('Sub', [builder.mul(probability, whole), target])
  const scale = seedScale(context, denominators, value)
  return {
    numerators: times(builder, loss, context.weight),
    denominators,
    seeds: seedsOf(context, prediction, times(builder, gradient, productOf(builder, samples, scale))),
    perSample: true,
    target: { kind: 'values', input },
    notes: prediction.notes,
  }
}

function smoothed(builder: GraphBuilder, target: string, { smoothing, spread }: Parts): string {
  if (smoothing === 0) return target
  const part = builder.scalar(spread, builder.dtype(target))
  return builder.add('Add', [builder.scale(target, 1 - smoothing), part])
}
