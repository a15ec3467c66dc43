import type { Shape } from '../../../src/onnx/graph.js'
import { constant, ints, omitted, real, runtime } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'

const RESHAPES: readonly OperatorCase[] = [
  { title: 'to static sizes', op: 'Reshape', inputs: [real([3, 4]), ints([2, 6])] },
  { title: 'with -1', op: 'Reshape', inputs: [real([3, 4]), ints([-1, 2])] },
  { title: 'with 0, which keeps the size', op: 'Reshape', inputs: [real([3, 4]), ints([0, 2, 2])] },
  { title: 'of a symbolic batch', op: 'Reshape', inputs: [real([3, 4], { as: ['N', 4] }), ints([-1, 2])] },
  { title: 'of symbolic sizes', op: 'Reshape', inputs: [real([3, 4], { as: ['N', 'M'] }), ints([-1])] },
  { title: 'to sizes known at run time', op: 'Reshape', inputs: [real([3, 4]), runtime([6, 2])] },
  { title: 'to a scalar', op: 'Reshape', inputs: [real([1, 1]), ints([], [0])] },
  { title: 'by default', op: 'Flatten', inputs: [real([2, 3, 4])] },
  { title: 'at axis 0', op: 'Flatten', inputs: [real([2, 3, 4])], attributes: { axis: 0 } },
  { title: 'at a negative axis', op: 'Flatten', inputs: [real([2, 3, 4])], attributes: { axis: -1 } },
  { title: 'of symbolic sizes', op: 'Flatten', inputs: [real([2, 3, 4], { as: ['N', 'C', 'L'] })] },
  { title: 'of all axes of size 1', op: 'Squeeze', inputs: [real([1, 3, 1, 2])] },
  { title: 'of named axes', op: 'Squeeze', inputs: [real([1, 3, 1, 2]), ints([-2])] },
  {
    title: 'of symbolic sizes',
    op: 'Squeeze',
    inputs: [real([1, 3, 1], { as: ['A', 'N', 'B'] }), ints([2])],
  },
  { title: 'of unknown axes', op: 'Squeeze', inputs: [real([1, 3, 1], { as: ['A', 'N', 'B'] })] },
  { title: 'of named axes', op: 'Unsqueeze', inputs: [real([3, 2]), ints([0, -1])] },
  { title: 'of axes in any order', op: 'Unsqueeze', inputs: [real([3, 2]), ints([3, 1])] },
  { title: 'of symbolic sizes', op: 'Unsqueeze', inputs: [real([3, 2], { as: ['N', 'M'] }), ints([1])] },
  { title: 'of axes known at run time', op: 'Squeeze', inputs: [real([1, 3, 1, 2]), runtime([2])] },
  { title: 'of axes known at run time', op: 'Unsqueeze', inputs: [real([3, 2]), runtime([0, -1])] },
  { title: 'by default', op: 'Transpose', inputs: [real([2, 3, 4])] },
  { title: 'of three axes', op: 'Transpose', inputs: [real([2, 3, 4])], attributes: { perm: [1, 2, 0] } },
  {
    title: 'of symbolic sizes',
    op: 'Transpose',
    inputs: [real([2, 3, 4], { as: ['N', 'T', 'C'] })],
    attributes: { perm: [2, 0, 1] },
  },
  { title: 'of axes of size 1', op: 'Expand', inputs: [real([3, 1]), ints([2, 3, 4])] },
  { title: 'to a smaller shape', op: 'Expand', inputs: [real([2, 3, 4]), ints([3, 1])] },
  { title: 'of a scalar', op: 'Expand', inputs: [real([]), ints([2, 3])] },
  { title: 'of symbolic sizes', op: 'Expand', inputs: [real([3, 1], { as: ['N', 'K'] }), ints([2, 1, 4])] },
  {
    title: 'of symbolic sizes to a shape known at run time',
    op: 'Expand',
    inputs: [real([3, 1], { as: ['N', 'K'] }), runtime([2, 1, 4])],
  },
  { title: 'to a shape known at run time', op: 'Expand', inputs: [real([3, 1]), runtime([2, 1, 4])] },
]

function concat(title: string, axis: number, ...inputs: Operand[]): OperatorCase {
  return { title, op: 'Concat', inputs, attributes: { axis } }
}

