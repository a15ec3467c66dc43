import { intAttribute } from '../../onnx/attributes.js'
import { staticShape } from '../../onnx/shapes/dims.js'
import { windowOf } from '../../onnx/shapes/spatial.js'
import type { Window } from '../../onnx/shapes/spatial.js'
import { elementCount } from '../../tensor.js'
import { Formula } from '../formula.js'
import { RuleRefusal } from '../rule.js'
import type { VjpContext } from '../rule.js'
import { spatialAxes } from './convolution-weights.js'
import { transposedConvolution } from './convolution.js'
import { kernelShape, tiling } from './max-pooling.js'
import { slidViews } from './sliding.js'

/**
 * The cotangent of MaxPool without its Indices, which WebGPU can't give: every window is laid out along an axis, its
 * first element that equals the maximum takes the cotangent, and all go back to where they were (MaxPool 12).
 *
 * Windows that tile the image are laid out by exchanging axes, others by slices, and where the image's size is not known
 * by a convolution with 0 and 1. What overlaps is put back by a transposed convolution with these, which adds it up.
 */
export function unfoldedMaximumBack(c: VjpContext): string {
  const { builder } = c
  const layout = tiled(c) ?? sliced(c) ?? convolved(c)
  const f = new Formula(builder, c.g)
  const equal = f.mask('Equal', layout.patches, single(c, c.y()))
  const attains = layout.inside === undefined ? equal : f.mul(equal, layout.inside)
  const order = builder.add('CumSum', [attains, builder.scalar(1, 'int64')])
  const first = f.mul(attains, f.mask('Equal', order, 1))
  const back = layout.putBack(f.mul(first, single(c, c.g)))
  return builder.reshapeTo(back, builder.shape(c.x(0)))
}

/** The windows of an image. */
interface Layout {
  /** [batch x channel, places, ...output]: the elements by their place in the window. */
  readonly patches: string
  /** 1 for places of a window that lie in the image, 0 for padding, where that does not show in the patches. */
  readonly inside?: string
  /** From values laid out like the patches to one in the order of the image. */
  readonly putBack: (value: string) => string
}

/** Windows beside each other, [n, h, p, w, q] as [n, p, q, h, w]. */
function tiled(c: VjpContext): Layout | undefined {
  const { builder } = c
  const image = staticShape(c.shape(0).slice(2))
  const window = image && tiling(c, image)
  if (window === undefined) return undefined
  const rank = window.length
  const count = image!.map((length, axis) => length / window[axis]!)
  const axes = window.map((_, axis) => axis)
  const split = axes.flatMap((axis) => [count[axis]!, window[axis]!])
  const apart = builder.transpose(builder.reshape(c.x(0), [-1, ...split]), [
    0,
    ...axes.map((axis) => 2 * axis + 2),
    ...axes.map((axis) => 2 * axis + 1),
  ])
  const together = [0, ...axes.flatMap((axis) => [1 + rank + axis, 1 + axis])]
  return {
    patches: builder.reshape(apart, [-1, elementCount(window), ...count]),
    putBack: (value) => builder.transpose(builder.reshape(value, [-1, ...window, ...count]), together),
  }
}

/** Below every number of a network, so that padding is no maximum. */
const LOWEST = -3.4028234663852886e38

function sliced(c: VjpContext): Layout | undefined {
  const { builder } = c
  const sizes = [c.x(0), c.y()].map((value) => staticShape(builder.shapeOf(value)?.slice(2)))
  const [image, count] = sizes
  if (image === undefined || count === undefined) return undefined
  const window = wholeWindow(c)
  const { padsBegin, padsEnd, kernel, strides, dilations } = window
  const padded = [...padsBegin, ...padsEnd].some((pad) => pad > 0)
    ? builder.add('Pad', [
        single(c, c.x(0)),
        builder.integers([0, 0, ...padsBegin, 0, 0, ...padsEnd]),
        builder.scalar(LOWEST, builder.dtype(c.g)),
      ])
    : single(c, c.x(0))
  const patches = kernel.reduceRight((value, length, axis) => {
    const along = {
      axis: axis + 2,
      count: length,
      apart: dilations[axis]!,
      length: count[axis]!,
      step: strides[axis]!,
    }
    return slidViews(builder, value, along, 1)
  }, padded)
  return { patches, putBack: (value) => addedBack(c, value, window) }
}

/** For images whose size comes out only when the graph runs. */
function convolved(c: VjpContext): Layout {
  const window = wholeWindow(c)
  const patches = cutLikeResult(c, unfold(c, single(c, c.x(0)), window), window)
  const inside = insideImage(c, window)
  return { patches, ...(inside && { inside }), putBack: (value) => addedBack(c, value, window) }
}

function addedBack(c: VjpContext, value: string, window: Window): string {
  return transposedConvolution(c.builder, value, places(c, window), window, 1, single(c, c.x(0)))
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
function insideImage(c: VjpContext, window: Window): string | undefined {
  if ([...window.padsBegin, ...window.padsEnd].every((pad) => pad === 0)) return undefined
  const { builder } = c
  const size = builder.sizes(c.x(0), spatialAxes(window))
  const shape = builder.add('Concat', [builder.integers([1, 1]), size], { axis: 0 })
  const ones = builder.add('Expand', [builder.scalar(1, builder.dtype(c.g)), shape])
  return cutLikeResult(c, unfold(c, ones, window), window)
}
