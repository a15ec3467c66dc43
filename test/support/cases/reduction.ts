import type { AttributeValue } from '../../../src/onnx/attributes.js'
import type { Shape } from '../../../src/onnx/graph.js'
import { ints, omitted, real, spaced } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'

/** The forms of a reduction (opset 18); `draw` makes its input. */
function reductions(op: string, draw: (shape: readonly number[], as?: Shape) => Operand): OperatorCase[] {
  const test = (
    title: string,
    inputs: readonly Operand[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): OperatorCase => ({ title, op, inputs, attributes })
  const x = draw([2, 3, 4])
  const symbolic = draw([2, 3, 4], ['N', 'T', 'C'])
  return [
    test('over all axes', [x]),
    test('over all axes to a scalar', [x], { keepdims: 0 }),
    test('over one axis', [x, ints([1])]),
    test('over one axis that is dropped', [x, ints([1])], { keepdims: 0 }),
    test('over negative axes', [x, ints([-1, 0])]),
    test('over negative axes that are dropped', [x, ints([-1, -3])], { keepdims: 0 }),
    test('over an empty list, which is all axes', [x, ints([], [0])], { keepdims: 0 }),
    test('over an empty list, which is none', [x, ints([], [0])], { noop_with_empty_axes: 1 }),
    test('over no list, which is none', [x, omitted], { noop_with_empty_axes: 1, keepdims: 0 }),
    test('over symbolic axes', [symbolic, ints([1, 2])]),
    test('over symbolic axes that are dropped', [symbolic, ints([0, -1])], { keepdims: 0 }),
    test('over all symbolic axes', [symbolic], { keepdims: 0 }),
    test('of a scalar', [draw([])]),
  ]
}

function softmaxes(op: string): OperatorCase[] {
  return [
    { title: 'over the last axis', op, inputs: [real([3, 4])] },
    { title: 'over the first axis', op, inputs: [real([3, 4])], attributes: { axis: 0 } },
    { title: 'over a middle axis', op, inputs: [real([2, 3, 4])], attributes: { axis: -2 } },
    { title: 'over axis 1 of rank 4', op, inputs: [real([2, 3, 4, 2])], attributes: { axis: 1 } },
    { title: 'of symbolic sizes', op, inputs: [real([3, 4], { as: ['N', 'C'] })] },
    {
      title: 'over a symbolic axis 0',
      op,
      inputs: [real([3, 4], { as: ['N', 'C'] })],
      attributes: { axis: 0 },
    },
  ]
}

const uniform = (shape: readonly number[], as?: Shape): Operand => real(shape, { ...(as && { as }) })

export const REDUCTION_CASES: readonly OperatorCase[] = [
  ...reductions('ReduceSum', uniform),
  ...reductions('ReduceMean', uniform),
  ...reductions('ReduceMax', spaced),
  ...reductions('ReduceMin', spaced),
  ...softmaxes('Softmax'),
  ...softmaxes('LogSoftmax'),
]