function split(title: string, x: readonly number[], rest: Partial<OperatorCase>, as?: Shape): OperatorCase {
  return { title, op: 'Split', inputs: [real(x, { ...(as && { as }) })], ...rest }
}

const PARTS: readonly OperatorCase[] = [
  concat('along axis 0', 0, real([2, 3]), real([1, 3])),
  concat('along a negative axis', -1, real([2, 3]), real([2, 1]), real([2, 4])),
  concat('of one input', 0, real([2, 3])),
  concat('along a symbolic axis', 0, real([2, 3], { as: ['N', 3] }), real([4, 3], { as: ['M', 3] })),
  concat(
    'along a static axis of symbolic inputs',
    1,
    real([2, 3], { as: ['N', 3] }),
    real([2, 4], { as: ['N', 4] }),
  ),
  concat('of a parameter behind a constant', 1, constant([1, 2], [2, 1]), real([2, 3])),
  concat(
    'of a parameter between constants',
    -1,
    constant([1, 2], [2, 1]),
    real([2, 3], { as: ['N', 'M'] }),
    constant([1, 2], [2, 1]),
  ),
  concat(
    'of a parameter twice behind a constant',
    0,
    constant([1, 2, 3], [1, 3]),
    real([2, 3]),
    real([1, 3]),
  ),
  concat('of a symbolic and a static input', 0, real([2, 3], { as: ['N', 3] }), real([4, 3])),
  split('into equal parts', [6, 4], { outputs: 3, attributes: { num_outputs: 3 } }),
  split('into parts of which the last is smaller', [7, 4], { outputs: 3, attributes: { num_outputs: 3 } }),
  split('along a negative axis', [4, 6], { outputs: 2, attributes: { axis: -1, num_outputs: 2 } }),
  split('with an unused output', [6, 4], { outputs: 3, unused: [1], attributes: { num_outputs: 3 } }),
  split('with the first output unused', [6, 4], { outputs: 3, unused: [0], attributes: { num_outputs: 3 } }),
  split('with the last output alone used', [7, 4], {
    outputs: 3,
    unused: [0, 1],
    attributes: { num_outputs: 3 },
  }),
  split(
    'of a symbolic size into parts of which the last is smaller',
    [7, 4],
    { outputs: 3, attributes: { num_outputs: 3 } },
    ['N', 4],
  ),
  split(
    'of a symbolic size with one output used',
    [7, 4],
    {
      outputs: 3,
      unused: [0, 2],
      attributes: { num_outputs: 3 },
    },
    ['N', 4],
  ),
  {
    title: 'into sizes known at run time',
    op: 'Split',
    inputs: [real([4, 6], { as: ['N', 'M'] }), runtime([1, 3, 2])],
    outputs: 3,
    attributes: { axis: -1 },
  },
  {
    title: 'into sizes known at run time with one output used',
    op: 'Split',
    inputs: [real([4, 6], { as: ['N', 'M'] }), runtime([1, 3, 2])],
    outputs: 3,
    unused: [0, 2],
    attributes: { axis: 1 },
  },
  split('into equal parts in the form of opset 11', [6, 4], { outputs: 3, opset: 11, dtype: 'float32' }),
  split('into equal parts in the form of opset 13', [6, 4], { outputs: 3, opset: 13 }),
  split('of a symbolic size', [6, 4], { outputs: 2, unused: [1], attributes: { num_outputs: 2 } }, [
    'N',
    'M',
  ]),
  {
    title: 'into given sizes',
    op: 'Split',
    inputs: [real([4, 6]), ints([1, 3, 2])],
    outputs: 3,
    attributes: { axis: 1 },
  },
  {
    title: 'into given sizes with unused outputs and a symbolic batch',
    op: 'Split',
    inputs: [real([4, 6], { as: ['N', 6] }), ints([1, 3, 2])],
    outputs: 3,
    unused: [0, 2],
    attributes: { axis: 1 },
  },
]

const LAST = 2 ** 63

function slice(title: string, x: Operand, ...bounds: (readonly number[] | Operand)[]): OperatorCase {
  const inputs = bounds.map((bound): Operand => ('kind' in bound ? bound : ints(bound)))
  return { title, op: 'Slice', inputs: [x, ...inputs] }
}

