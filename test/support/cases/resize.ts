import type { AttributeValue } from '../../../src/onnx/attributes.js'
import type { Shape } from '../../../src/onnx/graph.js'
import { constant, ints, omitted, real, runtime } from '../operator-case.js'
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
export const RESIZE_CASES: readonly OperatorCase[] = [...NEAREST, ...SMOOTH, ...OTHER_FORMS]
