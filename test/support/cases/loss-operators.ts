import type { AttributeValue } from '../../../src/onnx/attributes.js'
import { constant, ints, omitted, real, runtime } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'

type Attributes = Readonly<Record<string, AttributeValue>>

const int32 = (values: readonly number[], shape: readonly number[]): Operand => ({
  kind: 'constant',
  dtype: 'int32',
  shape,
  values,
})

/** What both losses have in common; `draw` makes scores. */
function losses(op: string, opset: number): OperatorCase[] {
  const test = (
    title: string,
    inputs: readonly Operand[],
    attributes: Attributes = {},
    more: Partial<OperatorCase> = {},
  ): OperatorCase => ({ op, title: `${title}, opset ${opset}`, inputs, attributes, opset, ...more })
  const scores = real([4, 3])
  const labels = ints([2, 0, 1, 2])
  const weights = real([3], { low: 0.5, high: 2 })
  const spatial = [real([2, 3, 2, 2]), ints([0, 1, 2, 2, 1, 0, 0, 1], [2, 2, 2])]
  const some = ints([2, -100, 1, -100])
  const ignored = { ignore_index: -100 }
  return [
    test('averaged', [scores, labels]),
    test('summed', [scores, labels], { reduction: 'sum' }),
    test('for each sample', [scores, labels], { reduction: 'none' }),
    test('averaged by weights', [scores, labels, weights]),
    test('summed with weights', [scores, labels, weights], { reduction: 'sum' }),
    test('for each sample with weights', [scores, labels, weights], { reduction: 'none' }),
    test('with constant weights', [scores, labels, constant([1, 2, 0.5], [3])]),
    test('averaged with some ignored', [scores, some], ignored),
    test('summed with some ignored', [scores, some], { ...ignored, reduction: 'sum' }),
    test('for each sample with some ignored', [scores, some], { ...ignored, reduction: 'none' }),
    test('averaged by weights with some ignored', [scores, some, weights], ignored),
    test('with an ignored class that exists', [scores, labels, weights], { ignore_index: 2 }),
    test('of images', spatial),
    test('of images for each pixel', spatial, { reduction: 'none' }),
    test('of images by weights with some ignored', [...spatial, weights], { ignore_index: 1 }),
    test('of sequences', [real([2, 3, 2]), ints([0, 1, 2, 2], [2, 2])]),
    test('with int32 labels', [scores, int32([2, 0, -1, 2], [4])], { ignore_index: -1 }),
  ]
}

/** Shapes that come out when the graph runs, which the cases make by a form of Shape that opset 12 lacks. */
function ofSymbols(op: string): OperatorCase[] {
  const pixels = [0, 1, 2, 2, 1, 0, 0, 1]
  const images = [
    real([2, 3, 2, 2], { as: ['N', 3, 'H', 'W'] }),
    ints(pixels, [2, 2, 2]),
    real([3], { low: 0.5, high: 2 }),
  ]
  return [
    { op, title: 'of symbolic sizes', inputs: [real([4, 3], { as: ['N', 'C'] }), ints([2, 0, 1, 2])] },
    { op, title: 'of symbolic images', inputs: images },
    {
      op,
      title: 'of symbolic images for each pixel, with labels given at run time',
      inputs: [images[0]!, runtime(pixels, [2, 2, 2]), images[2]!],
      attributes: { reduction: 'none', ignore_index: 2 },
    },
  ]
}

/** SoftmaxCrossEntropyLoss gives the log-probabilities too. */
function withLogarithms(title: string, more: Partial<OperatorCase>): OperatorCase {
  const inputs = [real([4, 3]), ints([2, 0, 1, 2]), omitted]
  return { op: 'SoftmaxCrossEntropyLoss', title, inputs, outputs: 2, ...more }
}

export const LOSS_OPERATOR_CASES: readonly OperatorCase[] = [
  ...losses('SoftmaxCrossEntropyLoss', 12),
  ...losses('SoftmaxCrossEntropyLoss', 18),
  ...losses('NegativeLogLikelihoodLoss', 12),
  ...losses('NegativeLogLikelihoodLoss', 22),
  ...ofSymbols('SoftmaxCrossEntropyLoss'),
  ...ofSymbols('NegativeLogLikelihoodLoss'),
  withLogarithms('with its log-probabilities', {}),
  withLogarithms('with its log-probabilities alone', { unused: [0] }),
  withLogarithms('for each sample with its log-probabilities', { attributes: { reduction: 'none' } }),
]
