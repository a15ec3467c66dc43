import type { AttributeValue } from '../../../src/onnx/attributes.js'
import type { DType } from '../../../src/tensor.js'
import { omitted, real, spaced } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'

const whole = (dtype: DType, shape: readonly number[], values: readonly number[]): Operand => ({
  kind: 'constant',
  dtype,
  shape,
  values,
})

const counted = (shape: readonly number[], dtype: DType = 'int8'): Operand => {
  const size = shape.reduce((product, length) => product * length, 1)
  return whole(
    dtype,
    shape,
    Array.from({ length: size }, (_, i) => ((i * 7) % 23) + 1),
  )
}

/** Linear in the scale, so that central differences are exact for any step. Scales are float32. */
const dequantize = (
  title: string,
  inputs: readonly Operand[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
  opset = 18,
): OperatorCase => ({
  op: 'DequantizeLinear',
  title,
  inputs,
  attributes,
  opset,
  dtype: 'float32',
  step: 0.25,
})

export const QUANTIZATION_CASES: readonly OperatorCase[] = [
  dequantize('by one scale', [counted([2, 3]), real([]), whole('int8', [], [3])]),
  dequantize('by one scale in a list', [counted([2, 3]), real([1]), whole('int8', [1], [3])]),
  dequantize('without a zero point', [counted([2, 3]), real([])]),
  dequantize('of uint8', [counted([2, 3], 'uint8'), real([]), whole('uint8', [], [128])]),
  dequantize('of int32', [counted([2, 3], 'int32'), real([]), omitted]),
  dequantize('by a scale per channel', [counted([2, 3, 2]), real([3]), whole('int8', [3], [1, 2, 3])]),
  dequantize('by a scale per row', [counted([2, 3]), real([2]), whole('int8', [2], [1, 2])], { axis: 0 }),
  dequantize('by a scale on the last axis', [counted([2, 3]), real([3])], { axis: -1 }),
  dequantize('by a symbolic scale', [counted([2, 3]), real([3], { as: ['C'] })]),
  dequantize('by a scale per channel, opset 13', [counted([2, 3]), real([3])], { axis: 1 }, 13),
  dequantize('by a scale, opset 11', [counted([2, 3]), real([]), whole('int8', [], [3])], {}, 11),
  ...[21, 23, 25].flatMap((opset) => [
    dequantize(`by one scale, opset ${opset}`, [counted([2, 3]), real([])], {}, opset),
    dequantize(
      `by blocks, opset ${opset}`,
      [counted([2, 6]), real([2, 3]), whole('int8', [2, 3], [1, 2, 3, 4, 5, 6])],
      { block_size: 2 },
      opset,
    ),
    dequantize(
      `by blocks of rows, opset ${opset}`,
      [counted([4, 3]), real([2, 3])],
      { axis: 0, block_size: 2 },
      opset,
    ),
    dequantize(
      `by blocks with a rest, opset ${opset}`,
      [counted([2, 5]), real([2, 3])],
      { axis: -1, block_size: 2 },
      opset,
    ),
  ]),
  {
    op: 'DynamicQuantizeLinear',
    title: 'through its scale',
    inputs: [spaced([3, 4])],
    outputs: 3,
    unused: [0, 2],
    dtype: 'float32',
  },
  {
    op: 'DynamicQuantizeLinear',
    title: 'of positive numbers through its scale',
    inputs: [real([3, 4], { low: 0.5, as: ['N', 'C'] })],
    outputs: 3,
    unused: [0, 2],
    dtype: 'float32',
  },
]
