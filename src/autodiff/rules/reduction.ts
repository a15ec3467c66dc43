import { intAttribute } from '../../onnx/attributes.js'
import { elementCount } from '../../tensor.js'
import { normalizeAxis, staticShape } from '../../onnx/shapes/dims.js'
import { unary } from '../rule.js'
import type { Vjp, VjpContext } from '../rule.js'
import { constantAxes } from './layout.js'

export const REDUCTION = {
  // every summed element gets the sum's cotangent (ReduceSum 13)
  ReduceSum: unary((c) => c.builder.expandLike(kept(c, c.g), c.x(0))),
  // ... divided by their number (ReduceMean 18)
  ReduceMean: unary((c) => c.builder.expandLike(kept(c, perElement(c)), c.x(0))),
  // the elements that attain the extreme share the cotangent equally, as PyTorch's amax and amin
  ReduceMax: unary(extreme),
  ReduceMin: unary(extreme),
  // d softmax: y (g - sum(g y)) (Softmax 13)
  Softmax: unary((c) => {
    const { builder } = c
    const weighted = builder.sum(builder.mul(c.g, c.y()), [softmaxAxis(c)], true)
    return builder.mul(c.y(), builder.add('Sub', [c.g, weighted]))
  }),
  // d log softmax: g - softmax(x) sum(g) (LogSoftmax 13)
  LogSoftmax: unary((c) => {
    const { builder } = c
    const total = builder.sum(c.g, [softmaxAxis(c)], true)
    return builder.add('Sub', [c.g, builder.mul(builder.add('Exp', [c.y()]), total)])
  }),
} as const satisfies Record<string, Vjp>

function softmaxAxis(c: VjpContext): number {
  return normalizeAxis(intAttribute(c.node, 'axis', -1), c.shape(0).length)
}

/** The axes that were reduced, counted from 0. */
function reducedAxes(c: VjpContext): number[] {
  const rank = c.shape(0).length
  const axes = c.x(1) === '' ? [] : constantAxes(c, 1)
  if (axes.length > 0) return axes.map((axis) => normalizeAxis(axis, rank))
  const nothing = intAttribute(c.node, 'noop_with_empty_axes', 0) === 1
  return nothing ? [] : Array.from({ length: rank }, (_, axis) => axis)
}

/** A value of the reduction's output shape with the reduced axes kept as size 1. */
function kept(c: VjpContext, value: string): string {
  const axes = reducedAxes(c)
  const keepsDims = intAttribute(c.node, 'keepdims', 1) === 1
  return keepsDims || axes.length === 0
    ? value
    : c.builder.add('Unsqueeze', [value, c.builder.integers(axes)])
}

function perElement(c: VjpContext): string {
  const { builder } = c
  const axes = reducedAxes(c)
  const shape = c.shape(0)
  const sizes = staticShape(axes.map((axis) => shape[axis]!))
  if (sizes !== undefined) return builder.scale(c.g, 1 / elementCount(sizes))
  const count = builder.add('ReduceProd', [builder.sizes(c.x(0), axes)], { keepdims: 0 })
  return builder.add('Div', [c.g, builder.cast(count, builder.dtype(c.g))])
}

function extreme(c: VjpContext): string {
  const { builder } = c
  const attains = builder.cast(builder.add('Equal', [c.x(0), kept(c, c.y())]), builder.dtype(c.g))
  const count = builder.sum(attains, reducedAxes(c), true)
  return builder.mul(attains, builder.add('Div', [kept(c, c.g), count]))
}
