import type { Graph } from '../../../src/onnx/graph.js'
import { node, tensor } from '../graphs.js'
import { constant, real } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'
import { bodyOf, carrying } from './bodies.js'

const zeros = (count: number, shape: readonly number[]): Operand =>
  constant(
    Array.from({ length: count }, () => 0),
    shape,
  )

/** h' = tanh(x W + h R + b): captured matrices and bias. */
function recurrence(names: readonly string[], captures: number): Graph {
  const [w, r, b] = names.slice(captures)
  return bodyOf(
    ['h', 'x'],
    ['h_next', 'y'],
    [
      node('MatMul', ['x', w!], 'xw'),
      node('MatMul', ['h', r!], 'hr'),
      node('Add', ['xw', 'hr'], 'both'),
      node('Add', ['both', b!], 'biased'),
      node('Tanh', ['biased'], 'h_next'),
      node('Mul', ['h_next', 'h_next'], 'y'),
    ],
  )
}

const small = { low: -0.7, high: 0.7 }
const weights = [real([3, 4], small), real([4, 4], small), real([4], small)]
const scanned = (inputs: number): { readonly num_scan_inputs: number } => ({ num_scan_inputs: inputs })

const symbolicH = real([2, 4], { as: ['N', 4] })
const symbolicX = real([5, 2, 3], { as: ['T', 'N', 3] })

export const SCAN_CASES: readonly OperatorCase[] = [
  {
    title: 'of a recurrence with captured weights',
    op: 'Scan',
    inputs: [real([2, 4]), real([5, 2, 3])],
    captures: weights,
    graphs: (names) => ({ body: recurrence(names, 2) }),
    attributes: scanned(1),
    outputs: 2,
  },
  {
    title: 'of symbolic length and batch',
    op: 'Scan',
    inputs: [symbolicH, symbolicX],
    captures: weights,
    graphs: (names) => ({ body: recurrence(names, 2) }),
    attributes: scanned(1),
    outputs: 2,
  },
  {
    title: 'in the other direction',
    op: 'Scan',
    inputs: [symbolicH, symbolicX],
    captures: weights,
    graphs: (names) => ({ body: recurrence(names, 2) }),
    attributes: { ...scanned(1), scan_input_directions: [1], scan_output_directions: [1] },
    outputs: 2,
  },
  {
    title: 'reading backwards and writing forwards, of which only the states count',
    op: 'Scan',
    inputs: [symbolicH, symbolicX],
    captures: weights,
    graphs: (names) => ({ body: recurrence(names, 2) }),
    attributes: { ...scanned(1), scan_input_directions: [1] },
    outputs: 2,
    unused: [1],
  },
  {
    title: 'along other axes, of which only the stacked values count',
    op: 'Scan',
    inputs: [real([2, 4], { as: ['N', 4] }), real([2, 5, 3], { as: ['N', 'T', 3] })],
    captures: weights,
    graphs: (names) => ({ body: recurrence(names, 2) }),
    attributes: { ...scanned(1), scan_input_axes: [-2], scan_output_axes: [1] },
    outputs: 2,
    unused: [0],
  },
  {
    title: 'whose state starts as a constant and becomes active',
    op: 'Scan',
    inputs: [zeros(8, [2, 4]), real([5, 2, 3])],
    captures: weights,
    graphs: (names) => ({ body: recurrence(names, 2) }),
    attributes: scanned(1),
    outputs: 2,
  },
  {
    title: 'of which only the states count, without a stacked output',
    op: 'Scan',
    inputs: [real([3]), real([4, 3])],
    graphs: () => ({
      body: bodyOf(['s', 'x'], ['s_next'], [node('Mul', ['s', 'x'], 'p'), node('Sin', ['p'], 's_next')]),
    }),
    attributes: scanned(1),
  },
  {
    title: 'with two states that change places and two scanned inputs',
    op: 'Scan',
    inputs: [real([3]), real([3]), real([4, 3]), real([3, 4])],
    graphs: () => ({
      body: bodyOf(
        ['a', 'b', 'x', 'z'],
        ['b_next', 'a_next', 'sum', 'product'],
        [
          node('Identity', ['b'], 'b_next'),
          node('Mul', ['a', 'x'], 'a_next'),
          node('Add', ['a', 'z'], 'sum'),
          node('Mul', ['b', 'z'], 'product'),
        ],
      ),
    }),
    attributes: {
      ...scanned(2),
      scan_input_axes: [0, 1],
      scan_output_axes: [0, 1],
      scan_output_directions: [1, 0],
    },
    outputs: 4,
  },
  {
    title: 'that only adds up what it captures',
    op: 'Scan',
    inputs: [real([3]), real([4, 2])],
    captures: [real([3]), real([])],
    graphs: (names) => ({
      body: bodyOf(
        ['s', 'x'],
        ['s_next'],
        [node('Mul', [names[2]!, names[3]!], 'p'), node('Add', ['s', 'p'], 's_next')],
      ),
    }),
    attributes: scanned(1),
  },
  {
    title: 'whose state passes unchanged, and one that is not read',
    op: 'Scan',
    inputs: [real([3]), real([2]), real([4, 3])],
    graphs: () => ({
      body: bodyOf(
        ['s', 'u', 'x'],
        ['s_same', 'u_next', 'y'],
        [node('Identity', ['s'], 's_same'), node('Mul', ['s', 'x'], 'y')],
        { u_next: tensor('float64', [2], [1, 2]) },
      ),
    }),
    attributes: scanned(1),
    outputs: 3,
  },
  {
    title: 'of integers beside reals',
    op: 'Scan',
    inputs: [real([3]), { kind: 'constant', dtype: 'int64', shape: [], values: [0] }, real([4, 3])],
    graphs: () => ({
      body: bodyOf(
        ['s', 'i', 'x'],
        ['s_next', 'i_next', 'y'],
        [
          node('Add', ['i', 'one'], 'i_next'),
          node('Cast', ['i'], 'factor', { to: 11 }),
          node('Mul', ['s', 'factor'], 'scaled'),
          node('Add', ['scaled', 'x'], 's_next'),
          node('Exp', ['s'], 'y'),
        ],
        { one: tensor('int64', [], [1]) },
      ),
    }),
    attributes: scanned(1),
    outputs: 3,
    unused: [1],
  },
  {
    title: 'in a Scan',
    op: 'Scan',
    inputs: [symbolicH, real([3, 5, 2, 3], { as: ['S', 'T', 'N', 3] })],
    captures: weights,
    graphs: (names) => ({
      body: bodyOf(
        ['h0', 'xs'],
        ['h_out', 'last'],
        [
          carrying(node('Scan', ['h0', 'xs'], ['h_in', 'ys'], scanned(1)), { body: recurrence(names, 2) }),
          node('Mul', ['h_in', 'h0'], 'h_out'),
          node('ReduceSum', ['ys', 'first'], 'last', { keepdims: 0 }),
        ],
        { first: tensor('int64', [1], [0]) },
      ),
    }),
    attributes: scanned(1),
    outputs: 2,
  },
]
