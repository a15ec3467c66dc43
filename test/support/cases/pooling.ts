import type { AttributeValue } from '../../../src/onnx/attributes.js'
import type { Shape } from '../../../src/onnx/graph.js'
import { real, spaced } from '../operator-case.js'
import type { OperatorCase } from '../operator-case.js'

type Attributes = Readonly<Record<string, AttributeValue>>

function maxPool(title: string, x: readonly number[], attributes: Attributes, as?: Shape): OperatorCase {
  return { title, op: 'MaxPool', inputs: [spaced(x, as)], attributes }
}

const MAXIMA: readonly OperatorCase[] = [
  {
    ...maxPool('that tiles the image', [2, 3, 6, 4], { kernel_shape: [2, 2], strides: [2, 2] }),
    dtype: 'float32',
  },
  {
    ...maxPool('that tiles a symbolic batch', [2, 3, 6, 4], { kernel_shape: [3, 2], strides: [3, 2] }, [
      'N',
      3,
      6,
      4,
    ]),
    dtype: 'float32',
  },
  maxPool('that tiles the image in float64', [2, 3, 6, 4], { kernel_shape: [2, 2], strides: [2, 2] }),
  maxPool('that leaves odd rows over', [2, 3, 7, 5], { kernel_shape: [2, 2], strides: [2, 2] }),
  maxPool('of overlapping windows', [2, 3, 7, 5], { kernel_shape: [3, 3], strides: [2, 2] }),
  maxPool('of stride 1 by default', [2, 3, 5, 4], { kernel_shape: [2, 3] }),
  maxPool('with padding', [2, 3, 7, 6], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }),
  {
    ...maxPool('with padding and windows side by side', [2, 3, 6, 4], {
      kernel_shape: [2, 2],
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    }),
    dtype: 'float32',
  },
  maxPool('with asymmetrical padding', [2, 3, 6, 6], { kernel_shape: [3, 2], pads: [1, 0, 0, 1] }),
  maxPool('with ceil_mode', [2, 3, 6, 7], { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }),
  maxPool('with ceil_mode and windows apart', [2, 3, 7, 5], {
    kernel_shape: [2, 2],
    strides: [2, 2],
    ceil_mode: 1,
  }),
  maxPool('with dilation', [2, 3, 7, 6], { kernel_shape: [2, 3], dilations: [3, 2], strides: [1, 1] }),
  maxPool('with windows apart', [2, 3, 8, 7], { kernel_shape: [2, 2], strides: [3, 3] }),
  maxPool('with auto_pad SAME_UPPER', [2, 3, 7, 6], {
    kernel_shape: [3, 2],
    strides: [2, 2],
    auto_pad: 'SAME_UPPER',
  }),
  maxPool('in one dimension', [2, 3, 9], { kernel_shape: [3], strides: [2] }),
  maxPool('in three dimensions', [1, 2, 4, 5, 4], { kernel_shape: [2, 3, 2], strides: [2, 1, 2] }),
  maxPool('of symbolic image size', [2, 3, 7, 6], { kernel_shape: [2, 2], strides: [2, 2] }, [
    'N',
    3,
    'H',
    'W',
  ]),
  maxPool(
    'of symbolic image size with ceil_mode',
    [2, 3, 7, 6],
    { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 },
    ['N', 3, 'H', 'W'],
  ),
  maxPool(
    'of symbolic image size with auto_pad',
    [2, 3, 7, 6],
    { kernel_shape: [3, 3], strides: [2, 2], auto_pad: 'SAME_LOWER' },
    ['N', 3, 'H', 'W'],
  ),
]

function averagePool(
  title: string,
  x: readonly number[],
  attributes: Attributes,
  rest: { readonly as?: Shape; readonly opset?: number } = {},
): OperatorCase {
  const { as, ...opset } = rest
  const inputs = [real(x, { ...(as && { as }) })]
  return { title, op: 'AveragePool', inputs, attributes, dtype: 'float32', step: 0.25, ...opset }
}

const overlapping = { kernel_shape: [3, 3], strides: [2, 2] }

const AVERAGES: readonly OperatorCase[] = [
  averagePool('that tiles the image', [2, 3, 6, 4], { kernel_shape: [2, 2], strides: [2, 2] }),
  averagePool('that leaves odd rows over', [2, 3, 7, 5], { kernel_shape: [2, 2], strides: [2, 2] }),
  averagePool('of overlapping windows', [2, 3, 7, 6], overlapping),
  averagePool('of stride 1 by default', [2, 3, 5, 4], { kernel_shape: [2, 3] }),
  averagePool('in one dimension', [2, 3, 9], { kernel_shape: [3], strides: [2], pads: [1, 1] }),
  averagePool('in three dimensions', [1, 2, 4, 5, 4], { kernel_shape: [2, 3, 2], strides: [2, 1, 2] }),
  averagePool('with auto_pad SAME_UPPER', [2, 3, 7, 6], { ...overlapping, auto_pad: 'SAME_UPPER' }),
  averagePool('with auto_pad SAME_LOWER', [2, 3, 7, 6], { ...overlapping, auto_pad: 'SAME_LOWER' }),
  averagePool(
    'with a symbolic batch',
    [2, 3, 7, 6],
    { ...overlapping, pads: [1, 1, 1, 1] },
    { as: ['N', 3, 7, 6] },
  ),
  averagePool('of symbolic image size', [2, 3, 8, 6], overlapping, { as: ['N', 3, 'H', 'W'] }),
  averagePool(
    'of symbolic image size with counted padding',
    [2, 3, 8, 6],
    { ...overlapping, pads: [1, 0, 1, 1], count_include_pad: 1 },
    { as: ['N', 'C', 'H', 'W'] },
  ),
  averagePool(
    'with dilation',
    [2, 3, 8, 7],
    { kernel_shape: [2, 3], dilations: [3, 2], pads: [1, 1, 1, 1] },
    { opset: 19 },
  ),
  ...[0, 1].flatMap((count_include_pad) => [
    averagePool(`with padding, count_include_pad ${count_include_pad}`, [2, 3, 7, 6], {
      ...overlapping,
      pads: [1, 1, 1, 1],
      count_include_pad,
    }),
    averagePool(`with asymmetrical padding, count_include_pad ${count_include_pad}`, [2, 3, 7, 6], {
      ...overlapping,
      pads: [0, 1, 2, 0],
      count_include_pad,
    }),
    averagePool(`with ceil_mode, count_include_pad ${count_include_pad}`, [2, 3, 8, 6], {
      ...overlapping,
      ceil_mode: 1,
      count_include_pad,
    }),
    ...[18, 19].map((opset) =>
      averagePool(
        `with ceil_mode and padding, count_include_pad ${count_include_pad}, opset ${opset}`,
        [2, 3, 8, 7],
        { ...overlapping, pads: [1, 1, 1, 1], ceil_mode: 1, count_include_pad },
        { opset },
      ),
    ),
  ]),
]

const GLOBAL: readonly OperatorCase[] = [
  [[2, 3, 5, 4], undefined] as const,
  [[2, 3, 7], undefined] as const,
  [
    [2, 3, 5, 4],
    ['N', 3, 'H', 'W'],
  ] as const,
].map(([shape, as]) => ({
  title: as === undefined ? `of rank ${shape.length}` : 'of symbolic image size',
  op: 'GlobalAveragePool',
  inputs: [real(shape, { ...(as && { as }) })],
  dtype: 'float32',
  step: 0.25,
}))

export const POOLING_CASES: readonly OperatorCase[] = [...MAXIMA, ...AVERAGES, ...GLOBAL]
