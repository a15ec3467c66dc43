import { omitted, real } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'

type Op = 'LSTM' | 'GRU' | 'RNN'

const GATES = { LSTM: 4, GRU: 3, RNN: 1 } as const
const [STEPS, BATCH, FEATURES, HIDDEN] = [4, 3, 2, 3]

interface Form {
  readonly directions?: 1 | 2
  readonly bias?: boolean
  readonly lengths?: readonly number[]
  readonly states?: boolean
  readonly peepholes?: boolean
  readonly symbolic?: boolean
}

const lengths = (values: readonly number[]): Operand => ({
  kind: 'constant',
  dtype: 'int32',
  shape: [values.length],
  values,
})

/** The inputs X, W, R, B, sequence_lens, initial_h and for LSTM initial_c and P. */
function operands(op: Op, form: Form): Operand[] {
  const d = form.directions ?? 1
  const small = { low: -0.8, high: 0.8 }
  const rows = GATES[op] * HIDDEN
  const as = form.symbolic === true ? { as: ['T', 'N', FEATURES] as const } : {}
  const state = form.states === true ? real([d, BATCH, HIDDEN], small) : omitted
  const inputs = [
    real([STEPS, BATCH, FEATURES], { ...small, ...as }),
    real([d, rows, FEATURES], small),
    real([d, rows, HIDDEN], small),
    form.bias === false ? omitted : real([d, 2 * rows], small),
    form.lengths === undefined ? omitted : lengths(form.lengths),
    state,
  ]
  if (op !== 'LSTM') return inputs
  return [...inputs, state, form.peepholes === true ? real([d, 3 * HIDDEN], small) : omitted]
}

function layer(
  op: Op,
  title: string,
  form: Form = {},
  attributes: OperatorCase['attributes'] = {},
  more: Partial<OperatorCase> = {},
): OperatorCase {
  return {
    title,
    op,
    inputs: operands(op, form),
    attributes: { hidden_size: HIDDEN, ...attributes },
    outputs: op === 'LSTM' ? 3 : 2,
    // ONNX Runtime has no float64 kernels for them
    dtype: 'float32',
    ...more,
  }
}

const bidirectional = { direction: 'bidirectional' }
const unlike = [2, 4, 1]

function layers(op: Op): OperatorCase[] {
  const outputs = op === 'LSTM' ? [0, 1, 2] : [0, 1]
  return [
    layer(op, 'forward'),
    layer(op, 'of symbolic length and batch', { symbolic: true }),
    layer(op, 'of symbolic length and batch with states', { symbolic: true, states: true }),
    layer(op, 'without bias', { bias: false }),
    layer(op, 'backward, with states', { states: true, symbolic: true }, { direction: 'reverse' }),
    layer(op, 'in both directions', { directions: 2, symbolic: true }, bidirectional),
    layer(op, 'in both directions with states', { directions: 2, states: true }, bidirectional),
    layer(op, 'of unlike lengths', { lengths: unlike, symbolic: true }),
    layer(
      op,
      'of unlike lengths, backward, with states',
      { lengths: unlike, states: true },
      { direction: 'reverse' },
    ),
    layer(
      op,
      'of unlike lengths in both directions',
      { lengths: unlike, directions: 2, states: true },
      bidirectional,
    ),
    ...outputs.map((used) =>
      layer(
        op,
        `of which only output ${used} counts`,
        { symbolic: true },
        {},
        { unused: outputs.filter((i) => i !== used) },
      ),
    ),
    ...[11, 14, 22].map((opset) => layer(op, `in opset ${opset}`, {}, {}, { opset })),
  ]
}

/** Activations beside the usual ones, in the order in which they are named. */
function activated(
  op: Op,
  names: readonly string[],
  numbers: { readonly alpha?: readonly number[]; readonly beta?: readonly number[] } = {},
  form: Form = {},
): OperatorCase {
  const direction = form.directions === 2 ? bidirectional : {}
  const title = `with ${names.join(', ')}${numbers.alpha ? ' of chosen slopes' : ''}`
  return layer(op, title, form, {
    ...direction,
    activations: { strings: names },
    ...(numbers.alpha && { activation_alpha: { floats: numbers.alpha } }),
    ...(numbers.beta && { activation_beta: { floats: numbers.beta } }),
  })
}

export const LAYER_CASES: readonly OperatorCase[] = [
  ...(['LSTM', 'GRU', 'RNN'] as const).flatMap(layers),
  layer('LSTM', 'with peepholes', { peepholes: true, states: true, symbolic: true }),
  layer('LSTM', 'with peepholes in both directions', { peepholes: true, directions: 2 }, bidirectional),
  layer('LSTM', 'with coupled gates', { states: true }, { input_forget: 1 }),
  layer('LSTM', 'with coupled gates and peepholes', { peepholes: true }, { input_forget: 1 }),
  layer('GRU', 'that resets after the product', { states: true, symbolic: true }, { linear_before_reset: 1 }),
  layer(
    'GRU',
    'that resets after the product, in both directions',
    { directions: 2, lengths: unlike },
    { ...bidirectional, linear_before_reset: 1 },
  ),
  layer('GRU', 'that resets after the product, without bias', { bias: false }, { linear_before_reset: 1 }),
  ...['Tanh', 'Sigmoid', 'Softplus'].map((name) => activated('RNN', [name])),
  activated('RNN', ['Affine'], { alpha: [0.7], beta: [0.3] }),
  activated('RNN', ['ScaledTanh'], { alpha: [0.7], beta: [1.3] }),
  activated('LSTM', ['Sigmoid', 'ScaledTanh', 'Affine'], { alpha: [0.9, 0.8], beta: [1.1, 0.2] }),
]

const clip = { clip: { float: 0.5 } }

/** Layers whose activations have kinks, which the wide steps of differences in float32 would cross. */
export const KINKED_LAYER_CASES: readonly OperatorCase[] = [
  ...(['LSTM', 'GRU', 'RNN'] as const).map((op) => layer(op, 'that is clipped', {}, clip)),
  layer(
    'LSTM',
    'with peepholes in both directions, clipped',
    { peepholes: true, directions: 2 },
    { ...bidirectional, ...clip },
  ),
  layer('LSTM', 'with coupled gates, clipped', {}, { ...clip, input_forget: 1 }),
  layer('GRU', 'that resets after the product, clipped', {}, { ...clip, linear_before_reset: 1 }),
  ...['Relu', 'Softsign', 'LeakyRelu', 'Elu', 'HardSigmoid'].map((name) => activated('RNN', [name])),
  // without a number ONNX Runtime takes 0, the operator of this name 1
  activated('RNN', ['ThresholdedRelu'], { alpha: [0.5] }),
  activated('RNN', ['Elu'], { alpha: [0.4] }),
  activated('LSTM', ['HardSigmoid', 'ScaledTanh', 'Affine'], {
    alpha: [0.3, 0.9, 0.8],
    beta: [0.4, 1.1, 0.2],
  }),
  activated(
    'GRU',
    ['LeakyRelu', 'Elu', 'Sigmoid', 'LeakyRelu'],
    { alpha: [0.2, 0.6, 0.1] },
    { directions: 2 },
  ),
]
