import type { AttributeValue } from '../../../src/onnx/attributes.js'
import type { Shape } from '../../../src/onnx/graph.js'
import { ints, omitted, runtime } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'

/** The forms of a reduction (opset 18, and 13 where axes were an attribute still); `draw` makes its input. */
export function reductions(
  op: string,
  draw: (shape: readonly number[], as?: Shape) => Operand,
): OperatorCase[] {
  const test = (
    title: string,
    inputs: readonly Operand[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    opset = 18,
  ): OperatorCase => ({ title, op, inputs, attributes, opset })
  const x = draw([2, 3, 4])
  const symbolic = draw([2, 3, 4], ['N', 'T', 'C'])
  const dropped = { keepdims: 0 }
  return [
    test('over all axes', [x]),
    test('over all axes to a scalar', [x], dropped),
    test('over one axis', [x, ints([1])]),
    test('over one axis that is dropped', [x, ints([1])], dropped),
    test('over negative axes', [x, ints([-1, 0])]),
    test('over negative axes that are dropped', [x, ints([-1, -3])], dropped),
    test('over an empty list, which is all axes', [x, ints([], [0])], dropped),
    test('over an empty list, which is none', [x, ints([], [0])], { noop_with_empty_axes: 1 }),
    test('over no list, which is none', [x, omitted], { noop_with_empty_axes: 1, keepdims: 0 }),
    test('over symbolic axes', [symbolic, ints([1, 2])]),
    test('over symbolic axes that are dropped', [symbolic, ints([0, -1])], dropped),
    test('over all symbolic axes', [symbolic], dropped),
    test('of a scalar', [draw([])]),
    test('over axes given at run time', [x, runtime([2, 0])]),
    test('over axes given at run time that are dropped', [x, runtime([-1, 0])], dropped),
    test('over symbolic axes given at run time', [symbolic, runtime([1])]),
    test('over symbolic axes given at run time that are dropped', [symbolic, runtime([-3, 1])], dropped),
    test('over an empty list given at run time', [x, runtime([])]),
    test('over an empty list given at run time that is dropped', [x, runtime([])], dropped),
    test('over an empty list given at run time, which is none', [x, runtime([])], {
      keepdims: 0,
      noop_with_empty_axes: 1,
    }),
    test('over one axis given at run time that is not dropped', [x, runtime([1])], {
      noop_with_empty_axes: 1,
    }),
    test('over axes in opset 13', [x], { axes: [-1, 0], keepdims: 0 }, 13),
  ]
}
