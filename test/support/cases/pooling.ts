import type { AttributeValue } from '../../../src/onnx/attributes.js'
import type { Shape } from '../../../src/onnx/graph.js'
import { ints, real, spaced } from '../operator-case.js'
import type { OperatorCase } from '../operator-case.js'
import { REGION_CASES } from './regions.js'

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

const anySize = { as: ['N', 'C', 'H', 'W'] } as const

const AVERAGES_OF_ANY_SIZE: readonly OperatorCase[] = [0, 1].flatMap((count_include_pad) => [
  ...['SAME_UPPER', 'SAME_LOWER'].map((auto_pad) =>
    averagePool(
      `of symbolic image size with auto_pad ${auto_pad}, count_include_pad ${count_include_pad}`,
      [2, 3, 8, 7],
      { kernel_shape: [3, 4], strides: [2, 3], auto_pad, count_include_pad },
      anySize,
    ),
  ),
  averagePool(
    `of symbolic image size with padding, count_include_pad ${count_include_pad}`,
    [2, 3, 7, 6],
    { ...overlapping, pads: [1, 0, 2, 1], count_include_pad },
    anySize,
  ),
  averagePool(
    `of symbolic image size with ceil_mode, count_include_pad ${count_include_pad}`,
    [2, 3, 8, 7],
    { ...overlapping, ceil_mode: 1, count_include_pad },
    anySize,
  ),
  averagePool(
    `of symbolic image size with ceil_mode, dilation and padding, count_include_pad ${count_include_pad}`,
    [2, 3, 9, 8],
    { ...overlapping, pads: [1, 1, 0, 1], ceil_mode: 1, dilations: [2, 1], count_include_pad },
    { ...anySize, opset: 19 },
  ),
  averagePool(
    `of symbolic length with ceil_mode, count_include_pad ${count_include_pad}`,
    [2, 3, 8],
    { kernel_shape: [3], strides: [2], pads: [1, 1], ceil_mode: 1, count_include_pad },
    { as: ['N', 3, 'L'] },
  ),
])

const WHOLE_IMAGES: readonly (readonly [shape: readonly number[], as?: Shape])[] = [
  [[2, 3, 5, 4]],
  [[2, 3, 7]],
  [[2, 3, 2, 3, 2]],
  [
    [2, 3, 5, 4],
    ['N', 'C', 'H', 'W'],
  ],
]

const GLOBAL: readonly OperatorCase[] = WHOLE_IMAGES.flatMap(([shape, as]) => {
  const title = as === undefined ? `of rank ${shape.length}` : 'of symbolic sizes'
  const drawn = real(shape, { off: [0], ...(as && { as }) })
  return [
    { title, op: 'GlobalAveragePool', inputs: [drawn], dtype: 'float32', step: 0.25 },
    { title, op: 'GlobalMaxPool', inputs: [spaced(shape, as)], dtype: 'float32' },
    ...[1, 2, 3].map((p): OperatorCase => ({
      title: `${title} with p ${p}`,
      op: 'GlobalLpPool',
      inputs: [drawn],
      attributes: { p },
      dtype: 'float32',
      ...(p === 1 && { step: 2 ** -6 }),
    })),
  ]
})

function normPool(title: string, x: readonly number[], attributes: Attributes, as?: Shape): OperatorCase {
  const inputs = [real(x, { off: [0], ...(as && { as }) })]
  return { title, op: 'LpPool', inputs, attributes, dtype: 'float32' }
}

