import { intAttribute, intsAttribute, stringAttribute } from '../../onnx/attributes.js'
import { Integers } from '../integers.js'
import type { Integer } from '../integers.js'
import type { VjpContext } from '../rule.js'
import { fittingKernelGradient, kernelGradient } from './convolution-weights.js'
import { withZerosAround } from './placing.js'
import type { Margin } from './placing.js'
import { spans, unsizedWindow } from './unsized-convolution.js'
import type { UnsizedWindow } from './unsized-convolution.js'
import { kernelOf } from './windows.js'

/** Y = X *^T W + b (ConvTranspose 11, 22), W being [C, M / group, ...]. */
export function transposedBack(c: VjpContext): (string | undefined)[] {
  const { builder } = c
  const { image, window, pads } = convolvedView(c)
  const { strides, dilations } = window
  const group = intAttribute(c.node, 'group', 1)
  return [
    c.needs(0)
      ? builder.add('Conv', [image, c.x(1)], { strides, dilations, ...(pads && { pads }), group })
      : undefined,
    c.needs(1) ? weightGradient(c) : undefined,
    c.needs(2) ? builder.sum(c.g, [0, ...strides.map((_, axis) => axis + 2)], false) : undefined,
  ]
}

function weightGradient(c: VjpContext): string {
  const { image, window, pads } = convolvedView(c)
  const group = intAttribute(c.node, 'group', 1)
  const { builder } = c
  const base = { builder, x: image, g: c.x(0), group, channels: c.shape(1)[1], forms: c.settings.forms }
  const kernel = kernelOf(c)
  if (pads === undefined || kernel === undefined) return fittingKernelGradient({ ...base, window })
  const [padsBegin, padsEnd] = [pads.slice(0, kernel.length), pads.slice(kernel.length)]
  return kernelGradient({ ...base, window: { ...window, kernel, padsBegin, padsEnd } })
}

/** The cotangent as the image of a convolution that gives exactly the input's size. */
interface ConvolvedView {
  readonly image: string
  readonly window: UnsizedWindow
  /** The convolution's own padding; undefined where the image is padded already, and covered exactly. */
  readonly pads: readonly number[] | undefined
}

/**
 * What the transposed convolution cut off at both ends is put back as zeros, what output_padding added at the end is
 * cut or left over: by the convolution's own padding where that is known and it can, else by a Pad.
 */
function convolvedView(c: VjpContext): ConvolvedView {
  const window = unsizedWindow(c)
  const margins = window.strides.map((_, axis) => marginsOf(c, window, axis))
  const pads = kernelOf(c) && ownPadding(margins, window)
  return { image: pads ? c.g : withZerosAround(c.builder, c.g, margins), window, pads }
}

function ownPadding(margins: readonly Margin[], { strides }: UnsizedWindow): number[] | undefined {
  const known = margins.flatMap(({ before, after }, axis) =>
    typeof before === 'number' && typeof after === 'number' && after > -strides[axis]!
      ? [[before, Math.max(0, after)] as const]
      : [],
  )
  if (known.length < margins.length) return undefined
  return [...known.map(([before]) => before), ...known.map(([, after]) => after)]
}

/** Zeros to be put before and after the cotangent along an axis; negative ones are elements that came from nowhere. */
function marginsOf(c: VjpContext, window: UnsizedWindow, axis: number): Margin {
  const integers = new Integers(c.builder)
  const rank = window.strides.length
  const added = intsAttribute(c.node, 'output_padding')?.[axis] ?? 0
  const pads = intsAttribute(c.node, 'pads') ?? []
  const autoPad = stringAttribute(c.node, 'auto_pad', 'NOTSET')
  const explicit = !c.node.attributes.has('output_shape')
  if (explicit && autoPad === 'VALID') return { axis: axis + 2, before: 0, after: -added }
  if (explicit && autoPad === 'NOTSET')
    return { axis: axis + 2, before: pads[axis] ?? 0, after: (pads[rank + axis] ?? 0) - added }
  const { kernel, image } = spans(c, window, axis, integers.size(c.x(0), axis + 2))
  const total = integers.max(
    generatedPadding(c, window, axis, integers.add(explicit ? kernel : image, added)),
    0,
  )
  const half = integers.div(total, 2)
  const before = autoPad === 'SAME_UPPER' ? half : integers.sub(total, half)
  const size = integers.size(c.g, axis + 2)
  return { axis: axis + 2, before, after: integers.sub(integers.sub(image, size), before) }
}

/**
 * What is cut off in all along an axis for a wanted size: output_shape, or the input's size times the stride, of which
 * a span of the kernel and its last step are left.
 */
function generatedPadding(c: VjpContext, { strides }: UnsizedWindow, axis: number, span: Integer): Integer {
  const wanted = intsAttribute(c.node, 'output_shape')?.slice(-strides.length)[axis]
  return new Integers(c.builder).sub(span, wanted ?? strides[axis]!)
}
