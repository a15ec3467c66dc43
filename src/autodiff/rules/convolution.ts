import { intAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import { staticShape } from '../../onnx/shapes/dims.js'
import { extent, windowOf } from '../../onnx/shapes/spatial.js'
import type { Window } from '../../onnx/shapes/spatial.js'
import { elementCount } from '../../tensor.js'
import { RuleRefusal, canonicalRule, rule } from '../rule.js'
import type { RewriteContext, Treatments, VjpContext } from '../rule.js'
import { kernelGradient, spatialAxes } from './convolution-weights.js'
import { transposedBack } from './deconvolution.js'
import { unsizedConvolutionBack } from './unsized-convolution.js'
import { kernelOf, padsAtRun, samePadded, unpadded } from './windows.js'

export const CONVOLUTION: Treatments = {
  // Y = X * W + b (Conv 11): dX is the transposed convolution of G with W, dW the convolution of X with G, db the sum of G
  Conv: canonicalRule((c) => {
    const kernel = kernelOf(c)
    if (kernel === undefined) return unsizedConvolutionBack(c)
    const window = convolutionWindow(c, kernel)
    return [
      c.needs(0) ? dataGradient(c, window) : undefined,
      c.needs(1) ? weightGradient(c, window) : undefined,
      c.needs(2) ? c.builder.sum(c.g, [0, ...spatialAxes(window)], false) : undefined,
    ]
  }, explicitlyPadded),
  // Y = X *^T W + b (ConvTranspose 11): dX is the convolution of G with W, dW that of G with X, db the sum of G
  ConvTranspose: rule(transposedBack),
}

/** Padding by auto_pad of an image of symbolic size, by a Pad in front. */
function explicitlyPadded(c: RewriteContext): string[] | undefined {
  const [image, kernel] = [c.builder.shapeOf(c.x(0)), kernelOf(c)]
  if (image === undefined || kernel === undefined || !padsAtRun(c.node, kernel, image)) return undefined
  return [unpadded(c, samePadded(c, kernel, c.x(0)), c.node.inputs.slice(1))]
}

function convolutionWindow(c: VjpContext, kernel: readonly number[]): Window {
  const window = windowOf(c.node, kernel, c.shape(0).slice(2))
  if (typeof window === 'string') throw new RuleRefusal(window)
  return window
}

function weightGradient(c: VjpContext, window: Window): string {
  return kernelGradient({
    builder: c.builder,
    x: c.x(0),
    g: c.g,
    window,
    group: intAttribute(c.node, 'group', 1),
    channels: c.shape(1)[1],
    forms: c.settings.forms,
  })
}

function dataGradient(c: VjpContext, window: Window): string {
  const group = intAttribute(c.node, 'group', 1)
  const w = favoursConvolution(c, window) ? turnedKernel(c, window, group) : undefined
  if (w === undefined) return transposedConvolution(c.builder, c.g, c.x(1), window, group, c.x(0))
  const beyond = (pads: readonly number[]): number[] =>
    pads.map((pad, axis) => extent(window, axis) - 1 - pad)
  return c.builder.add('Conv', [c.g, w], {
    dilations: window.dilations,
    pads: [...beyond(window.padsBegin), ...beyond(window.padsEnd)],
    group,
  })
}

/** How many times as many products a convolution may take to be quicker than a transposed one. */
const WORTHWHILE = 1.25

/**
 * With stride 1 the transposed convolution is also a convolution of the padded cotangent with the kernel turned round.
 * That is quicker on the CPU provider (whose transposed one adds up its columns in one thread) unless the padding
 * makes the image much larger.
 */
function favoursConvolution(c: VjpContext, window: Window): boolean {
  const pads = window.padsBegin.map((pad, axis) => pad + window.padsEnd[axis]!)
  const span = window.kernel.map((_, axis) => extent(window, axis) - 1)
  const possible = span.every(
    (room, axis) => window.padsBegin[axis]! <= room && window.padsEnd[axis]! <= room,
  )
  if (!possible || window.strides.some((stride) => stride !== 1)) return false
  const [to, from] = [c.x(0), c.g].map((value) => staticShape(c.builder.shapeOf(value)?.slice(2)))
  return to === undefined || from === undefined
    ? pads.every((pad, axis) => pad === span[axis])
    : elementCount(to) <= WORTHWHILE * elementCount(from)
}

/** W [M, C / groups, ...] as [C, M / groups, ...], every spatial axis turned round; undefined where sizes are missing. */
function turnedKernel(c: VjpContext, window: Window, group: number): string | undefined {
  const { builder } = c
  const [filters, channels] = c.shape(1)
  if (group !== 1 && (typeof filters !== 'number' || typeof channels !== 'number')) return undefined
  const axes = spatialAxes(window)
  const exchanged =
    group === 1
      ? builder.transpose(c.x(1), [1, 0, ...axes])
      : exchangedInGroups(builder, c.x(1), group, [filters as number, channels as number, ...window.kernel])
  if (window.kernel.every((size) => size === 1)) return exchanged
  const [starts, steps] = [axes.map(() => -1), axes.map(() => -1)]
  const ends = window.kernel.map((size) => -size - 1)
  return builder.add('Slice', [
    exchanged,
    ...[starts, ends, axes, steps].map((list) => builder.integers(list)),
  ])
}

function exchangedInGroups(
  builder: GraphBuilder,
  w: string,
  group: number,
  [filters, channels, ...kernel]: readonly [number, number, ...number[]],
): string {
  if (channels === 1 && filters === group) return w
  const split = builder.reshape(w, [group, filters / group, channels, ...kernel])
  const moved = builder.transpose(split, [0, 2, 1, ...kernel.map((_, axis) => axis + 3)])
  return builder.reshape(moved, [group * channels, filters / group, ...kernel])
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
