import { intAttribute, intsAttribute } from '../../onnx/attributes.js'
import { normalizeAxis } from '../../onnx/shapes/dims.js'
import { sliceBounds } from '../../onnx/shapes/slice.js'
import { sumToShape } from '../broadcast.js'
import { RuleRefusal, unary } from '../rule.js'
import type { Vjp, VjpContext } from '../rule.js'

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
  Concat: (c) => {
    const { builder, node } = c
    if (node.inputs.length === 1) return [c.g]
    const axis = normalizeAxis(intAttribute(node, 'axis', 0), c.shape(0).length)
    const sizes = node.inputs.map((input) => builder.sizes(input, [axis]))
    const known = sizes.map((size) => builder.constantsOf(size)?.[0])
    const parts = known.every((size) => size !== undefined)
      ? builder.integers(known)
      : builder.add('Concat', sizes, { axis: 0 })
    return builder.addMany('Split', [c.g, parts], node.inputs.length, { axis })
  },
  // outputs without a cotangent count as zeros
  Split: (c) => {
    const { builder, node } = c
    const axis = normalizeAxis(intAttribute(node, 'axis', 0), c.shape(0).length)
    const parts = node.outputs.map((output, i) => c.cotangent(i) ?? builder.zerosLike(output))
    return [builder.add('Concat', parts, { axis })]
  },
  Slice: unary((c) => paddedBack(c) ?? scatteredBack(c)),
} as const satisfies Record<string, Vjp>

interface Cut {
  readonly axes: readonly number[]
  readonly before: readonly number[]
  readonly after: readonly number[]
}

/** A slice with step 1 and known bounds is undone by padding with zeros. */
function paddedBack(c: VjpContext): string | undefined {
  const cut = staticCut(c)
  if (cut === undefined) return undefined
  const { builder } = c
  if ([...cut.before, ...cut.after].every((count) => count === 0)) return c.g
  return builder.add('Pad', [
    c.g,
    builder.integers([...cut.before, ...cut.after]),
    '',
    builder.integers(cut.axes),
  ])
}

function staticCut(c: VjpContext): Cut | undefined {
  const { builder } = c
  const shape = builder.shapeOf(c.x(0))
  const [starts, ends] = [builder.constantsOf(c.x(1)), builder.constantsOf(c.x(2))]
  if (shape === undefined || starts === undefined || ends === undefined) return undefined
  const axes = c.x(3) === '' ? starts.map((_, i) => i) : builder.constantsOf(c.x(3))
  const steps = c.x(4) === '' ? starts.map(() => 1) : builder.constantsOf(c.x(4))
  if (axes === undefined || steps?.every((step) => step === 1) !== true) return undefined
  const positive = axes.map((axis) => normalizeAxis(axis, shape.length))
  const sizes = positive.map((axis) => shape[axis]!)
  if (!sizes.every((size) => typeof size === 'number')) return undefined
  const bounds = sizes.map((size, i) => sliceBounds(size, starts[i]!, ends[i]!, 1))
  return {
    axes: positive,
    before: bounds.map(([from, to]) => Math.min(from, Math.max(from, to))),
    after: bounds.map(([from, to], i) => sizes[i]! - Math.max(from, to)),
  }
}

/** Any other slice: the positions of the elements that it kept, found by slicing the positions themselves. */
function scatteredBack(c: VjpContext): string {
  const { builder } = c
  const x = c.x(0)
  const count = builder.add('Size', [x])
  const all = builder.add('Range', [builder.scalar(0, 'int64'), count, builder.scalar(1, 'int64')])
  const positions = builder.add('Slice', [
    builder.reshapeTo(all, builder.shape(x)),
    ...c.node.inputs.slice(1),
  ])
  const flat = builder.reshape(builder.zerosLike(x), [-1])
  const inputs = [flat, builder.reshape(positions, [-1]), builder.reshape(c.g, [-1])]
  return builder.reshapeTo(builder.add('ScatterElements', inputs, { axis: 0 }), builder.shape(x))
}

/** The axes of a Squeeze, Unsqueeze or reduction that come as an input must be constants of the graph. */
export function constantAxes(c: VjpContext, input: number): readonly number[] {
  const axes = c.builder.constantsOf(c.x(input))
  if (axes === undefined) throw new RuleRefusal('its axes are computed when the graph runs')
  return axes
}
