import type { AttributeValue } from '../../../src/onnx/attributes.js'
import { ints, omitted, real } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'

const scalar = (value: number): Operand => ints([value], [])

interface Transform {
  readonly title: string
  readonly signal: Operand
  readonly length?: number
  readonly axis?: number
  readonly attributes?: Readonly<Record<string, AttributeValue>>
}

const SIGNALS: readonly Transform[] = [
  { title: 'of real values', signal: real([2, 6, 1]) },
  { title: 'of complex values', signal: real([2, 5, 2]) },
  { title: 'of complex values, inverse', signal: real([2, 5, 2]), attributes: { inverse: 1 } },
  { title: 'of real values, inverse', signal: real([2, 6, 1]), attributes: { inverse: 1 } },
  { title: 'one-sided, of even length', signal: real([2, 6, 1]), attributes: { onesided: 1 } },
  { title: 'one-sided, of odd length', signal: real([2, 5, 1]), attributes: { onesided: 1 } },
  ...[6, 7].map((length) => ({
    title: `one-sided, inverse, of length ${length}`,
    signal: real([2, 4, 2]),
    length,
    attributes: { onesided: 1, inverse: 1 },
  })),
  { title: 'one-sided, inverse', signal: real([2, 4, 2]), attributes: { onesided: 1, inverse: 1 } },
  {
    title: 'one-sided, inverse, of symbolic sizes',
    signal: real([2, 3, 4, 2], { as: ['N', 'T', 'C', 2] }),
    attributes: { onesided: 1, inverse: 1 },
  },
  { title: 'filled up', signal: real([2, 5, 2]), length: 8 },
  { title: 'cut', signal: real([2, 7, 2]), length: 4 },
  { title: 'cut, inverse', signal: real([2, 7, 2]), length: 4, attributes: { inverse: 1 } },
  { title: 'one-sided, filled up', signal: real([2, 5, 1]), length: 8, attributes: { onesided: 1 } },
  { title: 'along another axis', signal: real([2, 3, 4, 2]), axis: 1 },
  { title: 'along the last axis of the signal', signal: real([2, 3, 4, 2]), axis: 2 },
  {
    title: 'of values that only the data tells to be complex',
    signal: real([2, 6, 2], { as: ['N', 'T', 'P'] }),
  },
  {
    title: 'of values that only the data tells to be real',
    signal: real([2, 6, 1], { as: ['N', 'T', 'P'] }),
  },
  { title: 'of symbolic sizes', signal: real([2, 6, 2], { as: ['N', 'T', 2] }) },
  {
    title: 'of symbolic sizes, one-sided',
    signal: real([2, 6, 1], { as: ['N', 'T', 1] }),
    attributes: { onesided: 1 },
  },
]

/** Before opset 20 the axis is an attribute, 1 by default; from then on an input, the last of the signal by default. */
function transforms(opset: number): OperatorCase[] {
  return SIGNALS.map(({ title, signal, length, axis = 1, attributes = {} }) => ({
    title: `${title}, opset ${opset}`,
    op: 'DFT',
    opset,
    inputs: [signal, length === undefined ? omitted : scalar(length), ...(opset < 20 ? [] : [scalar(axis)])],
    attributes: opset < 20 ? { ...attributes, axis } : attributes,
  }))
}

function frames(
  title: string,
  inputs: readonly Operand[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
): OperatorCase {
  return { title, op: 'STFT', inputs, attributes }
}

const SHORT_TIME: readonly OperatorCase[] = [
  frames('of real values', [real([2, 10, 1]), scalar(2), omitted, scalar(4)]),
  frames('of real values, two-sided', [real([2, 10, 1]), scalar(2), omitted, scalar(4)], { onesided: 0 }),
  frames('of real values without an axis of their own', [real([2, 10]), scalar(2), real([4])]),
  frames('of complex values', [real([2, 10, 2]), scalar(3), omitted, scalar(4)], { onesided: 0 }),
  frames('with a trained window', [real([2, 10, 1]), scalar(2), real([4]), scalar(4)]),
  frames('with a window that gives the length', [real([2, 10, 1]), scalar(3), real([4])]),
  frames('of symbolic length', [real([2, 11, 1], { as: ['N', 'T', 1] }), scalar(3), real([4]), scalar(4)]),
]

/** ONNX Runtime's kernels take sine and cosine in float32, also for float64 values. */
export const SIGNAL_CASES: readonly OperatorCase[] = [
  ...transforms(18),
  ...transforms(20),
  ...SHORT_TIME,
].map((one) => ({ ...one, dtype: 'float32' }))
