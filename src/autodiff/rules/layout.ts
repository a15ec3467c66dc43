import { intAttribute, intsAttribute } from '../../onnx/attributes.js'
import { normalizeAxis } from '../../onnx/shapes/dims.js'
import { sumToShape } from '../broadcast.js'
import { Integers } from '../integers.js'
import { unary } from '../rule.js'
import type { Vjp, VjpContext } from '../rule.js'
import { withZerosAround } from './placing.js'
import { sliceBack } from './slicing.js'

/** Operators that only lay the same elements out anew: the cotangent takes the input's shape. */
const relayout: Vjp = unary((c) => c.builder.reshapeLike(c.g, c.x(0)))

export const LAYOUT = {
  Reshape: relayout,
  Flatten: relayout,
  Squeeze: relayout,
  Unsqueeze: relayout,
  // the inverse permutation
  Transpose: unary((c) => {
    const rank = c.shape(0).length
    const order = intsAttribute(c.node, 'perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis)
    const inverse = order.map((_, axis) => order.indexOf(axis))
    return c.builder.transpose(c.g, inverse)
  }),
  // repeated elements add up
  Expand: unary((c) => sumToShape(c.builder, c.g, c.x(0))),
  // the cotangent is taken apart (Concat 13)
  Concat: (c) => {
    if (c.node.inputs.length === 1) return [c.g]
    const axis = axisOf(c)
    const wanted = c.node.inputs.flatMap((_, i) => (c.needs(i) ? [i] : []))
    return wanted.length === 1 ? onePart(c, axis, wanted[0]!) : allParts(c, axis)
  },
  // outputs without a cotangent count as zeros (Split 18)
  Split: (c) => {
    const axis = axisOf(c)
    const given = c.node.outputs.flatMap((_, i) => (c.cotangent(i) === undefined ? [] : [i]))
    return [given.length === 1 ? aroundPart(c, axis, given[0]!) : joined(c, axis)]
  },
  Slice: unary(sliceBack),
} as const satisfies Record<string, Vjp>

function axisOf(c: VjpContext): number {
  const axis = intAttribute(c.node, 'axis', 0)
  return axis < 0 ? normalizeAxis(axis, c.shape(0).length) : axis
}

/** Where one input alone changes with the parameters, its part is cut out. */
function onePart(c: VjpContext, axis: number, input: number): (string | undefined)[] {
  const { builder, node } = c
  const integers = new Integers(builder)
  const start = integers.sum(node.inputs.slice(0, input).map((name) => integers.size(name, axis)))
  const bounds = [start, integers.add(start, integers.size(c.x(input), axis)), axis]
  const part = builder.add('Slice', [c.g, ...bounds.map((bound) => integers.value(bound))])
  return node.inputs.map((_, i) => (i === input ? part : undefined))
}

function allParts(c: VjpContext, axis: number): readonly string[] {
  const { builder, node } = c
  const integers = new Integers(builder)
  const sizes = integers.vector(node.inputs.map((name) => integers.size(name, axis)))
  return builder.addMany('Split', [c.g, sizes], node.inputs.length, { axis })
}

/** Where the loss depends on one output alone, its cotangent gets zeros around it. */
function aroundPart(c: VjpContext, axis: number, output: number): string {
  const integers = new Integers(c.builder)
  const sizes = c.node.outputs.map((name) => integers.size(name, axis))
  const [before, after] = [integers.sum(sizes.slice(0, output)), integers.sum(sizes.slice(output + 1))]
  return withZerosAround(c.builder, c.cotangent(output)!, [{ axis, before, after }])
}

function joined(c: VjpContext, axis: number): string {
  const { builder, node } = c
  const parts = node.outputs.map((output, i) => c.cotangent(i) ?? builder.zerosLike(output))
  return builder.add('Concat', parts, { axis })
}
