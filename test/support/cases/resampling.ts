import type { AttributeValue } from '../../../src/onnx/attributes.js'
import type { Shape } from '../../../src/onnx/graph.js'
import { elementCount } from '../../../src/tensor.js'
import { constant, given, ints, omitted, real, runtime } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'
import { RESIZE_CASES } from './resize.js'

type Attributes = Readonly<Record<string, AttributeValue>>

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
    dtype: 'float32',
    step: 0.25,
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
export const RESAMPLING_CASES: readonly OperatorCase[] = [...RESIZE_CASES, ...GRIDS, ...AFFINE, ...DEFORMED]
