import type { Shape } from '../../../src/onnx/graph.js'
import { bools, ints, omitted, real, runtime, spaced } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'

function gather(title: string, x: Operand, indices: Operand, axis?: number): OperatorCase {
  return { title, op: 'Gather', inputs: [x, indices], ...(axis !== undefined && { attributes: { axis } }) }
}

/** Indices of more than one dimension, known when the graph runs. */
const table = (values: readonly number[], shape: readonly number[]): Operand => runtime(values, shape)

const GATHERS: readonly OperatorCase[] = [
  gather('of rows in any order, some twice', real([5, 3]), runtime([3, 0, 3, 1])),
  gather('of negative indices', real([5, 3]), runtime([-1, 2, -5, 4])),
  gather('of a table of indices', real([5, 3]), table([3, 0, 3, 1, -1, 0], [2, 3])),
  gather(
    'of a table of indices from a symbolic axis',
    real([5, 3], { as: ['V', 'D'] }),
    table([3, 0, 3, 1], [2, 2]),
  ),
  gather('of single numbers', real([6]), table([3, 0, 3, 1], [2, 2])),
  gather('of single numbers from a symbolic axis', real([6], { as: ['N'] }), runtime([3, 0, 3, -1])),
  gather('along the last axis', real([2, 5]), runtime([3, 0, 3, -1]), -1),
  gather('along the last axis by a table', real([2, 5], { as: ['N', 5] }), table([3, 0, 3, -1], [2, 2]), 1),
  gather('along the last but one axis', real([2, 5, 3]), runtime([3, 0, 3, -1]), 1),
  gather(
    'along the last but one axis by a table',
    real([2, 5, 3], { as: ['N', 5, 3] }),
    table([3, 0, 3, 1], [2, 2]),
    -2,
  ),
  gather('along an axis in the middle', real([2, 4, 3, 2]), table([3, 0, 3, -1], [2, 2]), 1),
  gather('along axis 0 of rank 4', real([4, 2, 3, 2]), runtime([3, 0, 3])),
  gather('of many rows', real([300, 2]), runtime([299, 0, 299, 123, -300])),
  gather('of a constant index', real([5, 3]), ints([2], []), 0),
  gather('of the last of a symbolic axis', real([2, 5, 3], { as: ['N', 'T', 3] }), ints([-1], []), 1),
  gather('of the second of a symbolic axis', real([2, 5], { as: ['N', 'T'] }), ints([1], []), 1),
  gather('of an index known at run time', real([2, 5, 3]), table([3], []), 1),
  gather('of a negative index known at run time', real([2, 5], { as: ['N', 'T'] }), table([-2], []), 1),
  gather('of neighbouring constant indices', real([5, 3]), ints([1, 2, 3])),
  gather(
    'of neighbouring constant indices from the end',
    real([2, 5], { as: ['N', 'T'] }),
    ints([-3, -2]),
    1,
  ),
  gather('of constant indices around the end', real([5, 2]), ints([-1, 0, 1])),
  gather('of a constant permutation', real([2, 4]), ints([2, 0, -1, 1]), 1),
  gather('of distinct constant indices', real([2, 5]), ints([4, 1]), 1),
  gather('of a constant table', real([6, 2]), ints([4, 1, 0, 4], [2, 2])),
  gather('of a constant table of distinct indices', real([6, 2]), ints([4, 1, 0, 5], [2, 2])),
]

function elements(title: string, x: Operand, indices: Operand, axis = 0): OperatorCase {
  return { title, op: 'GatherElements', inputs: [x, indices], attributes: { axis } }
}

const ELEMENTS: readonly OperatorCase[] = [
  elements('along axis 0', real([3, 2]), table([2, 0, 1, -1, 1, 0], [3, 2])),
  elements('along the last axis, of fewer rows', real([4, 3]), ints([2, 2, 0, -3], [2, 2]), -1),
  elements('of symbolic sizes', real([3, 4], { as: ['N', 'M'] }), table([3, 3, 0, 1, 1, 1], [3, 2]), 1),
]

