import { constant, ints, omitted, real, runtime } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'

function tile(title: string, x: Operand, repeats: Operand): OperatorCase {
  return { title, op: 'Tile', inputs: [x, repeats] }
}

const TILES: readonly OperatorCase[] = [
  tile('of both axes', real([2, 3]), ints([2, 3])),
  tile('of one axis', real([2, 3, 2]), ints([1, 2, 1])),
  tile('of no axis', real([2, 3]), ints([1, 1])),
  tile('of symbolic sizes', real([2, 3], { as: ['N', 'M'] }), ints([3, 2])),
  tile('as often as known at run time', real([2, 3], { as: ['N', 3] }), runtime([2, 3])),
]

function pad(title: string, mode: string, opset: number, x: Operand, ...rest: Operand[]): OperatorCase {
  return { title: `${title}, mode ${mode}`, op: 'Pad', inputs: [x, ...rest], attributes: { mode }, opset }
}

/** Forms that every mode has. */
const padded = (mode: string, opset: number): OperatorCase[] => [
  pad('of both axes', mode, opset, real([4, 5]), ints([2, 1, 3, 0])),
  pad('of no axis', mode, opset, real([4, 5]), ints([0, 0, 0, 0])),
  pad('of a named axis', mode, opset, real([2, 4, 5]), ints([2, 1]), omitted, ints([-2])),
  pad('of negative numbers', mode, opset, real([5, 6]), ints([-1, 2, 1, -2])),
  pad('of symbolic sizes', mode, opset, real([4, 5], { as: ['N', 'M'] }), ints([2, -1, 1, 3])),
  pad('of numbers known at run time', mode, opset, real([4, 5], { as: ['N', 'M'] }), runtime([2, -1, 1, 3])),
  pad('of axes known at run time', mode, opset, real([4, 5]), runtime([2, 1]), omitted, runtime([1])),
]

const PADS: readonly OperatorCase[] = [
  ...padded('constant', 18),
  ...padded('reflect', 18),
  ...padded('edge', 18),
  ...padded('wrap', 19),
  pad('with a constant value', 'constant', 21, real([3, 4]), ints([1, 1, 0, 2]), constant([3])),
  pad('with a value that is learned', 'constant', 25, real([3, 4]), ints([1, -1, 0, 2]), real([])),
  pad(
    'with a value that is learned, of a named axis',
    'constant',
    23,
    real([3, 4], { as: ['N', 'M'] }),
    ints([1, 2]),
    real([]),
    ints([0]),
  ),
  {
    title: 'in the form of opset 11',
    op: 'Pad',
    inputs: [real([3, 4]), ints([1, 0, 0, 2])],
    opset: 11,
    dtype: 'float32',
  },
  { title: 'in the form of opset 13', op: 'Pad', inputs: [real([3, 4]), ints([1, 0, 0, 2])], opset: 13 },
]

function centered(title: string, x: Operand, shape: Operand, axes?: readonly number[]): OperatorCase {
  return { title, op: 'CenterCropPad', inputs: [x, shape], ...(axes && { attributes: { axes } }) }
}

const CENTERED: readonly OperatorCase[] = [
  centered('of odd differences', real([5, 4]), ints([2, 7])),
  centered('of even differences', real([5, 4]), ints([7, 2])),
  centered('of a named axis', real([2, 5, 4]), ints([3]), [-2]),
  centered('of symbolic sizes', real([2, 5, 4], { as: ['N', 'H', 'W'] }), ints([8, 3]), [1, 2]),
  centered('to sizes known at run time', real([5, 4]), runtime([2, 7])),
]

function trilu(title: string, x: Operand, k: Operand = omitted, upper?: number): OperatorCase {
  return { title, op: 'Trilu', inputs: [x, k], ...(upper !== undefined && { attributes: { upper } }) }
}

const TRIANGLES: readonly OperatorCase[] = [
  trilu('by default', real([3, 4])),
  trilu('the lower part', real([4, 3]), omitted, 0),
  trilu('above a diagonal', real([2, 3, 4], { as: ['N', 'M', 'K'] }), ints([1], [])),
  trilu('below a diagonal known at run time', real([2, 4, 4]), runtime([-1], []), 0),
]

