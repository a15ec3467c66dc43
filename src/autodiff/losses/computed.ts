import { UsageError } from '../../errors.js'
import type { Shape } from '../../onnx/graph.js'
import { assertBatchAxis } from './samples.js'
import { judgedShape } from './terms.js'
import type { LossContext, LossTerms } from './terms.js'
import { elementsAlong, sampleWeights, seedScale, summedPerSample, times } from './weighting.js'

/** A loss that the graph computes: averaged over the elements of a sample, or one mean for the micro-batch. */
export function computedLoss(context: LossContext, name: string): LossTerms {
  const { graph, batch } = context
  const known =
    graph.outputs.some((output) => output.name === name) || graph.nodes.some((n) => n.outputs.includes(name))
  if (!known)
    throw new UsageError(
      `--loss output:${name}: the graph computes no '${name}'; its outputs are ${graph.outputs.map((o) => o.name).join(', ')}`,
    )
  const shape = judgedShape(context, name)
  const scalar = shape.length === 0 || (shape.every((dim) => dim === 1) && batch !== 1)
  if (scalar) return microBatchMean(context, name)
  assertBatchAxis(name, shape, batch)
  return perSampleLoss(context, name, shape)
}

function perSampleLoss(context: LossContext, name: string, shape: Shape): LossTerms {
  const { builder } = context
  const samples = sampleWeights(context, shape.length)
  const denominators = times(builder, elementsAlong(builder, name, shape), context.weight)
  const scale = seedScale(context, denominators, name)
  const share = times(builder, samples ?? builder.scalar(1, builder.dtype(name)), scale)
  return {
    numerators: times(builder, summedPerSample(builder, name, shape.length), context.weight),
    denominators,
    seeds: new Map([[name, builder.expandLike(share, name)]]),
    perSample: true,
    notes: [],
  }
}

function microBatchMean({ builder, weight }: LossContext, name: string): LossTerms {
  const one = builder.constant(builder.dtype(name), [1], [1])
  const samples = weight === undefined ? one : builder.sum(weight, [0], true)
  return {
    numerators: times(builder, builder.reshape(name, [1]), weight === undefined ? undefined : samples),
    denominators: samples,
    seeds: new Map([[name, builder.reshapeLike(samples, name)]]),
    perSample: false,
    notes: [
      `'${name}' is one number for each micro-batch: it counts as the mean over the micro-batch's samples`,
    ],
  }
}
