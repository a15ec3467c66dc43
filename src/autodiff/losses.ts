import type { GraphBuilder } from '../onnx/builder.js'
import type { Graph } from '../onnx/graph.js'
import { computedLoss } from './losses/computed.js'
import { crossEntropy } from './losses/cross-entropy.js'
import { binaryCrossEntropy, meanSquaredError } from './losses/elementwise.js'
import { negativeLogLikelihood } from './losses/negative-log-likelihood.js'
import { realOutputs } from './losses/prediction.js'
import type { LossSpec } from './losses/spec.js'
import type { LossContext, LossTerms } from './losses/terms.js'

export { LOSS_NAMES, checkChoices, lossChoices, lossName, parseLoss } from './losses/spec.js'
export type { LossChoices, LossSpec } from './losses/spec.js'
export type { LossContext, LossTerms, TargetNeed } from './losses/terms.js'

/** A loss that is appended to a graph; one that is a graph of its own was joined to it before (attachLoss). */
export type AppendedLoss = Exclude<LossSpec, { kind: 'graph' }>

/** Appends a loss to the graph. Throws UsageError or UnsupportedModelError where the network's outputs don't fit it. */
export function appendLoss(spec: AppendedLoss, context: LossContext): LossTerms {
  switch (spec.kind) {
    case 'cross-entropy':
      return crossEntropy(spec, context)
    case 'nll':
      return negativeLogLikelihood(spec, context)
    case 'bce-with-logits':
      return binaryCrossEntropy(spec, context)
    case 'mse':
      return meanSquaredError(context)
    case 'output':
      return computedLoss(context, spec.name)
  }
}

/** The value that the loss is a function of, as far as it can be told before the loss is appended. */
export function judged(spec: AppendedLoss, graph: Graph, builder: GraphBuilder): string {
  return spec.kind === 'output' ? spec.name : (realOutputs(graph, builder)[0]?.name ?? '')
}