function gatherNd(title: string, x: Operand, indices: Operand, batch?: number): OperatorCase {
  return { title, op: 'GatherND', inputs: [x, indices], ...(batch && { attributes: { batch_dims: batch } }) }
}

const TUPLES: readonly OperatorCase[] = [
  gatherNd('of elements', real([3, 4]), table([0, 1, 2, -1, 0, 1], [3, 2])),
  gatherNd('of rows', real([3, 4]), table([2, -3, 2, 1], [2, 2, 1])),
  gatherNd('of symbolic sizes', real([3, 4, 2], { as: ['N', 'M', 'K'] }), table([2, 1, 2, 1, 0, -4], [3, 2])),
  gatherNd('in batches', real([2, 3, 4]), table([2, 0, -3, 0], [2, 2, 1]), 1),
  gatherNd(
    'in symbolic batches',
    real([2, 3, 4], { as: ['N', 3, 4] }),
    table([2, 1, 0, 0, 1, -1, 2, 1], [2, 2, 2]),
    1,
  ),
  gatherNd(
    'in batches of two axes',
    real([2, 2, 3], { as: ['N', 'M', 3] }),
    table([2, 0, 1, 1], [2, 2, 1]),
    2,
  ),
]

const REDUCTIONS = ['none', 'add', 'mul', 'min', 'max'] as const

function scatters(op: string, title: string, inputs: readonly Operand[], axis?: number): OperatorCase[] {
  return REDUCTIONS.map((reduction) => ({
    title: `${title}, reduction ${reduction}`,
    op,
    inputs,
    attributes: { reduction, ...(axis !== undefined && { axis }) },
  }))
}

/** Elements of two operands of which no two are closer than 1/4. */
function apart(x: readonly number[], updates: readonly number[], as?: Shape): [Operand, Operand] {
  const [odd, even] = [spaced(x, as), spaced(updates)]
  if (odd.kind !== 'parameter' || even.kind !== 'parameter') throw new TypeError('spaced gives parameters')
  return [odd, { ...even, values: (random) => even.values(random).map((value) => value + 1 / 8) }]
}

const SCATTERS: readonly OperatorCase[] = [
  ...[apart([4, 3], [2, 3])].flatMap(([x, u]) =>
    scatters('ScatterElements', 'along axis 0', [x, table([2, 0, -1, 0, 3, 1], [2, 3]), u]),
  ),
  ...[apart([3, 5], [2, 2], ['N', 'M'])].flatMap(([x, u]) =>
    scatters('ScatterElements', 'of symbolic sizes', [x, ints([4, 0, -3, 1], [2, 2]), u], 1),
  ),
  ...[apart([4, 3], [3, 3])].flatMap(([x, u]) =>
    scatters('ScatterND', 'of rows', [x, table([2, 0, -1], [3, 1]), u]),
  ),
  ...[apart([3, 4], [3], ['N', 'M'])].flatMap(([x, u]) =>
    scatters('ScatterND', 'of elements of symbolic sizes', [x, ints([2, 0, 1, -1, 0, 2], [3, 2]), u]),
  ),
  ...REDUCTIONS.slice(1).flatMap((reduction) =>
    [apart([4, 2], [3, 2])].flatMap(([x, u]): OperatorCase[] => [
      {
        title: `of places named twice, reduction ${reduction}`,
        op: 'ScatterElements',
        inputs: [x, table([1, 0, 1, 0, -1, -4], [3, 2]), u],
        attributes: { reduction },
      },
      {
        title: `of places named twice, reduction ${reduction}`,
        op: 'ScatterND',
        inputs: [x, table([1, 1, -3], [3, 1]), u],
        attributes: { reduction },
      },
    ]),
  ),
  {
    title: 'of zeros among the factors of a place',
    op: 'ScatterElements',
    inputs: [real([3]), ints([0, 0, 0, 1, 1, 2]), zerosAt([6], [1, 3, 4])],
    attributes: { reduction: 'mul' },
  },
  {
    title: 'of opset 16',
    op: 'ScatterElements',
    inputs: [real([3]), ints([0, 0, 2]), real([3])],
    attributes: { reduction: 'add' },
    opset: 16,
  },
  {
    title: 'of opset 11',
    op: 'ScatterElements',
    inputs: [real([3]), ints([0, 2]), real([2])],
    opset: 11,
    dtype: 'float32',
  },
  {
    title: 'of opset 11',
    op: 'ScatterND',
    inputs: [real([3]), ints([0, 2], [2, 1]), real([2])],
    opset: 11,
    dtype: 'float32',
  },
]

