import { intAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import { staticShape } from '../../onnx/shapes/dims.js'
import { windowOf } from '../../onnx/shapes/spatial.js'
import type { Window } from '../../onnx/shapes/spatial.js'
import { elementCount } from '../../tensor.js'
import { Formula } from '../formula.js'
import { Integers } from '../integers.js'
import { RuleRefusal } from '../rule.js'
import type { RewriteContext, VjpContext } from '../rule.js'
import { spatialAxes } from './convolution-weights.js'
import { transposedConvolution } from './convolution.js'
import { kernelShape } from './max-pooling.js'
import { padsAtRun, samePadded, unpadded } from './windows.js'

/** Every element of the window gets g / (number of elements that were averaged) (AveragePool 11, 19). */
export function averageBack(c: VjpContext): string {
  const window = poolingWindow(c)
  return spread(c, window, divided(c, window))
}

export function poolingWindow(c: VjpContext): Window {
  const window = windowOf(c.node, kernelShape(c), c.shape(0).slice(2))
  if (typeof window === 'string') throw new RuleRefusal(window)
  return window
}

/**
 * Padding by auto_pad of an image of symbolic size, by a Pad in front. Where padding is not counted, the average over
 * the padded window is divided by the same average of ones.
 */
export function explicitlyPadded(c: RewriteContext): string[] | undefined {
  const [image, kernel] = [c.builder.shapeOf(c.x(0)), kernelShape(c)]
  if (image === undefined || !padsAtRun(c.node, kernel, image)) return undefined
  const average = unpadded(c, samePadded(c, kernel, c.x(0)))
  if (c.node.op !== 'AveragePool' || intAttribute(c.node, 'count_include_pad', 0) === 1) return [average]
  const axes = image.flatMap((_, axis) => (axis < 2 ? [] : [axis]))
  const single = c.builder.add('Concat', [c.builder.integers([1, 1]), c.builder.sizes(c.x(0), axes)], {
    axis: 0,
  })
  const ones = c.builder.add('Expand', [c.builder.scalar(1, c.builder.dtype(c.x(0))), single])
  return [c.builder.add('Div', [average, unpadded(c, samePadded(c, kernel, ones))])]
}

/** Counts of more windows are computed in the graph. */
const MOST_COUNTS = 2 ** 20

function divided(c: VjpContext, window: Window): string {
  const { builder } = c
  const dtype = builder.dtype(c.g)
  const includesPadding = intAttribute(c.node, 'count_include_pad', 0) === 1
  const size = staticShape(c.shape(0).slice(2))
  const output = staticShape(builder.shapeOf(c.g)?.slice(2))
  const padded = [...window.padsBegin, ...window.padsEnd].some((pad) => pad > 0)
  const overhanging =
    intAttribute(c.node, 'ceil_mode', 0) === 1 && window.strides.some((stride) => stride > 1)
  if (!overhanging && (!padded || includesPadding)) return builder.scale(c.g, 1 / elementCount(window.kernel))
  const known = size !== undefined && output !== undefined && elementCount(output) <= MOST_COUNTS
  if (!known) return builder.add('Div', [c.g, countedAtRun(c, window, includesPadding)])
  const counts = averagedElements(window, size, output, includesPadding)
  return builder.add('Div', [c.g, builder.constant(dtype, [1, 1, ...output], counts)])
}

/** How many elements each window averages, in row-major order of the output: a product over the axes. */
function averagedElements(
  window: Window,
  size: readonly number[],
  output: readonly number[],
  includesPadding: boolean,
): number[] {
  const perAxis = output.map((count, axis) =>
    Array.from({ length: count }, (_, at) => {
      const first = at * window.strides[axis]! - window.padsBegin[axis]!
      const [low, high] = includesPadding
        ? [-window.padsBegin[axis]!, size[axis]! + window.padsEnd[axis]!]
        : [0, size[axis]!]
      const elements = Array.from(
        { length: window.kernel[axis]! },
        (__, i) => first + i * window.dilations[axis]!,
      )
      return elements.filter((element) => element >= low && element < high).length
    }),
  )
  return perAxis.reduce((all, counts) => all.flatMap((a) => counts.map((b) => a * b)), [1])
}

/** The same for sizes that are known at run time only: [output sizes], one axis multiplied to the other. */
function countedAtRun(c: VjpContext, window: Window, includesPadding: boolean): string {
  const rank = window.kernel.length
  const perAxis = window.kernel.map((_, axis) => {
    const behind = Array.from({ length: rank - 1 - axis }, () => 1)
    return c.builder.reshape(countedAlong(c, window, axis, includesPadding), [-1, ...behind])
  })
  return perAxis.reduce((all, counts) => c.builder.mul(all, counts))
}

/** [output size]: places of each window along an axis at which an element is counted. */
function countedAlong(c: VjpContext, window: Window, axis: number, includesPadding: boolean): string {
  const { builder } = c
  const [f, integers] = [new Formula(builder, c.g), new Integers(builder)]
  const begin = window.padsBegin[axis]!
  const taps = Array.from({ length: window.kernel[axis]! }, (_, i) => i * window.dilations[axis]! - begin)
  const size = integers.add(integers.size(c.x(0), axis + 2), includesPadding ? window.padsEnd[axis]! : 0)
  const number = (value: string): string => builder.cast(value, builder.dtype(c.g))
  const starts = f.mul(number(integers.range(integers.size(c.g, axis + 2))), window.strides[axis]!)
  const places = f.add(
    builder.reshape(starts, [-1, 1]),
    builder.constant(builder.dtype(c.g), [taps.length], taps),
  )
  const counted = f.mul(
    f.mask('GreaterOrEqual', places, includesPadding ? -begin : 0),
    f.mask('Less', places, number(integers.value(size))),
  )
  return builder.sum(counted, [1], false)
}

/** Adds each cotangent to all elements of its window: a transposed convolution with ones, channel by channel. */
export function spread(c: VjpContext, window: Window, g: string): string {
  const { builder } = c
  const kernel = [1, 1, ...window.kernel]
  const ones = builder.constant(builder.dtype(g), kernel, new Array<number>(elementCount(kernel)).fill(1))
  const [from, like] = [singleChannel(builder, g, window), singleChannel(builder, c.x(0), window)]
  const value = transposedConvolution(builder, from, ones, window, 1, like)
  return builder.reshapeTo(value, builder.shape(c.x(0)))
}

function singleChannel(builder: GraphBuilder, value: string, window: Window): string {
  const sizes = builder.sizes(value, spatialAxes(window))
  return builder.reshapeTo(value, builder.add('Concat', [builder.integers([-1, 1]), sizes], { axis: 0 }))
}
