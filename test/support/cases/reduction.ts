import type { Shape } from '../../../src/onnx/graph.js'
import { real, spaced } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'
import { reductions } from './reductions.js'

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
  ...reductions('ReduceSum', uniform).filter(({ opset }) => opset !== 13),
  {
    op: 'ReduceSum',
    title: 'over an axis in opset 11',
    inputs: [real([2, 3, 4])],
    attributes: { axes: [1] },
    opset: 11,
    dtype: 'float32',
  },
  ...reductions('ReduceMean', uniform),
  ...reductions('ReduceMax', spaced),
  ...reductions('ReduceMin', spaced),
  ...softmaxes('Softmax'),
  ...softmaxes('LogSoftmax'),
]
