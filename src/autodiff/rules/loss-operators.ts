import { stringAttribute } from '../../onnx/attributes.js'
import type { DType } from '../../tensor.js'
import { rewritten } from '../rule.js'
import type { RewriteContext, Treatments } from '../rule.js'

/** Losses that are operators of their own. */
export const LOSS_OPERATORS: Treatments = {
  // of the logarithms of the softmax over axis 1 (SoftmaxCrossEntropyLoss 12, 13)
  SoftmaxCrossEntropyLoss: rewritten((c) => {
    const logarithms = c.builder.add('LogSoftmax', [c.x(0)], { axis: 1 })
    return [negativeLogLikelihood(c, logarithms), logarithms]
  }),
  NegativeLogLikelihoodLoss: rewritten((c) => [negativeLogLikelihood(c, c.x(0))]),
}

/**
 * Minus the log-probability of each position's class, times the class's weight, summed or averaged as the node says:
 * the mean is over the weights, where an ignored position has none (NegativeLogLikelihoodLoss 12, 13, 22).
 */
function negativeLogLikelihood(c: RewriteContext, logarithms: string): string {
  const { builder } = c
  const { labels, counts } = targets(c)
  const axis = builder.integers([1])
  const index = builder.add('Unsqueeze', [labels, axis])
  const picked = builder.add('Squeeze', [
    builder.add('GatherElements', [logarithms, index], { axis: 1 }),
    axis,
  ])
  const dtype = builder.dtype(logarithms)
  const weights = positionWeights(c, labels, counts, dtype)
  const losses = builder.add('Neg', [weights === undefined ? picked : builder.mul(picked, weights)])
  return reduction(c, losses, weights)
}

interface Targets {
  /** Classes that exist, also where a position is ignored. */
  readonly labels: string
  /** Whether a position counts; undefined where all do. */
  readonly counts: string | undefined
}

function targets(c: RewriteContext): Targets {
  const { builder } = c
  const labels = c.x(1)
  const ignored = c.node.attributes.get('ignore_index')
  if (ignored === undefined) return { labels, counts: undefined }
  const dtype = builder.info(labels).dtype ?? 'int64'
  const number = (value: number): string => builder.scalar(value, dtype)
  const counts = builder.add('Not', [builder.add('Equal', [labels, number(Number(ignored.i))])])
  return { labels: builder.add('Where', [counts, labels, number(0)]), counts }
}

/** What each position counts, undefined where all count 1. */
function positionWeights(
  c: RewriteContext,
  labels: string,
  counts: string | undefined,
  dtype: DType,
): string | undefined {
  const shown = counts && c.builder.cast(counts, dtype)
  if (c.x(2) === '') return shown
  const byClass = c.builder.add('Gather', [c.x(2), labels])
  return shown === undefined ? byClass : c.builder.mul(byClass, shown)
}

function reduction({ node, builder }: RewriteContext, losses: string, weights: string | undefined): string {
  const sum = (value: string): string => builder.add('ReduceSum', [value], { keepdims: 0 })
  switch (stringAttribute(node, 'reduction', 'mean')) {
    case 'none':
      return losses
    case 'sum':
      return sum(losses)
    default:
      if (weights === undefined) return builder.add('ReduceMean', [losses], { keepdims: 0 })
      return builder.add('Div', [sum(losses), sum(weights)])
  }
}
