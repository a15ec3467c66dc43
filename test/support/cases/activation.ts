import type { AttributeValue } from '../../../src/onnx/attributes.js'
import { real } from '../operator-case.js'
import type { OperatorCase } from '../operator-case.js'

/** An activation on numbers away from its kinks, of a known and of an unknown shape. */
function activation(
  op: string,
  title: string,
  more: Partial<OperatorCase> & { off?: readonly number[]; range?: number } = {},
): OperatorCase[] {
  const { off = [], range = 4, ...rest } = more
  const draw = { low: -range, high: range, off }
  return [
    { op, title, inputs: [real([4, 6], draw)], ...rest },
    {
      op,
      title: `${title}, of symbolic sizes`,
      inputs: [real([3, 5], { ...draw, as: ['N', 'C'] })],
      ...rest,
    },
  ]
}

/** Where ONNX Runtime has no float64 kernel. */
const single = { dtype: 'float32' } as const

/** Linear in pieces, so that any step that stays in one is exact; ONNX Runtime computes it in float32 throughout. */
const linear = { dtype: 'float32', step: 2 ** -5 } as const

const alpha = (value: number): Readonly<Record<string, AttributeValue>> => ({ alpha: { float: value } })

export const ACTIVATION_CASES: readonly OperatorCase[] = [
  ...activation('Gelu', 'exactly', { opset: 20, ...single }),
  ...activation('Gelu', 'by a hyperbolic tangent', { opset: 20, attributes: { approximate: 'tanh' } }),
  ...activation('HardSwish', 'in opset 18', { off: [-3, 3] }),
  ...activation('HardSwish', 'in opset 22', { off: [-3, 3], opset: 22, ...single }),
  ...activation('Mish', 'in opset 18'),
  ...activation('Mish', 'in opset 22', { opset: 22, ...single }),
  ...activation('Swish', 'with alpha 1', { opset: 24 }),
  ...activation('Swish', 'with alpha 1.702', { opset: 24, attributes: alpha(1.702) }),
  ...activation('Shrink', 'by default', { off: [-0.5, 0.5], range: 2, ...linear }),
  ...activation('Shrink', 'with a bias', {
    off: [-1, 1],
    range: 2,
    attributes: { lambd: { float: 1 }, bias: { float: 0.3 } },
    ...linear,
  }),
]
