import { constant, omitted, real } from '../operator-case.js'
import type { Draw, OperatorCase } from '../operator-case.js'

/** A smooth or piecewise operator of one input on a 3 x 4 array, static and with symbolic sizes. */
function unary(
  op: string,
  draw: Draw = {},
  rest: Pick<OperatorCase, 'attributes' | 'dtype'> = {},
): OperatorCase[] {
  return [
    { title: 'of static shape', op, inputs: [real([3, 4], draw)], ...rest },
    { title: 'of symbolic shape', op, inputs: [real([3, 4], { ...draw, as: ['N', 'M'] })], ...rest },
  ]
}

const single = { dtype: 'float32' } as const

export const ELEMENTWISE_CASES: readonly OperatorCase[] = [
  ...unary('Identity'),
  ...unary('Neg'),
  ...unary('Abs', { off: [0] }),
  ...unary('Exp'),
  ...unary('Log', { low: 0.3 }),
  ...unary('Sqrt', { low: 0.3 }),
  ...unary('Reciprocal', { low: 0.5 }),
  ...unary('Sin'),
  ...unary('Cos'),
  ...unary('Tan', { low: -1, high: 1 }, single),
  ...unary('Asin', { low: -0.7, high: 0.7 }, single),
  ...unary('Acos', { low: -0.7, high: 0.7 }, single),
  ...unary('Atan', {}, single),
  ...unary('Sinh', {}, single),
  ...unary('Cosh', {}, single),
  ...unary('Asinh', {}, single),
  ...unary('Acosh', { low: 1.5, high: 3 }, single),
  ...unary('Atanh', { low: -0.7, high: 0.7 }, single),
  ...unary('Tanh'),
  ...unary('Sigmoid'),
  ...unary('Relu', { off: [0] }),
  ...unary('Softplus', {}, single),
  ...unary('Softsign', {}, single),
  ...unary('Erf', {}, single),
  ...unary('LeakyRelu', { off: [0] }, single),
  {
    ...unary('LeakyRelu', { off: [0] }, { ...single, attributes: { alpha: { float: 0.3 } } })[0]!,
    title: 'with alpha',
  },
  ...unary('ThresholdedRelu', { off: [1] }, single),
  {
    ...unary('ThresholdedRelu', { off: [-0.5] }, { ...single, attributes: { alpha: { float: -0.5 } } })[0]!,
    title: 'with alpha',
  },
  ...unary('Elu', { off: [0] }, single),
  {
    ...unary('Elu', { off: [0] }, { ...single, attributes: { alpha: { float: 0.4 } } })[0]!,
    title: 'with alpha',
  },
  ...unary('Selu', { off: [0] }, single),
  {
    ...unary(
      'Selu',
      { off: [0] },
      { ...single, attributes: { alpha: { float: 1.3 }, gamma: { float: 0.6 } } },
    )[0]!,
    title: 'with alpha and gamma',
  },
  ...unary('Celu', { off: [0] }, single),
  {
    ...unary('Celu', { off: [0] }, { ...single, attributes: { alpha: { float: 2.5 } } })[0]!,
    title: 'with alpha',
  },
  ...unary('HardSigmoid', { low: -4, high: 4, off: [-2.5, 2.5] }, single),
  {
    ...unary(
      'HardSigmoid',
      { low: -4, high: 4, off: [-3, 3] },
      { ...single, attributes: { alpha: { float: 1 / 6 }, beta: { float: 0.5 } } },
    )[0]!,
    title: 'with alpha and beta',
  },
  ...unary('Dropout'),
  { title: 'with a ratio', op: 'Dropout', inputs: [real([3, 4]), constant([0.3])] },
  {
    title: 'between both bounds',
    op: 'Clip',
    inputs: [real([4, 5], { off: [-1, 0.5] }), constant([-1]), constant([0.5])],
  },
  {
    title: 'without a lower bound',
    op: 'Clip',
    inputs: [real([4, 5], { off: [1] }), omitted, constant([1])],
  },
  { title: 'without an upper bound', op: 'Clip', inputs: [real([4, 5], { off: [0] }), constant([0])] },
  { title: 'without bounds', op: 'Clip', inputs: [real([4, 5])] },
  {
    title: 'with trained bounds',
    op: 'Clip',
    inputs: [
      real([4, 5], { off: [-0.7, 0.6] }),
      real([], { low: -0.7, high: -0.7 }),
      real([], { low: 0.6, high: 0.6 }),
    ],
  },
  {
    title: 'of symbolic shape',
    op: 'Clip',
    inputs: [real([4, 5], { off: [-1, 1], as: ['N', 'M'] }), constant([-1]), constant([1])],
  },
]
