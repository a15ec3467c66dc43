import type { AttributeValue } from '../../../src/onnx/attributes.js'
import { constant, real } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'
import { BATCH_NORMALIZATION_CASES } from './batch-norm.js'

type Attributes = Readonly<Record<string, AttributeValue>>

/** A form of an operator on an image and its other inputs; `more` says what it needs beside. */
function form(
  op: string,
  title: string,
  inputs: readonly Operand[],
  attributes: Attributes = {},
  more: Partial<OperatorCase> = {},
): OperatorCase {
  return { op, title, inputs, attributes, ...more }
}

const layer = (...rest: [string, readonly Operand[], Attributes?, Partial<OperatorCase>?]): OperatorCase =>
  form('LayerNormalization', ...rest)

const symbolic = { as: ['N', 'T', 'C'] }
const outputs = { outputs: 3, dtype: 'float32' } as const

const LAYER: readonly OperatorCase[] = [
  layer('over the last axis', [real([2, 3, 4]), real([4]), real([4])]),
  layer('without a bias', [real([2, 3, 4]), real([4])]),
  layer('over the last two axes', [real([2, 3, 4]), real([3, 4]), real([3, 4])], { axis: 1 }),
  layer('over all axes', [real([2, 3]), real([2, 3]), real([2, 3])], { axis: 0 }),
  layer('of one axis', [real([5]), real([5]), real([5])]),
  layer('of rank 4 over axis -3', [real([2, 2, 3, 2]), real([2, 3, 2]), real([2, 3, 2])], { axis: -3 }),
  layer('with a large epsilon', [real([3, 4]), real([4]), real([4])], { epsilon: { float: 0.5 } }),
  layer('with a scale for the first of two axes', [real([2, 3, 4]), real([3, 1]), real([4])], { axis: 1 }),
  layer('with one scale for all', [real([2, 3, 4]), real([1]), real([1])]),
  layer('with a scale per row', [real([2, 3, 4]), real([3, 1]), real([3, 1])]),
  layer('of symbolic sizes', [real([2, 3, 4], symbolic), real([4]), real([4])]),
  layer('of a symbolic scale', [real([2, 3, 4], symbolic), real([4], { as: ['C'] }), real([4])]),
  layer('over two symbolic axes', [real([2, 3, 4], symbolic), real([3, 4]), real([3, 4])], { axis: -2 }),
  layer('of constants', [real([2, 3, 4]), constant([1, 2, 3, 4], [4]), constant([0, 1, 2, 3], [4])]),
  layer('with a constant image', [constant([1, 2, 4, 3, 1, 0], [2, 3]), real([3]), real([3])]),
  layer('in float32', [real([2, 3, 8]), real([8]), real([8])], {}, { dtype: 'float32' }),
  layer(
    'in float32 over two axes',
    [real([2, 3, 4], symbolic), real([3, 4]), real([4])],
    { axis: 1 },
    { dtype: 'float32' },
  ),
  layer('with its mean and deviation', [real([2, 3, 4]), real([4]), real([4])], {}, outputs),
  layer('with its mean', [real([2, 3, 4], symbolic), real([4]), real([4])], {}, { ...outputs, unused: [2] }),
  layer(
    'with its deviation alone',
    [real([2, 3, 4]), real([3, 4])],
    { axis: 1 },
    { ...outputs, unused: [0, 1] },
  ),
]

const rms = (title: string, inputs: readonly Operand[], attributes: Attributes = {}): OperatorCase =>
  form('RMSNormalization', title, inputs, attributes, { opset: 23 })

const ROOT_MEAN_SQUARE: readonly OperatorCase[] = [
  rms('over the last axis', [real([2, 3, 4]), real([4])]),
  rms('over the last two axes', [real([2, 3, 4]), real([3, 4])], { axis: -2 }),
  rms('over all axes', [real([2, 3]), real([2, 3])], { axis: 0 }),
  rms('with a large epsilon', [real([3, 4]), real([4])], { epsilon: { float: 0.5 } }),
  rms('with one scale for all', [real([3, 4]), real([1])]),
  rms('of symbolic sizes', [real([2, 3, 4], symbolic), real([4])]),
  rms('of a symbolic scale', [real([2, 3, 4], symbolic), real([4], { as: ['C'] })]),
  rms('of a constant scale', [real([2, 3, 4]), constant([1, 2, 3, 4], [4])]),
]

const image = { as: ['N', 4, 'H', 'W'] }

