import type { AttributeValue } from '../../../src/onnx/attributes.js'
import type { Shape } from '../../../src/onnx/graph.js'
import { real } from '../operator-case.js'
import type { OperatorCase } from '../operator-case.js'
import { TRANSPOSED, transposed } from './transposed-convolution.js'

/** Bilinear in image and kernel, so that central differences are exact for any step. */
const exact = { dtype: 'float32', step: 0.25 } as const

function conv(
  title: string,
  x: readonly number[],
  w: readonly number[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
  as?: Shape,
): OperatorCase {
  const inputs = [real(x, { ...(as && { as }) }), real(w), real([w[0]!])]
  return { title, op: 'Conv', inputs, attributes, ...exact }
}

const ONE_DIMENSION: readonly OperatorCase[] = [
  conv('in one dimension', [2, 3, 9], [4, 3, 3]),
  conv('in one dimension with stride and leftover', [2, 3, 10], [4, 3, 3], { strides: [2] }),
  conv('in one dimension with dilation and padding', [2, 3, 9], [4, 3, 3], { dilations: [2], pads: [2, 1] }),
  conv('in one dimension with groups', [2, 4, 9], [6, 2, 3], { group: 2 }),
  conv(
    'in one dimension with groups and symbolic length',
    [2, 4, 10],
    [6, 2, 3],
    { group: 2, strides: [2] },
    ['N', 4, 'L'],
  ),
]

const TWO_DIMENSIONS: readonly OperatorCase[] = [
  conv('of kernel 1', [2, 3, 4, 5], [4, 3, 1, 1]),
  conv('of kernel 3', [2, 3, 6, 5], [4, 3, 3, 3]),
  conv('of an even kernel', [2, 3, 6, 5], [4, 3, 2, 4]),
  conv('with padding', [2, 3, 6, 5], [4, 3, 3, 3], { pads: [1, 1, 1, 1] }),
  conv('with asymmetrical padding', [2, 3, 6, 5], [4, 3, 3, 3], { pads: [0, 2, 1, 0] }),
  conv('with stride 2 that reaches the end', [2, 3, 7, 5], [4, 3, 3, 3], { strides: [2, 2] }),
  conv('with stride 2 and leftover', [2, 3, 8, 6], [4, 3, 3, 3], { strides: [2, 2] }),
  conv('with stride 3 and leftover 2', [2, 2, 8, 9], [3, 2, 3, 1], { strides: [3, 3] }),
  conv('with stride larger than the kernel', [2, 3, 8, 8], [4, 3, 1, 2], { strides: [3, 3] }),
  conv('with different strides', [2, 3, 8, 7], [4, 3, 3, 3], { strides: [1, 2], pads: [1, 1, 1, 1] }),
  conv('with dilation', [2, 3, 8, 7], [4, 3, 3, 3], { dilations: [2, 1] }),
  conv('with dilation, stride, padding and leftover', [2, 3, 10, 9], [4, 3, 3, 2], {
    dilations: [2, 3],
    strides: [2, 2],
    pads: [1, 0, 2, 1],
  }),
  conv('with groups', [2, 4, 6, 5], [6, 2, 3, 3], { group: 2 }),
  conv('with groups, stride and leftover', [2, 4, 6, 8], [6, 2, 3, 3], { group: 2, strides: [2, 2] }),
  conv('depthwise', [2, 4, 6, 5], [4, 1, 3, 3], { group: 4, pads: [1, 1, 1, 1] }),
  conv('depthwise with two filters for each channel', [2, 3, 6, 5], [6, 1, 3, 3], {
    group: 3,
    strides: [2, 2],
  }),
  conv('with groups and padding that keeps the size', [2, 4, 6, 5], [6, 2, 3, 3], {
    group: 2,
    pads: [1, 1, 1, 1],
  }),
  conv('depthwise with two filters for each channel and padding', [2, 3, 6, 5], [6, 1, 3, 3], {
    group: 3,
    pads: [1, 1, 1, 1],
  }),
  conv('with dilation, groups and padding that keeps the size', [2, 4, 8, 7], [4, 2, 3, 3], {
    group: 2,
    dilations: [2, 1],
    pads: [2, 1, 2, 1],
  }),
  conv('with auto_pad SAME_UPPER', [2, 3, 6, 5], [4, 3, 2, 3], { auto_pad: 'SAME_UPPER' }),
  conv('with auto_pad SAME_LOWER', [2, 3, 6, 5], [4, 3, 2, 4], { auto_pad: 'SAME_LOWER' }),
  conv('with auto_pad SAME_UPPER and stride', [2, 3, 7, 6], [4, 3, 3, 3], {
    auto_pad: 'SAME_UPPER',
    strides: [2, 2],
  }),
  conv('with auto_pad SAME_LOWER and stride', [2, 3, 7, 6], [4, 3, 3, 3], {
    auto_pad: 'SAME_LOWER',
    strides: [2, 3],
  }),
  conv('with auto_pad VALID', [2, 3, 6, 6], [4, 3, 3, 3], { auto_pad: 'VALID', strides: [2, 1] }),
]

const SYMBOLIC: readonly OperatorCase[] = [
  conv('with a symbolic batch', [2, 3, 8, 6], [4, 3, 3, 3], { strides: [2, 2] }, ['N', 3, 8, 6]),
  conv('of symbolic image size', [2, 3, 7, 6], [4, 3, 3, 3], { pads: [1, 0, 1, 1] }, ['N', 3, 'H', 'W']),
  conv('of symbolic image size with stride and leftover', [2, 3, 8, 7], [4, 3, 3, 3], { strides: [2, 3] }, [
    'N',
    3,
    'H',
    'W',
  ]),
  conv(
    'of symbolic image size with stride, padding and leftover',
    [2, 3, 8, 7],
    [4, 3, 3, 3],
    { strides: [2, 3], pads: [1, 0, 1, 2] },
    ['N', 3, 'H', 'W'],
  ),
  conv(
    'of symbolic image size with one stride',
    [2, 3, 8, 7],
    [4, 3, 3, 3],
    { strides: [1, 2], pads: [1, 1, 1, 1] },
    ['N', 3, 'H', 'W'],
  ),
  conv('of one symbolic image axis', [2, 3, 8, 7], [4, 3, 3, 3], { strides: [2, 2] }, ['N', 3, 8, 'W']),
  conv(
    'of symbolic image size with dilation and stride',
    [2, 3, 9, 8],
    [4, 3, 3, 2],
    {
      dilations: [2, 2],
      strides: [2, 2],
    },
    ['N', 3, 'H', 'W'],
  ),
  conv('depthwise of symbolic image size', [2, 4, 6, 7], [4, 1, 3, 3], { group: 4, strides: [2, 2] }, [
    'N',
    4,
    'H',
    'W',
  ]),
  conv(
    'with auto_pad SAME_UPPER of symbolic image size',
    [2, 3, 6, 7],
    [4, 3, 2, 3],
    { auto_pad: 'SAME_UPPER' },
    ['N', 3, 'H', 'W'],
  ),
]

const THREE_DIMENSIONS: readonly OperatorCase[] = [
  conv('in three dimensions', [2, 2, 4, 5, 4], [3, 2, 2, 3, 2]),
  conv('in three dimensions with stride, padding and leftover', [1, 2, 5, 6, 4], [3, 2, 2, 3, 2], {
    strides: [2, 2, 1],
    pads: [0, 1, 1, 0, 0, 1],
  }),
  conv('in three dimensions with groups', [1, 4, 4, 4, 4], [4, 2, 2, 2, 2], {
    group: 2,
    dilations: [1, 2, 1],
  }),
]

const ANY_SIZE: readonly OperatorCase[] = ['SAME_UPPER', 'SAME_LOWER'].flatMap((auto_pad) => [
  conv(
    `with auto_pad ${auto_pad} and stride of symbolic image size`,
    [2, 3, 8, 7],
    [4, 3, 3, 2],
    { auto_pad, strides: [2, 3] },
    ['N', 3, 'H', 'W'],
  ),
  conv(
    `with auto_pad ${auto_pad}, stride and groups of one symbolic image axis`,
    [2, 4, 8, 6],
    [4, 2, 3, 3],
    { auto_pad, strides: [2, 2], group: 2 },
    ['N', 4, 8, 'W'],
  ),
  conv(
    `with auto_pad ${auto_pad} and a stride that skips, in one dimension`,
    [2, 3, 7],
    [4, 3, 1],
    { auto_pad, strides: [3] },
    ['N', 3, 'L'],
  ),
])

const SYMBOLIC_CHANNELS: readonly OperatorCase[] = [
  conv('of symbolic channels', [2, 3, 6, 5], [4, 3, 3, 3], { pads: [1, 1, 1, 1] }, ['N', 'C', 6, 5]),
  conv('of symbolic sizes throughout', [2, 3, 6, 5], [4, 3, 3, 3], { strides: [2, 1] }, ['N', 'C', 'H', 'W']),
  {
    ...conv('of symbolic sizes throughout with symbolic filters', [2, 3, 6, 5], [4, 3, 3, 3]),
    inputs: [
      real([2, 3, 6, 5], { as: ['N', 'C', 'H', 'W'] }),
      real([4, 3, 3, 3], { as: ['M', 'C', 3, 3] }),
      real([4], { as: ['M'] }),
    ],
  },
  {
    ...conv('with groups of symbolic channels', [2, 4, 6, 5], [6, 2, 3, 3], { group: 2, dilations: [2, 2] }),
    inputs: [
      real([2, 4, 6, 5], { as: ['N', 'C', 'H', 'W'] }),
      real([6, 2, 3, 3], { as: ['M', 'K', 3, 3] }),
      real([6], { as: ['M'] }),
    ],
  },
]
/** Kernels whose size only the data tells. */
const UNSIZED: readonly OperatorCase[] = [
  ...[
    conv('', [2, 3, 8, 7], [4, 3, 3, 2], { strides: [2, 3], pads: [1, 0, 2, 1] }),
    conv('', [2, 4, 8, 7], [6, 2, 3, 2], { dilations: [2, 1], group: 2 }),
    conv('', [2, 3, 8, 7], [4, 3, 3, 2], { strides: [2, 1], auto_pad: 'SAME_UPPER' }),
    conv('', [2, 3, 8, 7], [4, 3, 2, 4], { strides: [2, 3], auto_pad: 'SAME_LOWER' }),
    conv('', [2, 3, 8], [4, 3, 3], { auto_pad: 'VALID', strides: [2] }),
    transposed('', [2, 3, 4, 5], [3, 4, 3, 2], {
      strides: [2, 3],
      pads: [1, 0, 1, 1],
      output_padding: [1, 2],
    }),
    transposed('', [2, 4, 4, 5], [4, 3, 3, 3], { group: 2, dilations: [2, 1] }),
    transposed('', [2, 3, 4, 5], [3, 4, 3, 4], { strides: [2, 3], output_shape: [8, 13] }),
    transposed('', [2, 3, 4, 5], [3, 4, 3, 4], { strides: [2, 2], auto_pad: 'SAME_LOWER' }),
  ].map((test, i) => {
    const [x, w] = test.inputs.map((operand) => (operand.kind === 'parameter' ? operand.shape : []))
    const named = (name: string, shape: readonly number[]): string[] =>
      shape.map((_, axis) => `${name}${axis}`)
    return {
      ...test,
      title: `of symbolic kernel size, form ${i + 1}`,
      inputs: [real(x!, { as: named('x', x!) }), real(w!, { as: named('w', w!) })],
    }
  }),
]
export const CONVOLUTION_CASES: readonly OperatorCase[] = [
  ...ONE_DIMENSION,
  ...TWO_DIMENSIONS,
  ...SYMBOLIC,
  ...THREE_DIMENSIONS,
  ...ANY_SIZE,
  ...SYMBOLIC_CHANNELS,
  ...TRANSPOSED,
  ...UNSIZED,
  {
    ...conv('', [2, 3, 6, 5], [4, 3, 3, 3]),
    title: 'without bias',
    inputs: [real([2, 3, 6, 5]), real([4, 3, 3, 3])],
  },
]
