import type { AttributeValue } from '../../../src/onnx/attributes.js'
import type { Shape } from '../../../src/onnx/graph.js'
import { real } from '../operator-case.js'
import type { OperatorCase } from '../operator-case.js'

/** Bilinear in image and kernel, so that central differences are exact for any step. */
const exact = { dtype: 'float32', step: 0.25 } as const

export function transposed(
  title: string,
  x: readonly number[],
  w: readonly number[],
  attributes: Readonly<Record<string, AttributeValue>> & { readonly group?: number } = {},
  as?: Shape,
): OperatorCase {
  const inputs = [real(x, { ...(as && { as }) }), real(w), real([w[1]! * (attributes.group ?? 1)])]
  return { title, op: 'ConvTranspose', inputs, attributes, ...exact }
}

export const TRANSPOSED: readonly OperatorCase[] = [
  transposed('of kernel 1', [2, 3, 4, 5], [3, 4, 1, 1]),
  transposed('of kernel 3', [2, 3, 4, 5], [3, 4, 3, 3]),
  transposed('with stride', [2, 3, 4, 5], [3, 4, 3, 2], { strides: [2, 3] }),
  transposed('with stride and padding', [2, 3, 4, 5], [3, 4, 3, 3], { strides: [2, 2], pads: [1, 0, 1, 1] }),
  transposed('with stride, padding and output_padding', [2, 3, 4, 5], [3, 4, 3, 3], {
    strides: [2, 3],
    pads: [1, 1, 1, 1],
    output_padding: [1, 2],
  }),
  transposed('with output_padding and no padding', [2, 3, 4, 5], [3, 4, 3, 3], {
    strides: [2, 3],
    output_padding: [1, 2],
  }),
  transposed('with dilation', [2, 3, 4, 5], [3, 4, 3, 2], { dilations: [2, 3], strides: [2, 1] }),
  transposed('with groups', [2, 4, 4, 5], [4, 3, 3, 3], { group: 2, strides: [2, 2] }),
  transposed('depthwise', [2, 3, 4, 5], [3, 1, 4, 4], { group: 3, strides: [2, 2], pads: [1, 1, 1, 1] }),
  transposed('with stride larger than the kernel', [2, 3, 4, 5], [3, 4, 2, 1], { strides: [3, 3] }),
  ...['NOTSET', 'SAME_UPPER', 'SAME_LOWER'].map((auto_pad) =>
    transposed(`with output_shape, auto_pad ${auto_pad}`, [2, 3, 4, 5], [3, 4, 3, 4], {
      auto_pad,
      strides: [2, 3],
      output_shape: [8, 13],
    }),
  ),
  transposed('with output_shape and output_padding', [2, 3, 4, 5], [3, 4, 3, 3], {
    strides: [3, 3],
    output_shape: [10, 13],
    output_padding: [1, 0],
  }),
  ...['SAME_UPPER', 'SAME_LOWER', 'VALID'].flatMap((auto_pad) => [
    transposed(`with auto_pad ${auto_pad}`, [2, 3, 4, 5], [3, 4, 3, 4], { auto_pad, strides: [2, 1] }),
    transposed(
      `with auto_pad ${auto_pad} of symbolic image size`,
      [2, 3, 4, 5],
      [3, 4, 3, 5],
      { auto_pad, strides: [2, 2] },
      ['N', 3, 'H', 'W'],
    ),
  ]),
  transposed('in one dimension', [2, 3, 6], [3, 4, 4], { strides: [2], pads: [1, 1] }),
  transposed('in three dimensions', [1, 2, 3, 4, 3], [2, 3, 2, 3, 2], {
    strides: [2, 1, 2],
    pads: [0, 1, 0, 1, 0, 1],
  }),
  transposed('with a symbolic batch', [2, 3, 4, 5], [3, 4, 3, 3], { strides: [2, 2] }, ['N', 3, 4, 5]),
  transposed(
    'of symbolic image size',
    [2, 3, 4, 5],
    [3, 4, 3, 3],
    { strides: [2, 2], pads: [1, 1, 0, 1], output_padding: [0, 1] },
    ['N', 3, 'H', 'W'],
  ),
  transposed(
    'of symbolic image size with output_shape',
    [2, 3, 4, 5],
    [3, 4, 3, 3],
    { strides: [2, 2], output_shape: [8, 10] },
    ['N', 3, 'H', 'W'],
  ),
  transposed('of symbolic channels', [2, 3, 4, 5], [3, 4, 3, 3], { dilations: [1, 2] }, ['N', 'C', 'H', 'W']),
  {
    ...transposed('', [2, 3, 4, 5], [3, 4, 3, 3]),
    title: 'without bias',
    inputs: [real([2, 3, 4, 5]), real([3, 4, 3, 3])],
  },
  { ...transposed('in opset 22', [2, 3, 4, 5], [3, 4, 3, 3], { strides: [2, 2] }), opset: 22 },
]
