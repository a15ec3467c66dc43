import type { Shape } from '../../../src/onnx/graph.js'
import { bools, constant, ints, omitted, real, spaced } from '../operator-case.js'
import type { Draw, Operand, OperatorCase } from '../operator-case.js'

/** A way in which two shapes broadcast; `as` declares them with symbols. */
interface Form {
  readonly title: string
  readonly a: readonly number[]
  readonly b: readonly number[]
  readonly asA?: Shape
  readonly asB?: Shape
}

const FORMS: readonly Form[] = [
  { title: 'of equal shapes', a: [3, 4], b: [3, 4] },
  { title: 'of equal symbolic shapes', a: [3, 4], b: [3, 4], asA: ['N', 'M'], asB: ['N', 'M'] },
  { title: 'with a scalar on the right', a: [3, 4], b: [] },
  { title: 'with a scalar on the left', a: [], b: [3, 4] },
  { title: 'with one element on the right', a: [3, 4], b: [1] },
  { title: 'with a row that lacks the leading axis', a: [2, 3, 4], b: [4] },
  { title: 'with a row of rank 2', a: [3, 4], b: [1, 4] },
  { title: 'with a column', a: [3, 4], b: [3, 1] },
  { title: 'with both sides repeated', a: [3, 1], b: [1, 4] },
  { title: 'with both sides repeated over leading axes', a: [2, 1, 4], b: [3, 1] },
  { title: 'with a symbolic batch and a static row', a: [3, 4], b: [4], asA: ['N', 4] },
  { title: 'with a symbolic batch and a row of rank 2', a: [3, 4], b: [1, 4], asA: ['N', 4] },
  { title: 'with a symbolic size against a number', a: [3, 4], b: [3, 4], asA: ['N', 'M'] },
  { title: 'with a symbol that turns out to be 1', a: [3, 4], b: [1, 4], asA: ['N', 4], asB: ['K', 4] },
  { title: 'with a static side against a symbol that is 1', a: [3, 4], b: [3, 1], asB: [3, 'K'] },
  {
    title: 'with symbols that lack the leading axis',
    a: [2, 3, 4],
    b: [3, 1],
    asA: ['N', 'T', 'C'],
    asB: ['S', 'K'],
  },
]

function pairs(op: string, a: Draw = {}, b: Draw = {}): OperatorCase[] {
  return FORMS.map((form) => ({
    title: form.title,
    op,
    inputs: [
      real(form.a, { ...a, ...(form.asA && { as: form.asA }) }),
      real(form.b, { ...b, ...(form.asB && { as: form.asB }) }),
    ],
  }))
}

/** Inputs of which the extreme is taken: no two of all their elements are equal. */
function apart(shapes: readonly { shape: readonly number[]; as?: Shape }[]): Operand[] {
  return shapes.map(({ shape, as }, i) => {
    const operand = spaced(shape, as)
    if (operand.kind !== 'parameter') return operand
    return { ...operand, values: (random) => operand.values(random).map((value) => value + i * 0.08) }
  })
}

function extremes(op: string): OperatorCase[] {
  return [
    ...FORMS.map((form) => ({
      title: form.title,
      op,
      inputs: apart([
        { shape: form.a, ...(form.asA && { as: form.asA }) },
        { shape: form.b, ...(form.asB && { as: form.asB }) },
      ]),
    })),
    { title: 'of three inputs', op, inputs: apart([{ shape: [3, 4] }, { shape: [4] }, { shape: [3, 1] }]) },
    { title: 'of one input', op, inputs: [spaced([3, 4])] },
  ]
}

function several(op: string): OperatorCase[] {
  return [
    ...pairs(op),
    { title: 'of three inputs', op, inputs: [real([3, 4]), real([4]), real([3, 1])] },
    { title: 'of one input', op, inputs: [real([3, 4])] },
  ]
}

function inSingle(cases: readonly OperatorCase[]): OperatorCase[] {
  return cases.map((test) => ({ ...test, dtype: 'float32' }))
}

const POWERS: readonly OperatorCase[] = [
  { title: 'with constant exponent 2', op: 'Pow', inputs: [real([3, 4]), constant([2])] },
  { title: 'with constant exponent 3', op: 'Pow', inputs: [real([3, 4]), constant([3])] },
  { title: 'with integer exponent 2', op: 'Pow', inputs: [real([3, 4]), ints([2], [])] },
  { title: 'with constant exponent 0', op: 'Pow', inputs: [real([3, 4]), constant([0])] },
  { title: 'with constant exponent 1', op: 'Pow', inputs: [real([3, 4]), constant([1])] },
  { title: 'with constant exponent -2', op: 'Pow', inputs: [real([3, 4], { low: 0.5 }), constant([-2])] },
  { title: 'with constant exponent 0.5', op: 'Pow', inputs: [real([3, 4], { low: 0.5 }), constant([0.5])] },
  {
    title: 'with a row of constant exponents',
    op: 'Pow',
    inputs: [real([3, 4], { low: 0.5 }), constant([0, 1, 2.5, -1], [4])],
  },
  { title: 'of a constant base', op: 'Pow', inputs: [constant([2]), real([3, 4])] },
]

const SELECTIONS: readonly OperatorCase[] = [
  {
    title: 'of equal shapes',
    op: 'Where',
    inputs: [bools([1, 0, 0, 1, 1, 0], [2, 3]), real([2, 3]), real([2, 3])],
  },
  {
    title: 'with a repeated condition and scalar branch',
    op: 'Where',
    inputs: [bools([1, 0, 1], [3]), real([2, 3]), real([])],
  },
  {
    title: 'with all three repeated',
    op: 'Where',
    inputs: [bools([1, 0], [2, 1, 1]), real([3, 1]), real([4])],
  },
  {
    title: 'of symbolic shapes',
    op: 'Where',
    inputs: [bools([1, 0, 1], [3]), real([2, 3], { as: ['N', 'M'] }), real([2, 1], { as: ['N', 'K'] })],
  },
  {
    title: 'with a constant branch',
    op: 'Where',
    inputs: [bools([1, 0, 1], [3]), real([2, 3]), constant([-1])],
  },
]

const single = { dtype: 'float32' } as const

const PRELUS: readonly OperatorCase[] = [
  { title: 'with one slope', op: 'PRelu', inputs: [real([2, 3, 4], { off: [0] }), real([1])], ...single },
  {
    title: 'with a slope for every channel',
    op: 'PRelu',
    inputs: [real([2, 3, 4], { off: [0] }), real([3, 1])],
    ...single,
  },
  {
    title: 'of symbolic shape',
    op: 'PRelu',
    inputs: [real([2, 3, 4], { off: [0], as: ['N', 3, 'L'] }), real([3, 1])],
    ...single,
  },
]

export const BROADCASTING_CASES: readonly OperatorCase[] = [
  ...pairs('Add'),
  ...pairs('Sub'),
  ...pairs('Mul'),
  ...pairs('Div', {}, { low: 0.5 }),
  ...pairs('Pow', { low: 0.5 }),
  ...POWERS,
  ...several('Sum'),
  ...inSingle(several('Mean')),
  ...extremes('Max'),
  ...extremes('Min'),
  ...SELECTIONS,
  ...PRELUS,
  { title: 'to float64', op: 'CastLike', inputs: [real([3, 4]), constant([0])] },
  { title: 'like a value that is differentiated', op: 'CastLike', inputs: [real([3, 4]), real([2])] },
  { title: 'of all inputs but the last omitted', op: 'Clip', inputs: [real([3]), omitted, omitted] },
]