/** Real numbers, exactly 0 at some places. */
function zerosAt(shape: readonly number[], places: readonly number[]): Operand {
  const drawn = real(shape)
  if (drawn.kind !== 'parameter') throw new TypeError('real gives parameters')
  return {
    ...drawn,
    values: (random) => drawn.values(random).map((value, i) => (places.includes(i) ? 0 : value)),
  }
}

const CACHES: readonly OperatorCase[] = [
  {
    title: 'from the start',
    op: 'TensorScatter',
    inputs: [real([2, 4, 3]), real([2, 2, 3]), omitted],
    opset: 24,
  },
  {
    title: 'at write indices',
    op: 'TensorScatter',
    inputs: [real([2, 2, 4, 3]), real([2, 2, 2, 3]), runtime([2, 0])],
    opset: 24,
  },
  {
    title: 'in a circle, of symbolic sizes',
    op: 'TensorScatter',
    inputs: [
      real([2, 4, 3], { as: ['N', 'T', 'D'] }),
      real([2, 3, 3], { as: ['N', 'S', 'D'] }),
      runtime([3, 1]),
    ],
    attributes: { mode: 'circular', axis: 1 },
    opset: 26,
  },
]

const CHOICES: readonly OperatorCase[] = [
  { title: 'by default', op: 'TopK', inputs: [spaced([3, 5]), ints([2])], outputs: 2, unused: [1] },
  {
    title: 'the smallest, unsorted',
    op: 'TopK',
    inputs: [spaced([4, 3]), ints([2])],
    outputs: 2,
    unused: [1],
    attributes: { axis: 0, largest: 0, sorted: 0 },
  },
  {
    title: 'of symbolic sizes, as many as known at run time',
    op: 'TopK',
    inputs: [spaced([2, 4, 3], ['N', 'M', 'K']), runtime([3])],
    outputs: 2,
    unused: [1],
    attributes: { axis: -2 },
    opset: 24,
  },
  { title: 'sorted', op: 'Unique', inputs: [spaced([2, 3])], attributes: { sorted: 1 } },
  {
    title: 'unsorted, of symbolic sizes',
    op: 'Unique',
    inputs: [spaced([2, 3], ['N', 'M'])],
    attributes: { sorted: 0 },
  },
  {
    title: 'along an axis, with all outputs',
    op: 'Unique',
    inputs: [spaced([3, 4], ['N', 4])],
    outputs: 4,
    unused: [1, 2, 3],
    attributes: { axis: 1 },
  },
  {
    title: 'of rows',
    op: 'Compress',
    inputs: [real([3, 2]), bools([1, 0, 1], [3])],
    attributes: { axis: 0 },
  },
  {
    title: 'along a symbolic axis, by fewer conditions',
    op: 'Compress',
    inputs: [real([2, 4], { as: ['N', 'M'] }), bools([0, 1, 1], [3])],
    attributes: { axis: -1 },
  },
  { title: 'of all elements', op: 'Compress', inputs: [real([2, 3]), bools([0, 1, 1, 0, 1], [5])] },
  {
    title: 'with values that are learned',
    op: 'OneHot',
    inputs: [runtime([0, 2, -1, 7]), ints([3]), real([2])],
    dtype: 'float32',
  },
  {
    title: 'along axis 0',
    op: 'OneHot',
    inputs: [table([0, 2, 1, 1], [2, 2]), ints([3]), real([2])],
    attributes: { axis: 0 },
    dtype: 'float32',
  },
]

export const INDEXING_CASES: readonly OperatorCase[] = [
  ...GATHERS,
  ...ELEMENTS,
  ...TUPLES,
  ...SCATTERS,
  ...CACHES,
  ...CHOICES,
]