const SLICES: readonly OperatorCase[] = [
  slice('with starts and ends', real([5, 6]), [1, 2], [4, 5]),
  slice('of a named axis', real([5, 6]), [1], [4], [1]),
  slice('of a negative axis', real([5, 6]), [1], [4], [-1]),
  slice('with negative bounds', real([5, 6]), [-4], [-1], [0]),
  slice('to the largest integer', real([5, 6]), [2], [LAST - 1024], [1]),
  slice('from the smallest integer', real([5, 6]), [-LAST], [3], [1]),
  slice('of the whole axis', real([5, 6]), [0], [LAST - 1024], [1]),
  slice('with steps', real([7, 6]), [0, 1], [7, 6], [0, 1], [3, 2]),
  slice('with a negative step', real([5, 6]), [LAST - 1024], [-LAST], [1], [-1]),
  slice('with a negative step of 2', real([5, 6]), [4, 5], [0, -6], [0, 1], [-2, -2]),
  slice('with axes omitted and steps', real([7, 6]), [1], [7], omitted, [2]),
  slice('of a symbolic axis', real([5, 6], { as: ['N', 'M'] }), [1], [LAST - 1024], [1]),
  slice('of a whole symbolic axis', real([5, 6], { as: ['N', 'M'] }), [0], [LAST - 1024], [1]),
  slice('of a symbolic axis from its end', real([5, 6], { as: ['N', 'M'] }), [-2], [LAST - 1024], [0]),
  slice('of a static axis beside a symbolic one', real([5, 6], { as: ['N', 6] }), [1], [3], [1]),
  slice(
    'of a symbolic axis with a negative step',
    real([5, 6], { as: ['N', 'M'] }),
    [-1],
    [-LAST],
    [0],
    [-1],
  ),
  slice(
    'of the last element of a symbolic axis',
    real([5, 6, 2], { as: ['N', 'T', 'D'] }),
    [-1],
    [LAST - 1024],
    [1],
  ),
  slice('of the first elements of a symbolic axis', real([5, 6], { as: ['N', 'M'] }), [0], [2], [1]),
  slice('from beyond the start of a symbolic axis', real([5, 6], { as: ['N', 'M'] }), [-9], [3], [1]),
  slice('beyond the end of symbolic axes', real([5, 6], { as: ['N', 'M'] }), [2, 1], [9, -1]),
  slice('of nothing of a symbolic axis', real([5, 6], { as: ['N', 'M'] }), [4, 0], [2, 3]),
  slice('of nothing backwards', real([5, 6], { as: ['N', 'M'] }), [1], [3], [0], [-1]),
  slice(
    'of symbolic axes with steps',
    real([7, 6], { as: ['N', 'M'] }),
    [1, 0],
    [LAST - 1024, 6],
    [0, 1],
    [3, 2],
  ),
  slice(
    'of symbolic axes with negative steps',
    real([7, 6], { as: ['N', 'M'] }),
    [-2, LAST - 1024],
    [-LAST, 1],
    [0, 1],
    [-2, -3],
  ),
  slice(
    'of axes in any order with different steps',
    real([4, 7, 6], { as: ['N', 7, 6] }),
    [5, 0, 1],
    [0, 7, 3],
    [2, 1, 0],
    [-2, 3, 1],
  ),
  slice('with an end known at run time', real([5, 6], { as: ['N', 'M'] }), [1, 0], runtime([-1, 4])),
  slice(
    'with a start known at run time',
    real([5, 6], { as: ['N', 'M'] }),
    runtime([-3]),
    [LAST - 1024],
    [1],
  ),
  slice('backwards with bounds known at run time', real([5, 6]), runtime([-2]), runtime([0]), [1], [-2]),
  slice('with axes known at run time', real([5, 6], { as: ['N', 'M'] }), [1], [3], runtime([1])),
  slice('with bounds known at run time', real([5, 6]), runtime([1]), runtime([4]), [1]),
  slice(
    'with everything known at run time',
    real([5, 6]),
    runtime([4]),
    runtime([0]),
    runtime([1]),
    runtime([-2]),
  ),
]

const CASTS: readonly OperatorCase[] = [
  { title: 'to float32', op: 'Cast', inputs: [real([3, 4])], attributes: { to: 1 }, dtype: 'float32' },
  { title: 'to float64', op: 'Cast', inputs: [real([3, 4], { as: ['N', 'M'] })], attributes: { to: 11 } },
]

export const LAYOUT_CASES: readonly OperatorCase[] = [...RESHAPES, ...PARTS, ...SLICES, ...CASTS]
