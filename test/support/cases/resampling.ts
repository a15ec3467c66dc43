import type { AttributeValue } from '../../../src/onnx/attributes.js'
import type { Shape } from '../../../src/onnx/graph.js'
import { elementCount } from '../../../src/tensor.js'
import { constant, given, ints, omitted, real, runtime } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'

type Attributes = Readonly<Record<string, AttributeValue>>

/** Linear, without a float64 kernel, so that central differences are exact for any step. */
const exact = { dtype: 'float32', step: 0.25 } as const

interface Sizes {
  readonly scales?: Operand
  readonly sizes?: Operand
  readonly roi?: Operand
  readonly as?: Shape
  readonly opset?: number
}

function resize(
  title: string,
  shape: readonly number[],
  attributes: Attributes,
  { scales = omitted, sizes = omitted, roi = omitted, as, opset }: Sizes,
): OperatorCase {
  const image = real(shape, { ...(as && { as }) })
  const inputs = sizes === omitted ? [image, roi, scales] : [image, roi, scales, sizes]
  return { title, op: 'Resize', inputs, attributes, ...exact, ...(opset !== undefined && { opset }) }
}

const scales = (...values: number[]): Operand => constant(values, [values.length])

const TRANSFORMATIONS = ['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric']

const NEAREST: readonly OperatorCase[] = [
  ...['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'].flatMap((nearest_mode) =>
    TRANSFORMATIONS.map((coordinate_transformation_mode) =>
      resize(
        `to other sizes, nearest ${nearest_mode}, ${coordinate_transformation_mode}`,
        [2, 3, 4, 5],
        { mode: 'nearest', nearest_mode, coordinate_transformation_mode },
        { sizes: ints([2, 3, 7, 3]) },
      ),
    ),
  ),
  ...[
    ['asymmetric', 'floor'],
    ['half_pixel', 'round_prefer_floor'],
    ['half_pixel', 'round_prefer_ceil'],
    ['half_pixel', 'floor'],
    ['pytorch_half_pixel', 'round_prefer_floor'],
    ['align_corners', 'floor'],
  ].map(([coordinate_transformation_mode, nearest_mode]) =>
    resize(
      `twice and three times as large, nearest ${nearest_mode}, ${coordinate_transformation_mode}`,
      [2, 3, 4, 5],
      {
        mode: 'nearest',
        nearest_mode: nearest_mode!,
        coordinate_transformation_mode: coordinate_transformation_mode!,
      },
      { scales: scales(1, 1, 2, 3) },
    ),
  ),
  resize('twice as large, nearest by default', [2, 3, 4, 5], {}, { sizes: ints([2, 3, 8, 10]) }),
  resize(
    'of symbolic sizes, twice as large, nearest',
    [2, 3, 4, 5],
    { coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
    {
      scales: scales(1, 1, 2, 2),
      as: ['N', 'C', 'H', 'W'],
    },
  ),
  resize('of batch and channels, nearest', [2, 3, 4, 5], {}, { sizes: ints([4, 2, 8, 5]) }),
  resize('twice as many channels, nearest', [2, 3, 4, 5], {}, { scales: scales(1, 2, 1, 2) }),
  resize('in one dimension, nearest', [2, 3, 4], {}, { sizes: ints([2, 3, 7]) }),
  resize('in one dimension, twice as large, nearest', [2, 3, 4], {}, { scales: scales(1, 1, 2) }),
  resize('in three dimensions, nearest', [1, 2, 3, 4, 3], {}, { sizes: ints([1, 2, 5, 3, 6]) }),
  resize('of a matrix, nearest', [4, 5], {}, { sizes: ints([7, 4]) }),
]

const SMOOTH: readonly OperatorCase[] = ['linear', 'cubic'].flatMap((mode) => [
  ...TRANSFORMATIONS.flatMap((coordinate_transformation_mode) => [
    resize(
      `to other sizes, ${mode}, ${coordinate_transformation_mode}`,
      [2, 3, 4, 5],
      { mode, coordinate_transformation_mode },
      {
        sizes: ints([2, 3, 7, 3]),
      },
    ),
    resize(
      `by scales, ${mode}, ${coordinate_transformation_mode}`,
      [2, 3, 4, 5],
      { mode, coordinate_transformation_mode },
      {
        scales: scales(1, 1, 1.7, 0.7),
      },
    ),
    resize(
      `of symbolic sizes, ${mode}, ${coordinate_transformation_mode}`,
      [2, 3, 4, 5],
      { mode, coordinate_transformation_mode },
      { scales: scales(1, 1, 1.6, 2), as: ['N', 'C', 'H', 'W'] },
    ),
    resize(
      `to sizes that are given at run time, ${mode}, ${coordinate_transformation_mode}`,
      [2, 3, 4, 5],
      { mode, coordinate_transformation_mode },
      { sizes: runtime([2, 3, 3, 9]), as: ['N', 3, 'H', 'W'] },
    ),
  ]),
  resize(`of a matrix, ${mode}`, [4, 5], { mode }, { sizes: ints([7, 4]) }),
  resize(
    `with half_pixel_symmetric, ${mode}`,
    [2, 3, 4, 5],
    { mode, coordinate_transformation_mode: 'half_pixel_symmetric' },
    {
      scales: scales(1, 1, 1.7, 0.7),
      opset: 19,
    },
  ),
  resize(`with antialias, ${mode}`, [2, 3, 8, 9], { mode, antialias: 1 }, { sizes: ints([2, 3, 3, 4]) }),
  resize(
    `with antialias of symbolic sizes, ${mode}`,
    [2, 3, 8, 9],
    { mode, antialias: 1 },
    {
      scales: scales(1, 1, 0.4, 0.5),
      as: ['N', 3, 'H', 'W'],
    },
  ),
  resize(
    `with antialias and align_corners, ${mode}`,
    [2, 3, 8, 9],
    { mode, antialias: 1, coordinate_transformation_mode: 'align_corners' },
    { sizes: ints([2, 3, 3, 12]) },
  ),
  resize(
    `with antialias and exclude_outside, ${mode}`,
    [2, 3, 8, 9],
    { mode, antialias: 1, exclude_outside: 1 },
    { sizes: ints([2, 3, 3, 12]) },
  ),
  resize(`with axes, ${mode}`, [2, 3, 4, 5], { mode, axes: [2, 3] }, { sizes: ints([7, 3]) }),
  resize(
    `with negative axes in another order, ${mode}`,
    [2, 3, 4, 5],
    { mode, axes: [-1, 2] },
    { scales: scales(1.5, 2.3) },
  ),
  resize(
    `with one axis, ${mode}`,
    [2, 3, 4, 5],
    { mode, axes: [3] },
    { sizes: ints([8]), as: ['N', 3, 4, 'W'] },
  ),
  resize(
    `cropped, ${mode}`,
    [2, 3, 6, 7],
    { mode, coordinate_transformation_mode: 'tf_crop_and_resize' },
    {
      roi: scales(0, 0, 0.2, 0.1, 1, 1, 0.7, 0.8),
      sizes: ints([2, 3, 5, 9]),
    },
  ),
  resize(
    `cropped beyond the image, ${mode}`,
    [2, 3, 6, 7],
    { mode, coordinate_transformation_mode: 'tf_crop_and_resize', extrapolation_value: { float: 3 } },
    { roi: scales(0, 0, -0.3, 0.4, 1, 1, 0.7, 1.5), sizes: ints([2, 3, 6, 7]) },
  ),
  ...['not_larger', 'not_smaller'].flatMap((keep_aspect_ratio_policy) => [
    resize(
      `with policy ${keep_aspect_ratio_policy}, ${mode}`,
      [2, 3, 4, 6],
      { mode, keep_aspect_ratio_policy, axes: [2, 3] },
      {
        sizes: ints([7, 8]),
      },
    ),
    resize(
      `with policy ${keep_aspect_ratio_policy} of symbolic sizes, ${mode}`,
      [2, 3, 4, 6],
      { mode, keep_aspect_ratio_policy, axes: [2, 3] },
      {
        sizes: runtime([3, 4]),
        as: ['N', 3, 'H', 'W'],
      },
    ),
  ]),
])

const OTHER_FORMS: readonly OperatorCase[] = [
  resize(
    'with exclude_outside, cubic',
    [2, 3, 4, 5],
    { mode: 'cubic', exclude_outside: 1 },
    { sizes: ints([2, 3, 7, 8]) },
  ),
  resize(
    'in three dimensions, linear',
    [1, 2, 3, 4, 3],
    { mode: 'linear' },
    { sizes: ints([1, 2, 5, 3, 6]) },
  ),
  resize('of channels last, linear', [2, 4, 5, 3], { mode: 'linear' }, { sizes: ints([2, 7, 3, 3]) }),
  resize('in one dimension, linear', [2, 3, 4], { mode: 'linear' }, { sizes: ints([2, 3, 7]) }),
  resize(
    'cropped, nearest',
    [2, 3, 6, 7],
    { coordinate_transformation_mode: 'tf_crop_and_resize' },
    {
      roi: scales(0, 0, 0.2, 0.1, 1, 1, 0.7, 0.8),
      sizes: ints([2, 3, 5, 9]),
    },
  ),
  resize(
    'cubic with another coefficient',
    [2, 3, 4, 5],
    { mode: 'cubic', cubic_coeff_a: { float: -0.5 } },
    {
      sizes: ints([2, 3, 7, 8]),
    },
  ),
  resize(
    'as written in opset 11, by scales',
    [2, 3, 4, 5],
    { mode: 'linear' },
    {
      roi: scales(),
      scales: scales(1, 1, 2, 1.5),
      opset: 11,
    },
  ),
  resize(
    'as written in opset 11, to sizes',
    [2, 3, 4, 5],
    { mode: 'linear', coordinate_transformation_mode: 'align_corners' },
    {
      roi: scales(),
      scales: scales(),
      sizes: ints([2, 3, 8, 7]),
      opset: 11,
    },
  ),
  resize(
    'as written in opset 11 by tf_half_pixel_for_nn',
    [2, 3, 4, 5],
    { coordinate_transformation_mode: 'tf_half_pixel_for_nn' },
    {
      roi: scales(),
      scales: scales(1, 1, 2, 1.5),
      opset: 11,
    },
  ),
  resize('in opset 13', [2, 3, 4, 5], { mode: 'cubic' }, { sizes: ints([2, 3, 8, 7]), opset: 13 }),
]

/** Numbers from -2 to `reach` + 2 of which none is near a whole or a half one, where samples change their pixels. */
function betweenPixels(i: number, reach: number): number {
  const golden = (i * 0.618034) % 1
  return Math.floor(golden * (reach + 4)) - 2 + (i % 2 === 0 ? 0.1 : 0.6) + 0.3 * ((i * 0.754877) % 1)
}

/** Coordinates of samples of an image of given sizes, the last axis first; some lie beyond the border. */
function grid(shape: readonly number[], image: readonly number[], align: number, as?: Shape): Operand {
  const values = Array.from({ length: elementCount(shape) }, (_, i) => {
    const size = image.at(-1 - (i % image.length))!
    const place = betweenPixels(i, size)
    return align === 1 ? (2 * place) / Math.max(1, size - 1) - 1 : (2 * place + 1) / size - 1
  })
  return given(values, shape, as)
}

const PADDINGS = ['zeros', 'border', 'reflection']

const PLANES: readonly OperatorCase[] = ['linear', 'nearest', 'cubic'].flatMap((mode) =>
  PADDINGS.flatMap((padding_mode) =>
    [0, 1].map((align_corners) => ({
      title: `of planes, ${mode}, ${padding_mode}, align_corners ${align_corners}`,
      op: 'GridSample',
      inputs: [real([2, 3, 4, 5]), grid([2, 3, 7, 2], [4, 5], align_corners)],
      attributes: { mode, padding_mode, align_corners },
      opset: 20,
    })),
  ),
)

const VOLUMES: readonly OperatorCase[] = ['linear', 'nearest'].flatMap((mode) =>
  PADDINGS.map((padding_mode) => ({
    title: `of volumes, ${mode}, ${padding_mode}`,
    op: 'GridSample',
    inputs: [real([2, 2, 3, 4, 3]), grid([2, 2, 3, 2, 3], [3, 4, 3], 0)],
    attributes: { mode, padding_mode },
    opset: 20,
  })),
)

const GRIDS: readonly OperatorCase[] = [
  ...PLANES,
  ...VOLUMES,
  ...['bilinear', 'nearest', 'bicubic'].map((mode): OperatorCase => ({
    title: `as written in opset 16, ${mode}`,
    op: 'GridSample',
    inputs: [real([2, 3, 4, 5]), constant([0.31, -0.22, 0.83, 0.55, -0.71, 0.14, -1.3, 0.4], [2, 2, 1, 2])],
    attributes: { mode },
    ...exact,
  })),
  ...PADDINGS.map((padding_mode): OperatorCase => ({
    title: `of symbolic sizes, ${padding_mode}`,
    op: 'GridSample',
    inputs: [
      real([2, 3, 4, 5], { as: ['N', 'C', 'H', 'W'] }),
      grid([2, 3, 7, 2], [4, 5], 0, ['N', 'P', 'Q', 2]),
    ],
    attributes: { padding_mode },
    opset: 22,
  })),
  {
    title: 'of one pixel, reflection',
    op: 'GridSample',
    inputs: [real([2, 3, 1, 1]), grid([2, 3, 2, 2], [1, 1], 1)],
    attributes: { padding_mode: 'reflection', align_corners: 1 },
    opset: 20,
  },
]

const AFFINE: readonly OperatorCase[] = [0, 1].flatMap((align_corners) => [
  {
    title: `of planes, align_corners ${align_corners}`,
    op: 'AffineGrid',
    inputs: [real([2, 2, 3]), ints([2, 3, 4, 5])],
    attributes: { align_corners },
    opset: 20,
  },
  {
    title: `of volumes, align_corners ${align_corners}`,
    op: 'AffineGrid',
    inputs: [real([2, 3, 4], { as: ['N', 3, 4] }), ints([2, 3, 4, 2, 3])],
    attributes: { align_corners },
    opset: 20,
  },
  {
    title: `of a size that is given at run time, align_corners ${align_corners}`,
    op: 'AffineGrid',
    inputs: [real([2, 2, 3]), runtime([2, 3, 4, 5], [4])],
    attributes: { align_corners },
    opset: 20,
  },
])

interface Deformation {
  readonly x: readonly number[]
  readonly w: readonly number[]
  readonly output: readonly number[]
  readonly as?: Shape
  readonly attributes?: Attributes & { readonly offset_group?: number }
  readonly rest?: readonly ('bias' | 'mask')[]
}

function deformed(
  title: string,
  { x, w, output, as, attributes = {}, rest = ['bias', 'mask'] }: Deformation,
): OperatorCase {
  const taps = (attributes.offset_group ?? 1) * w[2]! * w[3]!
  const shape = [x[0]!, 2 * taps, ...output]
  const moves = Array.from({ length: elementCount(shape) }, (_, i) => betweenPixels(i, -1))
  const offsets = given(moves, shape, as && ['N', 2 * taps, 'P', 'Q'])
  const bias = rest.includes('bias') ? real([w[0]!]) : omitted
  const mask = rest.includes('mask') ? [real([x[0]!, taps, ...output])] : []
  const inputs = [real(x, { ...(as && { as }) }), real(w), offsets, bias, ...mask]
  return { title, op: 'DeformConv', inputs, attributes, opset: 19 }
}

const DEFORMED: readonly OperatorCase[] = [
  deformed('of offsets alone', { x: [2, 2, 5, 4], w: [3, 2, 3, 2], output: [3, 3], rest: [] }),
  deformed('with bias and mask', { x: [2, 2, 5, 4], w: [3, 2, 2, 2], output: [4, 3] }),
  deformed('with padding, stride and dilation', {
    x: [2, 2, 7, 6],
    w: [3, 2, 3, 2],
    output: [3, 3],
    attributes: { strides: [2, 2], pads: [1, 0, 1, 1], dilations: [2, 1] },
  }),
  deformed('with groups', { x: [2, 4, 5, 4], w: [6, 2, 2, 2], output: [4, 3], attributes: { group: 2 } }),
  deformed('with groups of offsets', {
    x: [2, 4, 5, 4],
    w: [4, 4, 2, 2],
    output: [4, 3],
    attributes: { offset_group: 2 },
  }),
  deformed('of symbolic sizes', {
    x: [2, 4, 5, 4],
    w: [4, 2, 3, 3],
    output: [5, 4],
    as: ['N', 4, 'H', 'W'],
    attributes: { group: 2, offset_group: 4, pads: [1, 1, 1, 1] },
  }),
  { ...deformed('in opset 22', { x: [2, 2, 5, 4], w: [3, 2, 2, 2], output: [4, 3] }), opset: 22 },
]

export const RESAMPLING_CASES: readonly OperatorCase[] = [
  ...NEAREST,
  ...SMOOTH,
  ...OTHER_FORMS,
  ...GRIDS,
  ...AFFINE,
  ...DEFORMED,
]
