import { classPrediction } from './classes.js'
import { crossEntropy } from './cross-entropy.js'
import { readLabels } from './labels.js'
import { seedsOf } from './prediction.js'
import type { LossSpec } from './spec.js'
import type { LossContext, LossTerms } from './terms.js'
import { sampleWeights, seedScale, summedPerSample, times } from './weighting.js'

type NegativeLogLikelihood = Extract<LossSpec, { kind: 'nll' }>

/**
 * -w[y] z[y] for log-probabilities z, label y and class weights w (PyTorch's nll_loss). Where the network itself takes
 * them by a LogSoftmax it is the cross-entropy of what stands before, which is computed in fewer steps; likewise where
 * it ends in probabilities.
 */
export function negativeLogLikelihood(spec: NegativeLogLikelihood, context: LossContext): LossTerms {
  const prediction = classPrediction(spec, context)
  if (prediction.normalized !== undefined) return crossEntropy({ ...spec, kind: 'cross-entropy' }, context)
  const { builder } = context
  const rank = prediction.shape.length - 1
  const labels = readLabels(spec, context, prediction)
  const weighted = times(builder, labels.counted, sampleWeights(context, rank), labels.weight)
  const denominators = summedPerSample(builder, weighted, rank)
  const loss = builder.mul(labels.pick(prediction.value), builder.add('Neg', [weighted]))
  const scale = seedScale(context, denominators, denominators)
  // d/dz = -onehot(y), times the position's weight
  const gradient = labels.subtract(undefined, labels.column(times(builder, weighted, scale)))
  return {
    numerators: summedPerSample(builder, loss, rank),
    denominators,
    seeds: seedsOf(context, prediction, gradient),
    perSample: true,
    target: labels.target,
    notes: [
      ...prediction.notes,
      `nll takes '${prediction.source}' as log-probabilities; for logits use cross-entropy`,
    ],
  }
}
