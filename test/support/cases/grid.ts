import type { Shape } from '../../../src/onnx/graph.js'
import { ints, real } from '../operator-case.js'
import type { Draw, Operand, OperatorCase } from '../operator-case.js'

const PADDINGS = ['zeros', 'border', 'reflection']

/** Places on an image of 5 x 4 pixels that no step of the differences carries over a pixel's centre or edge. */
function places(shape: readonly number[], as?: Shape): Operand {
  const values = (random: { uniform: (count: number, low: number, high: number) => number[] }): number[] => {
    const count = shape.reduce((product, size) => product * size, 1)
    return random.uniform(count, -1.4, 1.4).map(offPixels)
  }
  return { kind: 'parameter', shape, values, ...(as && { as }) }
}

/** The middle of the nearest eighth part of a pixel, whichever of both sizes and conventions counts. */
function offPixels(value: number): number {
  const steps = [3, 4, 5].flatMap((size) =>
    [-3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7].flatMap((i) => [i, i + 0.5].map((at) => (2 * at) / size - 1)),
  )
  const kink = steps.find((at) => Math.abs(value - at) < 0.03)
  return kink === undefined ? value : kink + 0.03
}

const GRIDS = ['linear', 'nearest', 'cubic'].flatMap((mode) =>
  PADDINGS.flatMap((padding) =>
    [0, 1].map((align): OperatorCase => ({
      title: `${mode}, padding by ${padding}, align_corners ${align}`,
      op: 'GridSample',
      opset: 20,
      inputs: [real([2, 3, 5, 4]), places([2, 3, 2, 2])],
      attributes: { mode, padding_mode: padding, align_corners: align },
    })),
  ),
)

const OTHERS: readonly OperatorCase[] = [
  ...['bilinear', 'nearest', 'bicubic'].map((mode): OperatorCase => ({
    title: `${mode} of opset 16`,
    op: 'GridSample',
    inputs: [real([2, 3, 5, 4]), places([2, 3, 2, 2])],
    attributes: { mode },
  })),
  {
    title: 'with default attributes',
    op: 'GridSample',
    inputs: [real([1, 2, 5, 4]), places([1, 3, 2, 2])],
  },
  ...PADDINGS.map((padding): OperatorCase => ({
    title: `of three image axes, padding by ${padding}`,
    op: 'GridSample',
    opset: 20,
    inputs: [real([1, 2, 5, 4, 3]), places([1, 2, 2, 1, 3])],
    attributes: { padding_mode: padding },
  })),
  {
    title: 'of symbolic sizes',
    op: 'GridSample',
    inputs: [real([2, 3, 5, 4], { as: ['N', 3, 'H', 'W'] }), places([2, 3, 2, 2], ['N', 'P', 'Q', 2])],
    attributes: { padding_mode: 'reflection' },
  },
]

const affine = (
  title: string,
  theta: readonly number[],
  size: readonly number[],
  align: number,
  draw: Draw = {},
): OperatorCase => ({
  title,
  op: 'AffineGrid',
  opset: 20,
  inputs: [real(theta, draw), ints(size)],
  attributes: { align_corners: align },
})

const AFFINE: readonly OperatorCase[] = [0, 1].flatMap((align) => [
  affine(`of two axes, align_corners ${align}`, [2, 2, 3], [2, 3, 4, 5], align),
  affine(`of three axes, align_corners ${align}`, [2, 3, 4], [2, 3, 4, 5, 2], align),
  affine(`of a symbolic batch, align_corners ${align}`, [2, 2, 3], [2, 3, 4, 5], align, { as: ['N', 2, 3] }),
])

/** ONNX Runtime computes GridSample in float32. */
export const GRID_CASES: readonly OperatorCase[] = [
  ...[...GRIDS, ...OTHERS].map((one): OperatorCase => ({ ...one, dtype: 'float32', step: 2 ** -8 })),
  ...AFFINE,
]
