import type { Tensor } from '@tensorflow/tfjs'
import type { LossSpec } from '../../../autodiff/losses.js'
import { IGNORE_INDEX } from '../../../autodiff/losses/spec.js'
import type { Tf } from '../load.js'
import { along, elementsEach, perSample } from './terms.js'
import type { Loss } from './terms.js'

type CrossEntropy = Extract<LossSpec, { kind: 'cross-entropy' }>
type NegativeLogLikelihood = Extract<LossSpec, { kind: 'nll' }>

/** A prediction with its classes as the last axis. */
function classesLast(value: Tensor, axis: number): Tensor {
  if (axis === value.rank - 1) return value
  const order = value.shape.map((_, i) => i).filter((i) => i !== axis)
  return value.transpose([...order, axis])
}

/** Labels, one for each position, against values with the classes as last axis. */
interface Positions {
  /** The value of each position's own class; 0 for a label that is no class. */
  readonly own: (values: Tensor) => Tensor
  /** 1 for a label that counts, 0 for one that is ignored. */
  readonly counted: Tensor
  /** The same times the weight of the label's class. */
  readonly weighted: Tensor
}

function positions(
  tf: Tf,
  labels: Tensor,
  classes: number,
  { ignoreIndex, classWeights }: Pick<CrossEntropy, 'ignoreIndex' | 'classWeights'>,
): Positions {
  const counted = labels.notEqual(ignoreIndex ?? IGNORE_INDEX).toFloat()
  const hot = tf.oneHot(labels.toInt(), classes).toBool()
  // chosen, not multiplied: the others may be infinite
  const own = (values: Tensor): Tensor => tf.where(hot, values, tf.zerosLike(values)).sum(-1)
  if (classWeights === undefined) return { own, counted, weighted: counted }
  const weights = tf.zeros(hot.shape).add(tf.tensor1d([...classWeights]))
  return { own, counted, weighted: counted.mul(own(weights)) }
}

/** Cross-entropy of logits against labels or probabilities; see autodiff/losses/cross-entropy.ts for the formulas. */
export function crossEntropy(tf: Tf, spec: CrossEntropy, axis: number): Loss {
  return spec.softLabels === true ? ofProbabilities(tf, spec, axis) : ofLabels(tf, spec, axis)
}

/** -(1 - e) w[y] log p[y] - e/C sum(w log p); each position counts w[y]. */
function ofLabels(tf: Tf, spec: CrossEntropy, axis: number): Loss {
  return ({ prediction, target, weights }) => {
    const logProbability = tf.logSoftmax(classesLast(prediction, axis))
    const classes = logProbability.shape.at(-1)!
    const { own, counted, weighted } = positions(tf, target!, classes, spec)
    const samples = along(weights, weighted.rank)
    const smoothing = spec.labelSmoothing ?? 0
    const picked = own(logProbability)
      .mul(weighted)
      .mul(smoothing - 1)
    const spread = (): Tensor =>
      overClasses(tf, logProbability, spec)
        .mul(counted)
        .mul(smoothing / classes)
    const loss = smoothing === 0 ? picked : picked.sub(spread())
    return { numerators: perSample(loss.mul(samples)), denominators: perSample(weighted.mul(samples)) }
  }
}

/** The sum of w log p over the classes. */
function overClasses(tf: Tf, logProbability: Tensor, { classWeights }: CrossEntropy): Tensor {
  const weighted =
    classWeights === undefined ? logProbability : logProbability.mul(tf.tensor1d([...classWeights]))
  return weighted.sum(-1)
}

/** -sum(w q log p) for target probabilities q, smoothed to (1 - e) q + e/C; every position counts 1. */
function ofProbabilities(tf: Tf, spec: CrossEntropy, axis: number): Loss {
  const smoothing = spec.labelSmoothing ?? 0
  return ({ prediction, target, weights }) => {
    const logProbability = tf.logSoftmax(classesLast(prediction, axis))
    const classes = logProbability.shape.at(-1)!
    const given = classesLast(target!, axis)
    const smoothed = smoothing === 0 ? given : given.mul(1 - smoothing).add(smoothing / classes)
    const counts =
      spec.classWeights === undefined ? smoothed : smoothed.mul(tf.tensor1d([...spec.classWeights]))
    const elements = prediction.size / prediction.shape[0] / classes
    return {
      numerators: perSample(counts.mul(logProbability)).mul(weights).neg(),
      denominators: elementsEach(weights, elements),
    }
  }
}

/** -w[y] z[y] for log-probabilities z. */
export function negativeLogLikelihood(tf: Tf, spec: NegativeLogLikelihood, axis: number): Loss {
  return ({ prediction, target, weights }) => {
    const logProbability = classesLast(prediction, axis)
    const { own, weighted } = positions(tf, target!, logProbability.shape.at(-1)!, spec)
    const counts = weighted.mul(along(weights, weighted.rank))
    return {
      numerators: perSample(own(logProbability).mul(counts).neg()),
      denominators: perSample(counts),
    }
  }
}
