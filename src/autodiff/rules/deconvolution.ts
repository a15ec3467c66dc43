import { intAttribute, intsAttribute, stringAttribute } from '../../onnx/attributes.js'
import { extent } from '../../onnx/shapes/spatial.js'
import type { Unpadded } from '../../onnx/shapes/spatial.js'
import { Integers } from '../integers.js'
import type { Integer } from '../integers.js'
import { RuleRefusal } from '../rule.js'
import type { VjpContext } from '../rule.js'
import { kernelGradient, spatialAxes } from './convolution-weights.js'
import { withZerosAround } from './placing.js'
import { kernelOf } from './windows.js'

/** Y = X *^T W + b (ConvTranspose 11, 22), W being [C, M / group, ...]. */
export function transposedBack(c: VjpContext): (string | undefined)[] {
  const { builder } = c
  const view = convolvedView(c)
  const { strides, dilations, kernel, padsBegin, padsEnd } = view
  const group = intAttribute(c.node, 'group', 1)
  const pads = [...padsBegin, ...padsEnd]
  const image = view.image
  return [
    c.needs(0) ? builder.add('Conv', [image, c.x(1)], { strides, dilations, pads, group }) : undefined,
    c.needs(1)
      ? kernelGradient({ builder, x: image, g: c.x(0), window: view, group, channels: c.shape(1)[1] })
      : undefined,
    c.needs(2) ? builder.sum(c.g, [0, ...spatialAxes({ kernel })], false) : undefined,
  ]
}

/** The cotangent as the image of a convolution that gives exactly the input's size. */
interface ConvolvedView extends Unpadded {
  readonly image: string
  readonly padsBegin: readonly number[]
  readonly padsEnd: readonly number[]
}

/**
 * What the transposed convolution cut off at both ends is put back as zeros, what output_padding added at the end is
 * cut or left over: by the convolution's own padding where that is known and it can, else by a Pad.
 */
function convolvedView(c: VjpContext): ConvolvedView {
  const { kernel, strides, dilations } = windowSizes(c)
  const margins = kernel.map((_, axis) => marginsOf(c, { kernel, strides, dilations }, axis))
  const known = margins.flatMap(([before, after], axis): number[] =>
    typeof before === 'number' && typeof after === 'number' && after > -strides[axis]!
      ? [before, Math.max(0, after)]
      : [],
  )
  const base = { kernel, strides, dilations }
  if (known.length === 2 * kernel.length)
    return {
      ...base,
      image: c.g,
      padsBegin: known.filter((_, i) => i % 2 === 0),
      padsEnd: known.filter((_, i) => i % 2 === 1),
    }
  const wanted = margins.map(([before, after], i) => ({ axis: i + 2, before, after }))
  const none = kernel.map(() => 0)
  return { ...base, image: withZerosAround(c.builder, c.g, wanted), padsBegin: none, padsEnd: none }
}

function windowSizes(c: VjpContext): Unpadded {
  const kernel = kernelOf(c)
  if (kernel === undefined) throw new RuleRefusal('the kernel size is not known')
  const ones = kernel.map(() => 1)
  const [strides, dilations] = ['strides', 'dilations'].map((name) => intsAttribute(c.node, name) ?? ones)
  return { kernel, strides: strides!, dilations: dilations! }
}

/** Zeros to be put before and after the cotangent along an axis; negative ones are elements that came from nowhere. */
function marginsOf(c: VjpContext, window: Unpadded, axis: number): [before: Integer, after: Integer] {
  const integers = new Integers(c.builder)
  const added = intsAttribute(c.node, 'output_padding')?.[axis] ?? 0
  const pads = intsAttribute(c.node, 'pads') ?? window.kernel.flatMap(() => [0, 0])
  const autoPad = stringAttribute(c.node, 'auto_pad', 'NOTSET')
  const explicit = !c.node.attributes.has('output_shape')
  if (explicit && autoPad === 'VALID') return [0, -added]
  if (explicit && autoPad === 'NOTSET') return [pads[axis]!, pads[window.kernel.length + axis]! - added]
  const total = integers.max(generatedPadding(c, window, axis, added), 0)
  const half = integers.div(total, 2)
  const begin = autoPad === 'SAME_UPPER' ? half : integers.sub(total, half)
  const full = fullSize(c, window, axis)
  const size = integers.size(c.g, axis + 2)
  return [begin, integers.sub(integers.sub(full, size), begin)]
}

/** What is cut off in all along an axis for a wanted output size: output_shape, or the input's size times the stride. */
function generatedPadding(c: VjpContext, window: Unpadded, axis: number, added: number): Integer {
  const integers = new Integers(c.builder)
  const wanted = intsAttribute(c.node, 'output_shape')?.slice(-window.kernel.length)[axis]
  if (wanted === undefined) return extent(window, axis) + added - window.strides[axis]!
  return integers.sub(integers.add(fullSize(c, window, axis), added), wanted)
}

/** The size along an axis if nothing were cut off. */
function fullSize(c: VjpContext, window: Unpadded, axis: number): Integer {
  const integers = new Integers(c.builder)
  const steps = integers.sub(integers.size(c.x(0), axis + 2), 1)
  return integers.add(integers.mul(steps, window.strides[axis]!), extent(window, axis))
}
