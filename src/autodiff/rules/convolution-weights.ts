import type { GraphBuilder } from '../../onnx/builder.js'
import type { Dim } from '../../onnx/graph.js'
import { staticShape } from '../../onnx/shapes/dims.js'
import type { Window } from '../../onnx/shapes/spatial.js'
import { Integers } from '../integers.js'
import type { Integer } from '../integers.js'
import type { Forms } from '../rule.js'

/** A convolution whose kernel is differentiated: values by name, and what is known of it. */
export interface Convolution {
  readonly builder: GraphBuilder
  /** The image, [N, groups * channels, ...]. */
  readonly x: string
  /** The cotangent of the result, [N, M, ...]. */
  readonly g: string
  readonly window: Window
  readonly group: number
  /** Channels of the image in one group. */
  readonly channels: Dim | undefined
  readonly forms: Forms
}

/**
 * The gradient of a convolution (Conv 11) with respect to its kernel, [M, channels, ...]: a convolution of the image
 * with the cotangent as its kernel, the batch being what is summed over, strides and dilations exchanged.
 */
export function kernelGradient(convolution: Convolution): string {
  const { channels, window, forms } = convolution
  // WebGPU's convolutions are said otherwise once their sizes are known (split-convolution.ts)
  return typeof channels === 'number' && window.dilations.at(-1) === 1 && forms !== 'webgpu'
    ? inOneImage(convolution, channels)
    : channelByChannel(convolution)
}

/**
 * The channels are laid out along the image's last axis, each pixel's beside each other; steps along that axis are
 * then `channels` times as long: X [1, G N, a, z channels] with G [M, N, ...] as its kernel gives dW [1, M, a, z channels].
 * One product of large matrices: with channels as the batch there would be a product of few columns for each.
 */
function inOneImage(convolution: Convolution, channels: number): string {
  const { builder, window, group } = convolution
  const longer = (values: readonly number[]): number[] =>
    values.map((value, axis) => (axis === values.length - 1 ? value * channels : value))
  const value = builder.add('Conv', [pixels(convolution, channels), exchanged(convolution)], {
    strides: window.dilations,
    dilations: longer(window.strides),
    pads: [...longer(window.padsBegin), ...longer(window.padsEnd)],
    group,
  })
  const kernel = croppedTo(builder, value, longer(window.kernel), window)
  const rank = window.kernel.length
  return builder.transpose(builder.reshape(kernel, [-1, ...window.kernel, channels]), [
    0,
    rank + 1,
    ...window.kernel.map((_, axis) => axis + 1),
  ])
}

/** The same for windows that cover the image exactly; the size of the kernel need not be known then. */
export function fittingKernelGradient(
  convolution: Omit<Convolution, 'window'> & { readonly window: Pick<Window, 'strides' | 'dilations'> },
): string {
  const { strides, dilations } = convolution.window
  const none = strides.map(() => 0)
  const window = { strides, dilations, kernel: none, padsBegin: none, padsEnd: none }
  return exchangedBack({ ...convolution, window }, convolved({ ...convolution, window }))
}

/** The cotangent with batch and channel exchanged. */
function exchanged({ builder, g, window }: Convolution): string {
  return builder.transpose(g, [1, 0, ...spatialAxes(window)])
}

/** The image as [1, G N, ..., channels of each pixel]. */
function pixels(convolution: Convolution, channels: number): string {
  const { builder, x, group, window } = convolution
  const axes = spatialAxes(window)
  const sizes = builder.shapeOf(x)?.slice(2)
  const moved =
    group === 1
      ? builder.transpose(x, [0, ...axes, 1])
      : builder.transpose(splitGroups(convolution, channels), [1, 0, ...axes.map((axis) => axis + 1), 2])
  const known = staticShape(sizes)
  if (known !== undefined)
    return builder.reshape(moved, [1, -1, ...known.slice(0, -1), known.at(-1)! * channels])
  const rows = builder.sizes(x, axes.slice(0, -1))
  const last = builder.add('Mul', [builder.sizes(x, axes.slice(-1)), builder.integers([channels])])
  return builder.reshapeTo(moved, concatenated(builder, [builder.integers([1, -1]), rows, last]))
}

/** The image as [N, group, channels, ...]. */
function splitGroups({ builder, x, group, window }: Convolution, channels: Integer): string {
  const spatial = builder.sizes(x, spatialAxes(window))
  const known = staticShape(builder.shapeOf(x)?.slice(2))
  if (known !== undefined && typeof channels === 'number')
    return builder.reshape(x, [-1, group, channels, ...known])
  const front = new Integers(builder).vector([-1, group, channels])
  return builder.reshapeTo(x, concatenated(builder, [front, spatial]))
}

function concatenated(builder: GraphBuilder, sizes: readonly string[]): string {
  return builder.add('Concat', sizes, { axis: 0 })
}

/** X^T [channels, N, ...] with G^T [M, N, ...] as its kernel gives dW^T [channels, M, ...], whatever the dilation. */
function channelByChannel(convolution: Convolution): string {
  const { builder, window } = convolution
  return exchangedBack(convolution, croppedTo(builder, convolved(convolution), window.kernel, window))
}

function convolved(convolution: Convolution): string {
  const { builder, window, group } = convolution
  return builder.add('Conv', [channelsFirst(convolution), exchanged(convolution)], {
    strides: window.dilations,
    dilations: window.strides,
    pads: [...window.padsBegin, ...window.padsEnd],
    group,
  })
}

function exchangedBack({ builder, window }: Convolution, value: string): string {
  return builder.transpose(value, [1, 0, ...spatialAxes(window)])
}

/** The image as [channels, G N, ...]. */
function channelsFirst(convolution: Convolution): string {
  const { builder, x, group, window, channels } = convolution
  const axes = spatialAxes(window)
  if (group === 1) return builder.transpose(x, [1, 0, ...axes])
  const integers = new Integers(builder)
  const count = typeof channels === 'number' ? channels : integers.div(integers.size(x, 1), group)
  const moved = builder.transpose(splitGroups(convolution, count), [2, 1, 0, ...axes.map((axis) => axis + 1)])
  return builder.reshapeTo(
    moved,
    concatenated(builder, [integers.vector([count, -1]), builder.sizes(x, axes)]),
  )
}

/** A stride may leave input elements at the end that no window covers; they add rows after the kernel's own. */
function croppedTo(builder: GraphBuilder, value: string, kernel: readonly number[], window: Window): string {
  const sizes = builder.shapeOf(value)?.slice(2)
  const exact =
    window.strides.every((stride) => stride === 1) || sizes?.every((size, axis) => size === kernel[axis])
  if (exact === true) return value
  const axes = spatialAxes(window)
  const zeros = builder.integers(axes.map(() => 0))
  return builder.add('Slice', [value, zeros, builder.integers(kernel), builder.integers(axes)])
}

/** The axes after batch and channel. */
export function spatialAxes({ kernel }: Pick<Window, 'kernel'>): number[] {
  return kernel.map((_, axis) => axis + 2)
}
