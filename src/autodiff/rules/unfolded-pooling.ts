import { intAttribute } from '../../onnx/attributes.js'
import { windowOf } from '../../onnx/shapes/spatial.js'
import type { Window } from '../../onnx/shapes/spatial.js'
import { elementCount } from '../../tensor.js'
import { Formula } from '../formula.js'
import { RuleRefusal } from '../rule.js'
import type { VjpContext } from '../rule.js'
import { spatialAxes } from './convolution-weights.js'
import { transposedConvolution } from './convolution.js'
import { kernelShape } from './max-pooling.js'

/**
 * The cotangent of MaxPool without its Indices, which WebGPU can't give: every window is laid out along an axis by a
 * convolution with 0 and 1, its first element that equals the maximum takes the cotangent, and the transposed
 * convolution puts it back (MaxPool 12).
 */
export function unfoldedMaximumBack(c: VjpContext): string {
  const { builder } = c
  const window = wholeWindow(c)
  const f = new Formula(builder, c.g)
  const patches = cutLikeResult(c, unfold(c, single(c, c.x(0)), window), window)
  const attains = f.mul(f.mask('Equal', patches, single(c, c.y())), insideImage(c, window))
  const order = builder.add('CumSum', [attains, builder.scalar(1, 'int64')])
  const first = f.mul(attains, f.mask('Equal', order, 1))
  const spread = f.mul(first, single(c, c.g))
  const back = transposedConvolution(builder, spread, places(c, window), window, 1, single(c, c.x(0)))
  return builder.reshapeTo(back, builder.shape(c.x(0)))
}

/** The node's window; with ceil_mode the last one may reach beyond the image by less than a stride. */
function wholeWindow(c: VjpContext): Window {
  const window = windowOf(c.node, kernelShape(c), c.shape(0).slice(2))
  if (typeof window === 'string') throw new RuleRefusal(window)
  if (!reachesBeyond(c)) return window
  return { ...window, padsEnd: window.padsEnd.map((pad, axis) => pad + window.strides[axis]! - 1) }
}

function reachesBeyond(c: VjpContext): boolean {
  return intAttribute(c.node, 'ceil_mode', 0) === 1
}

/** [batch, channel, ...] as [batch x channel, 1, ...]. */
function single(c: VjpContext, value: string): string {
  const { builder } = c
  const axes = c.shape(0).flatMap((_, axis) => (axis < 2 ? [] : [axis]))
  const shape = builder.add('Concat', [builder.integers([-1, 1]), builder.sizes(value, axes)], { axis: 0 })
  return builder.reshapeTo(value, shape)
}

/** The filters take as many numbers squared: 64 MiB. */
const LARGEST_UNFOLDED = 4096

/** [places, 1, ...kernel]: a filter for each place of the window, 1 there and 0 elsewhere. */
function places(c: VjpContext, { kernel }: Window): string {
  const count = elementCount(kernel)
  if (count > LARGEST_UNFOLDED)
    throw new RuleRefusal(
      `its window of ${count} elements is too large to be laid out (${LARGEST_UNFOLDED} at most)`,
    )
  const values = Array.from({ length: count * count }, (_, i) => (i % (count + 1) === 0 ? 1 : 0))
  return c.builder.constant(c.builder.dtype(c.g), [count, 1, ...kernel], values)
}

/** [n, 1, ...] as [n, places, ...output]. */
function unfold(c: VjpContext, value: string, window: Window): string {
  return c.builder.add('Conv', [value, places(c, window)], {
    strides: window.strides,
    dilations: window.dilations,
    pads: [...window.padsBegin, ...window.padsEnd],
  })
}

function cutLikeResult(c: VjpContext, value: string, window: Window): string {
  if (!reachesBeyond(c)) return value
  const { builder } = c
  const axes = spatialAxes(window)
  const zeros = builder.integers(axes.map(() => 0))
  return builder.add('Slice', [value, zeros, builder.sizes(c.y(), axes), builder.integers(axes)])
}

/** 1 for places of a window that lie in the image, 0 for padding, which is never the maximum. */
function insideImage(c: VjpContext, window: Window): string | number {
  if ([...window.padsBegin, ...window.padsEnd].every((pad) => pad === 0)) return 1
  const { builder } = c
  const size = builder.sizes(c.x(0), spatialAxes(window))
  const shape = builder.add('Concat', [builder.integers([1, 1]), size], { axis: 0 })
  const ones = builder.add('Expand', [builder.scalar(1, builder.dtype(c.g)), shape])
  return cutLikeResult(c, unfold(c, ones, window), window)
}