const GROUP: readonly OperatorCase[] = [18, 21].flatMap((opset) => {
  const group = (
    title: string,
    x: Operand,
    channels: number,
    groups: number,
    more: Attributes = {},
    dtype: OperatorCase['dtype'] = 'float64',
  ): OperatorCase => {
    const size = opset < 21 ? groups : channels
    const inputs = [x, real([size]), real([size])]
    // stage one is in float32 by default; in float64 differences of it would be too coarse
    const stash = opset < 21 ? {} : { stash_type: dtype === 'float32' ? 1 : 11 }
    const attributes = { num_groups: groups, ...stash, ...more }
    return form('GroupNormalization', `${title}, opset ${opset}`, inputs, attributes, { opset, dtype })
  }
  return [
    group('of two groups', real([2, 4, 2, 3]), 4, 2),
    group('of two groups in single precision', real([2, 4, 2, 3]), 4, 2, {}, 'float32'),
    group('of one group', real([2, 4, 3]), 4, 1),
    group('of one channel each', real([2, 3, 5]), 3, 3),
    group('with a large epsilon', real([2, 4, 3]), 4, 2, { epsilon: { float: 0.5 } }),
    group('of symbolic images', real([2, 4, 2, 3], image), 4, 2),
    group('of symbolic channels', real([2, 4, 3], { as: ['N', 'C', 'T'] }), 4, 2),
    group('of vectors', real([3, 8]), 8, 2),
  ]
})

/** ONNX Runtime has InstanceNormalization and LRN in float32 only. */
const single = { dtype: 'float32' } as const

const instance = (title: string, x: Operand, channels: number, attributes: Attributes = {}): OperatorCase =>
  form('InstanceNormalization', title, [x, real([channels]), real([channels])], attributes, single)

const INSTANCE: readonly OperatorCase[] = [
  instance('of images', real([2, 3, 3, 4]), 3),
  instance('of sequences', real([2, 3, 8]), 3),
  instance('of volumes', real([2, 2, 2, 3, 2]), 2),
  instance('with a large epsilon', real([2, 3, 8]), 3, { epsilon: { float: 0.5 } }),
  instance('of symbolic images', real([2, 4, 3, 4], image), 4),
  instance('of symbolic channels', real([2, 3, 8], { as: ['N', 'C', 'T'] }), 3),
]

/** Away from the kink of |x|. */
const off = { off: [0] }
const lp = (title: string, x: Operand, attributes: Attributes, opset = 18): OperatorCase =>
  form('LpNormalization', title, [x], attributes, { opset })

const NORMS: readonly OperatorCase[] = [
  lp('with p = 2 by default', real([3, 4]), {}),
  lp('with p = 2 over axis 0', real([3, 4]), { p: 2, axis: 0 }),
  lp('with p = 1', real([3, 4], off), { p: 1 }),
  lp('with p = 1 over a middle axis', real([2, 3, 4], off), { p: 1, axis: -2 }),
  lp('of symbolic sizes', real([2, 3, 4], symbolic), { axis: 1 }),
  lp('in opset 22', real([3, 4]), { axis: 1 }, 22),
]

const mvn = (title: string, x: Operand, attributes: Attributes = {}): OperatorCase =>
  form('MeanVarianceNormalization', title, [x], attributes, { dtype: 'float32' })

const MEAN_VARIANCE: readonly OperatorCase[] = [
  mvn('over batch and image by default', real([2, 3, 3, 2])),
  mvn('over axes of its own', real([2, 3, 4]), { axes: [1, 2] }),
  mvn('over negative axes', real([2, 3, 4]), { axes: [-1] }),
  mvn('of symbolic images', real([2, 4, 2, 3], image)),
]

const lrn = (title: string, x: Operand, attributes: Attributes): OperatorCase =>
  form('LRN', title, [x], attributes, single)

const strong = { alpha: { float: 0.8 }, bias: { float: 1.5 }, beta: { float: 0.6 } }

const LOCAL_RESPONSE: readonly OperatorCase[] = [
  lrn('over three channels', real([2, 5, 2, 3]), { size: 3, ...strong }),
  lrn('over more channels than there are', real([2, 3, 2, 2]), { size: 7, ...strong }),
  lrn('over each channel alone', real([2, 3, 2, 2]), { size: 1, ...strong }),
  lrn('with the usual numbers', real([2, 5, 2, 2]), { size: 5 }),
  lrn('of symbolic images', real([2, 4, 2, 3], image), { size: 3, ...strong }),
  lrn('of symbolic channels', real([2, 4, 2, 3], { as: ['N', 'C', 'H', 'W'] }), { size: 3, ...strong }),
]

export const NORMALIZATION_CASES: readonly OperatorCase[] = [
  ...BATCH_NORMALIZATION_CASES,
  ...LAYER,
  ...ROOT_MEAN_SQUARE,
  ...GROUP,
  ...INSTANCE,
  ...NORMS,
  ...MEAN_VARIANCE,
  ...LOCAL_RESPONSE,
]