const REVERSED: readonly OperatorCase[] = [
  { title: 'by default', op: 'ReverseSequence', inputs: [real([4, 3]), ints([2, 4, 1])] },
  {
    title: 'of batches first, of symbolic sizes',
    op: 'ReverseSequence',
    inputs: [real([3, 4, 2], { as: ['N', 'T', 'D'] }), runtime([2, 4, 1])],
    attributes: { batch_axis: 0, time_axis: 1 },
  },
]

const BLOCKS: readonly OperatorCase[] = [
  { title: 'by default', op: 'DepthToSpace', inputs: [real([2, 8, 2, 3])], attributes: { blocksize: 2 } },
  {
    title: 'channels first',
    op: 'DepthToSpace',
    inputs: [real([2, 8, 2, 3])],
    attributes: { blocksize: 2, mode: 'CRD' },
  },
  {
    title: 'of symbolic sizes',
    op: 'DepthToSpace',
    inputs: [real([2, 9, 2, 3], { as: ['N', 'C', 'H', 'W'] })],
    attributes: { blocksize: 3, mode: 'DCR' },
  },
  {
    title: 'channels first, of symbolic sizes',
    op: 'DepthToSpace',
    inputs: [real([2, 8, 2, 3], { as: ['N', 'C', 'H', 'W'] })],
    attributes: { blocksize: 2, mode: 'CRD' },
  },
  { title: 'by default', op: 'SpaceToDepth', inputs: [real([2, 3, 4, 6])], attributes: { blocksize: 2 } },
  {
    title: 'of symbolic sizes',
    op: 'SpaceToDepth',
    inputs: [real([2, 2, 4, 6], { as: ['N', 'C', 'H', 'W'] })],
    attributes: { blocksize: 2 },
  },
]

function fold(
  title: string,
  x: Operand,
  image: Operand,
  block: Operand,
  attributes: Readonly<Record<string, readonly number[]>> = {},
): OperatorCase {
  return { title, op: 'Col2Im', inputs: [x, image, block], attributes, dtype: 'float32' }
}

const FOLDS: readonly OperatorCase[] = [
  fold('of blocks that overlap', real([2, 8, 6]), ints([3, 4]), ints([2, 2])),
  fold('of blocks side by side', real([2, 4, 6]), ints([4, 6]), ints([2, 2]), { strides: [2, 2] }),
  fold('with pads, strides and dilations', real([1, 12, 4]), ints([5, 6]), ints([2, 3]), {
    pads: [1, 0, 1, 2],
    strides: [2, 2],
    dilations: [3, 2],
  }),
  fold('of one axis', real([2, 6, 4]), ints([6]), ints([3])),
  fold('of three axes', real([1, 8, 4]), ints([2, 3, 3]), ints([2, 2, 2])),
  fold(
    'of symbolic sizes, everything known at run time',
    real([2, 8, 6], { as: ['N', 'K', 'L'] }),
    runtime([3, 4]),
    runtime([2, 2]),
  ),
]

const COUNTED: readonly OperatorCase[] = [
  {
    title: 'of a start, a limit and a step',
    op: 'Range',
    inputs: [real([], { low: 0, high: 0.1 }), constant([4.5]), real([], { low: 1, high: 1.02 })],
  },
  {
    title: 'backwards from a start that is learned',
    op: 'Range',
    inputs: [real([], { low: 0, high: 0.1 }), real([], { low: -4.6, high: -4.5 }), constant([-1])],
    dtype: 'float32',
  },
]

const BITS: readonly OperatorCase[] = [
  {
    title: 'to the same type',
    op: 'BitCast',
    inputs: [real([2, 3])],
    attributes: { to: 1 },
    opset: 26,
    dtype: 'float32',
  },
]

export const REARRANGING_CASES: readonly OperatorCase[] = [
  ...TILES,
  ...PADS,
  ...CENTERED,
  ...TRIANGLES,
  ...REVERSED,
  ...BLOCKS,
  ...FOLDS,
  ...COUNTED,
  ...BITS,
]