const NORMS: readonly OperatorCase[] = [
  ...[1, 2, 3, 4].map((p) => normPool(`with p ${p}`, [2, 3, 7, 5], { ...overlapping, p })),
  normPool('with p 2 by default and padding', [2, 3, 7, 6], { ...overlapping, pads: [1, 1, 1, 0] }),
  normPool('with dilation', [2, 3, 7, 6], { kernel_shape: [2, 3], dilations: [3, 2] }),
  normPool('with ceil_mode', [2, 3, 8, 6], { ...overlapping, ceil_mode: 1 }),
  normPool('with auto_pad SAME_LOWER', [2, 3, 7, 6], { ...overlapping, auto_pad: 'SAME_LOWER' }),
  normPool('of symbolic sizes with auto_pad', [2, 3, 8, 6], { ...overlapping, auto_pad: 'SAME_UPPER' }, [
    'N',
    'C',
    'H',
    'W',
  ]),
  normPool('of symbolic sizes with ceil_mode', [2, 3, 8, 7], { ...overlapping, ceil_mode: 1 }, [
    'N',
    'C',
    'H',
    'W',
  ]),
  normPool('in one dimension', [2, 3, 9], { kernel_shape: [3], strides: [2] }),
  normPool('in three dimensions', [1, 2, 4, 5, 4], { kernel_shape: [2, 3, 2], strides: [2, 1, 2] }),
]

const MORE_MAXIMA: readonly OperatorCase[] = [
  maxPool('with storage_order 1', [2, 3, 7, 5], { ...overlapping, storage_order: 1 }),
  maxPool(
    'with storage_order 1 of symbolic sizes',
    [2, 3, 7, 5],
    { kernel_shape: [2, 2], strides: [2, 2], storage_order: 1 },
    ['N', 'C', 'H', 'W'],
  ),
  maxPool(
    'with dilation, padding and stride of symbolic sizes',
    [2, 3, 9, 8],
    { kernel_shape: [3, 2], dilations: [2, 3], pads: [1, 1, 1, 1], strides: [2, 2] },
    ['N', 'C', 'H', 'W'],
  ),
  maxPool('with dilation and ceil_mode', [2, 3, 9, 8], {
    kernel_shape: [2, 2],
    dilations: [2, 3],
    strides: [2, 2],
    ceil_mode: 1,
  }),
  maxPool('with auto_pad SAME_LOWER and overlap', [2, 3, 8, 7], { ...overlapping, auto_pad: 'SAME_LOWER' }),
  maxPool('with auto_pad VALID', [2, 3, 8, 7], { ...overlapping, auto_pad: 'VALID' }),
  maxPool('in three dimensions with padding', [1, 2, 4, 5, 4], {
    kernel_shape: [3, 3, 3],
    strides: [2, 2, 2],
    pads: [1, 1, 1, 1, 1, 1],
  }),
  { ...maxPool('in opset 22', [2, 3, 7, 5], overlapping), opset: 22 },
]

/** Where the elements of a pooled [2, 1, 2, 2] stand in [2, 1, 4, 4]. */
const unpooled = ints([0, 3, 9, 14, 17, 22, 24, 31], [2, 1, 2, 2])
const doubled = { kernel_shape: [2, 2], strides: [2, 2] }

const UNPOOLING: readonly OperatorCase[] = [
  { title: 'of a tiled image', op: 'MaxUnpool', inputs: [real([2, 1, 2, 2]), unpooled], attributes: doubled },
  {
    title: 'of symbolic sizes',
    op: 'MaxUnpool',
    inputs: [real([2, 1, 2, 2], { as: ['N', 'C', 'H', 'W'] }), unpooled],
    attributes: doubled,
  },
  {
    title: 'with a shape that is asked for',
    op: 'MaxUnpool',
    inputs: [real([2, 1, 2, 2]), unpooled, ints([2, 1, 5, 5])],
    attributes: doubled,
  },
  {
    title: 'with overlapping windows and padding, in one dimension',
    op: 'MaxUnpool',
    inputs: [real([1, 2, 3]), ints([0, 2, 3, 5, 8, 9], [1, 2, 3])],
    attributes: { kernel_shape: [3], strides: [2], pads: [1, 1] },
  },
  {
    title: 'in opset 22',
    op: 'MaxUnpool',
    inputs: [real([2, 1, 2, 2]), unpooled],
    attributes: doubled,
    opset: 22,
  },
].map((test) => ({ ...test, dtype: 'float32', step: 0.25 }))
export const POOLING_CASES: readonly OperatorCase[] = [
  ...MAXIMA,
  ...MORE_MAXIMA,
  ...UNPOOLING,
  ...REGION_CASES,
  ...AVERAGES,
  ...AVERAGES_OF_ANY_SIZE,
  ...NORMS,
  ...GLOBAL,
]
