import type { Shape } from '../../../src/onnx/graph.js'
import { constant, real } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'

/** An image with scale, shift, mean and variance of its channels. */
function operands(shape: readonly number[], as?: Shape): Operand[] {
  const channels = [shape[1]!]
  const x = real(shape, { ...(as && { as }) })
  return [x, real(channels), real(channels), real(channels), real(channels, { low: 0.5, high: 3 })]
}

type More = Partial<Omit<OperatorCase, 'title' | 'op'>>

const recorded = (title: string, inputs: readonly Operand[], more: More = {}): OperatorCase => ({
  op: 'BatchNormalization',
  title,
  inputs,
  ...more,
})

/** In training the running statistics are further outputs, which no loss reads here. */
const training = (title: string, inputs: readonly Operand[], more: More = {}): OperatorCase => ({
  op: 'BatchNormalization',
  title,
  inputs,
  outputs: 3,
  unused: [1, 2],
  batchNorm: 'batch',
  ...more,
  attributes: { training_mode: 1, ...more.attributes },
})

const symbols = { image: ['N', 3, 'H', 'W'], all: ['N', 'C', 'T'] }

export const BATCH_NORMALIZATION_CASES: readonly OperatorCase[] = [
  recorded('of images', operands([2, 3, 2, 2])),
  recorded('of images in float32', operands([2, 3, 2, 2]), { dtype: 'float32' }),
  recorded('of sequences', operands([2, 3, 4])),
  recorded('of vectors', operands([4, 3])),
  recorded('of volumes', operands([2, 3, 2, 1, 2])),
  recorded('with a large epsilon', operands([2, 3, 2]), { attributes: { epsilon: { float: 0.5 } } }),
  recorded('of symbolic images', operands([2, 3, 2, 2], symbols.image)),
  recorded('of symbolic channels', operands([2, 3, 4], symbols.all)),
  recorded('with constant statistics', [
    ...operands([2, 3, 2]).slice(0, 3),
    constant([0.5, -1, 2], [3]),
    constant([1, 2, 0.5], [3]),
  ]),
  recorded('of constant scale and statistics', [
    real([2, 3, 2]),
    ...[
      [1, 2, -1],
      [0, 1, 2],
      [0.5, -1, 2],
      [1, 2, 0.5],
    ].map((values) => constant(values, [3])),
  ]),
  recorded('in opset 9’s form', operands([2, 3, 2, 2]), { opset: 11, dtype: 'float32' }),
  recorded('in opset 14’s form', operands([2, 3, 2, 2]), { opset: 14 }),
  training('through the statistics of images', operands([3, 3, 2, 2])),
  training('through the statistics of images in float32', operands([3, 3, 2, 2]), { dtype: 'float32' }),
  training('through the statistics of sequences', operands([3, 3, 4])),
  training('through the statistics of vectors', operands([6, 3])),
  training('through the statistics of volumes', operands([2, 3, 2, 1, 2])),
  training('through the statistics of symbolic images', operands([2, 3, 2, 2], symbols.image)),
  training('through the statistics of symbolic channels', operands([2, 3, 4], symbols.all)),
  training('through statistics with a large epsilon', operands([4, 3, 2]), {
    attributes: { epsilon: { float: 0.5 } },
  }),
  training('through the statistics of a constant image', [
    constant([1, 2, 4, 3, 1, 0, 2, 5, 1, 3, 3, 2], [2, 3, 2]),
    ...operands([2, 3]).slice(1),
  ]),
  training('through statistics in opset 14’s form', operands([3, 3, 2]), { opset: 14 }),
  training('through the running statistics too', operands([3, 3, 2]), { unused: [] }),
  training('through the running statistics with a momentum', operands([3, 3, 2]), {
    attributes: { momentum: { float: 0.3 } },
    unused: [0],
  }),
]
