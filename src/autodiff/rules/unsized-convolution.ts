import { intAttribute, intsAttribute, stringAttribute } from '../../onnx/attributes.js'
import { Integers } from '../integers.js'
import type { Integer } from '../integers.js'
import type { VjpContext } from '../rule.js'
import { fittingKernelGradient } from './convolution-weights.js'
import { withZerosAround } from './placing.js'
import type { Margin } from './placing.js'

/** The axes of an image, between which a kernel of unknown size moves. */
export interface UnsizedWindow {
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
}

export function unsizedWindow(c: VjpContext): UnsizedWindow {
  const ones = c.shape(1).flatMap((_, axis) => (axis < 2 ? [] : [1]))
  const [strides, dilations] = ['strides', 'dilations'].map((name) => intsAttribute(c.node, name) ?? ones)
  return { strides: strides!, dilations: dilations! }
}

/** How many elements the kernel spans along an axis, and how many all of its places do: (count - 1) stride + span. */
export function spans(
  c: VjpContext,
  { strides, dilations }: UnsizedWindow,
  axis: number,
  count: Integer,
): { readonly kernel: Integer; readonly image: Integer } {
  const integers = new Integers(c.builder)
  const size = integers.size(c.x(1), axis + 2)
  const kernel = integers.add(integers.mul(integers.sub(size, 1), dilations[axis]!), 1)
  return { kernel, image: integers.add(integers.mul(integers.sub(count, 1), strides[axis]!), kernel) }
}

/**
 * Conv 11 with a kernel whose size comes out only when the graph runs. All padding is done by Pads, so that the windows
 * cover the image exactly: dX is the transposed convolution without its margins, dW the convolution of the image with
 * the cotangent.
 */
export function unsizedConvolutionBack(c: VjpContext): (string | undefined)[] {
  const { builder } = c
  const window = unsizedWindow(c)
  const axes = window.strides.map((_, axis) => axis)
  const group = intAttribute(c.node, 'group', 1)
  const margins = axes.map((axis) => marginsOf(c, window, axis))
  return [
    c.needs(0)
      ? withZerosAround(
          builder,
          transposed(c, window, group),
          margins.map((one) => negative(c, one)),
        )
      : undefined,
    c.needs(1)
      ? fittingKernelGradient({
          builder,
          x: withZerosAround(builder, c.x(0), margins),
          g: c.g,
          window,
          group,
          channels: c.shape(1)[1],
          forms: c.settings.forms,
        })
      : undefined,
    c.needs(2) ? builder.sum(c.g, [0, ...axes.map((axis) => axis + 2)], false) : undefined,
  ]
}

function transposed(c: VjpContext, { strides, dilations }: UnsizedWindow, group: number): string {
  return c.builder.add('ConvTranspose', [c.g, c.x(1)], { strides, dilations, group })
}

/** What the windows cover before and behind the image; negative behind it where a stride leaves elements over. */
function marginsOf(c: VjpContext, window: UnsizedWindow, axis: number): Margin {
  const integers = new Integers(c.builder)
  const { image } = spans(c, window, axis, integers.size(c.g, axis + 2))
  const beyond = integers.sub(image, integers.size(c.x(0), axis + 2))
  const before = paddingBefore(c, axis, beyond)
  return { axis: axis + 2, before, after: integers.sub(beyond, before) }
}

function paddingBefore(c: VjpContext, axis: number, beyond: Integer): Integer {
  const integers = new Integers(c.builder)
  const autoPad = stringAttribute(c.node, 'auto_pad', 'NOTSET')
  if (autoPad === 'VALID') return 0
  if (autoPad === 'NOTSET') return intsAttribute(c.node, 'pads')?.[axis] ?? 0
  const total = integers.max(beyond, 0)
  const half = integers.div(total, 2)
  return autoPad === 'SAME_UPPER' ? half : integers.sub(total, half)
}

function negative(c: VjpContext, { axis, before, after }: Margin): Margin {
  const integers = new Integers(c.builder)
  return { axis, before: integers.sub(0, before), after: integers.sub(0, after) }
}
