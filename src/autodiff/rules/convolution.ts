import { intAttribute, intsAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import type { Shape } from '../../onnx/graph.js'
import { staticShape } from '../../onnx/shapes/dims.js'
import { extent, windowOf } from '../../onnx/shapes/spatial.js'
import type { Window } from '../../onnx/shapes/spatial.js'
import { RuleRefusal } from '../rule.js'
import type { Vjp, VjpContext } from '../rule.js'

export const CONVOLUTION = {
  // Y = X * W + b (Conv 11): dX is the transposed convolution of G with W, dW the convolution of X with G, db the sum of G
  Conv: (c) => {
    const window = convolutionWindow(c)
    return [
      c.needs(0) ? dataGradient(c, window) : undefined,
      c.needs(1) ? weightGradient(c, window) : undefined,
      c.needs(2) ? c.builder.sum(c.g, [0, ...spatialAxes(window)], false) : undefined,
    ]
  },
} as const satisfies Record<string, Vjp>

function convolutionWindow(c: VjpContext): Window {
  const kernel = staticShape(c.shape(1).slice(2)) ?? intsAttribute(c.node, 'kernel_shape')
  if (kernel === undefined) throw new RuleRefusal('the kernel size is not known')
  const window = windowOf(c.node, kernel, c.shape(0).slice(2))
  if (typeof window === 'string') throw new RuleRefusal(window)
  return window
}

/** The axes after batch and channel. */
export function spatialAxes({ kernel }: Window): number[] {
  return kernel.map((_, axis) => axis + 2)
}

function dataGradient(c: VjpContext, window: Window): string {
  return transposedConvolution(c.builder, c.g, c.x(1), window, intAttribute(c.node, 'group', 1), c.x(0))
}

/**
 * The transposed convolution of `g` with `w`, in the spatial size of `like`: what the window left over at the end of
 * an axis gets zeros, as output_padding where sizes are known, else by cutting a longer one when the graph runs.
 */
export function transposedConvolution(
  builder: GraphBuilder,
  g: string,
  w: string,
  window: Window,
  group: number,
  like: string,
): string {
  const size = staticShape(builder.shapeOf(like)?.slice(2))
  const count = staticShape(builder.shapeOf(g)?.slice(2))
  const base = { strides: window.strides, dilations: window.dilations, group, kernel_shape: window.kernel }
  if (size === undefined || count === undefined) {
    const value = builder.add('ConvTranspose', [g, w], { ...base, ...longEnough(window) })
    return window.strides.every((stride) => stride === 1) ? value : cutToSize(builder, value, window, like)
  }
  const beyond = size.map(
    (length, axis) =>
      (count[axis]! - 1) * window.strides[axis]! + extent(window, axis) - window.padsBegin[axis]! - length,
  )
  return builder.add('ConvTranspose', [g, w], {
    ...base,
    pads: [...window.padsBegin, ...beyond.map((length) => Math.max(0, length))],
    output_padding: beyond.map((length) => Math.max(0, -length)),
  })
}

/**
 * Settings by which a transposed convolution is as long as any image that the window may have come from: with stride 1
 * exactly; otherwise nothing is taken from its end, because what is left over there is not known.
 */
function longEnough({ strides, padsBegin, padsEnd }: Window): { pads: number[]; output_padding: number[] } {
  const end = padsEnd.map((pad, axis) => (strides[axis] === 1 ? pad : 0))
  return { pads: [...padsBegin, ...end], output_padding: strides.map((stride) => stride - 1) }
}

function cutToSize(builder: GraphBuilder, value: string, window: Window, like: string): string {
  const axes = spatialAxes(window)
  const zeros = builder.integers(axes.map(() => 0))
  return builder.add('Slice', [value, zeros, builder.sizes(like, axes), builder.integers(axes)])
}

/**
 * dW as a convolution with batch and channel exchanged: X^T [C, N, ...] with G^T [M, N, ...] as its kernel, strides
 * and dilations exchanged, gives dW^T [C, M, ...]. With groups, X is laid out as [C/G, G N, ...].
 */
function weightGradient(c: VjpContext, window: Window): string {
  const { builder } = c
  const group = intAttribute(c.node, 'group', 1)
  const exchange = [1, 0, ...spatialAxes(window)]
  const value = builder.add('Conv', [groupedInput(c, group, window), builder.transpose(c.g, exchange)], {
    strides: window.dilations,
    dilations: window.strides,
    pads: [...window.padsBegin, ...window.padsEnd],
    group,
  })
  return builder.transpose(cropToKernel(builder, value, window), exchange)
}

function groupedInput(c: VjpContext, group: number, window: Window): string {
  const { builder } = c
  const axes = spatialAxes(window)
  if (group === 1) return builder.transpose(c.x(0), [1, 0, ...axes])
  const channels = c.shape(1)[1]
  if (typeof channels !== 'number') throw new RuleRefusal('the number of channels per group is not known')
  const spatial = builder.sizes(c.x(0), axes)
  const concat = (...sizes: number[]): string =>
    builder.add('Concat', [builder.integers(sizes), spatial], { axis: 0 })
  const split = builder.reshapeTo(c.x(0), concat(-1, group, channels))
  const moved = builder.transpose(split, [2, 1, 0, ...axes.map((axis) => axis + 1)])
  return builder.reshapeTo(moved, concat(channels, -1))
}

/** A stride may leave input elements at the end that no window covers; they add rows after the kernel's own. */
function cropToKernel(builder: GraphBuilder, value: string, window: Window): string {
  const size: Shape | undefined = builder.shapeOf(value)?.slice(2)
  const exact =
    window.strides.every((stride) => stride === 1) || size?.every((dim, axis) => dim === window.kernel[axis])
  if (exact === true) return value
  const axes = spatialAxes(window)
  const zeros = builder.integers(axes.map(() => 0))
  return builder.add('Slice', [value, zeros, builder.integers(window.kernel), builder.integers(axes)])
}
