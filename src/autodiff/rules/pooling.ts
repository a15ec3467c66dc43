import { intAttribute, intsAttribute } from '../../onnx/attributes.js'
import { elementCount } from '../../tensor.js'
import { staticShape } from '../../onnx/shapes/dims.js'
import { extent, windowOf } from '../../onnx/shapes/spatial.js'
import type { Window } from '../../onnx/shapes/spatial.js'
import { RuleRefusal } from '../rule.js'
import type { Vjp, VjpContext } from '../rule.js'
import { spatialAxes, transposedConvolution } from './convolution.js'

export const POOLING = {
  // the cotangent goes to the element that was the maximum (MaxPool 12); of equal ones to the first, as PyTorch
  MaxPool: (c) => {
    if (intAttribute(c.node, 'storage_order', 0) !== 0)
      throw new RuleRefusal('storage_order 1 is not supported')
    const indices = c.builder.requireOutput(c.node, 1)
    return [unpool(c, indices) ?? scatter(c, indices)]
  },
  // every element of the window gets g / (number of elements that were averaged) (AveragePool 11, 19)
  AveragePool: (c) => {
    const window = poolingWindow(c)
    return [spread(c, window, divided(c, window))]
  },
  // the window is the whole image
  GlobalAveragePool: (c) => {
    const { builder } = c
    const axes = c.shape(0).flatMap((_, axis) => (axis < 2 ? [] : [axis]))
    const sizes = builder.sizes(c.x(0), axes)
    const count = builder.cast(builder.add('ReduceProd', [sizes], { keepdims: 0 }), builder.dtype(c.g))
    return [builder.expandLike(builder.add('Div', [c.g, count]), c.x(0))]
  },
} as const satisfies Record<string, Vjp>

function kernelOf(c: VjpContext): number[] {
  const kernel = intsAttribute(c.node, 'kernel_shape')
  if (kernel === undefined) throw new RuleRefusal('kernel_shape is missing')
  return kernel
}

function poolingWindow(c: VjpContext): Window {
  const spatial = c.shape(0).slice(2)
  const window = windowOf(c.node, kernelOf(c), spatial)
  if (typeof window === 'string') throw new RuleRefusal(window)
  if (intAttribute(c.node, 'ceil_mode', 0) === 1 && staticShape(spatial) === undefined)
    throw new RuleRefusal(`ceil_mode with symbolic image sizes [${spatial.join(', ')}] is not supported`)
  return window
}

/** Where the windows cover the image exactly once, MaxUnpool undoes MaxPool (ONNX Runtime has it for float32 alone). */
function unpool(c: VjpContext, indices: string): string | undefined {
  const window = windowOf(c.node, kernelOf(c), c.shape(0).slice(2))
  if (typeof window === 'string' || c.builder.dtype(c.g) !== 'float32' || !tiles(c, window)) return undefined
  const { kernel, strides } = window
  return c.builder.add('MaxUnpool', [c.g, indices], { kernel_shape: kernel, strides })
}

function tiles(c: VjpContext, window: Window): boolean {
  const size = staticShape(c.shape(0).slice(2))
  return (
    size?.every(
      (length, axis) =>
        window.kernel[axis] === window.strides[axis] &&
        window.dilations[axis] === 1 &&
        window.padsBegin[axis] === 0 &&
        window.padsEnd[axis] === 0 &&
        length % window.strides[axis]! === 0,
    ) ?? false
  )
}

/** Indices count through the whole flattened input; where windows overlap, cotangents of one element add up. */
function scatter(c: VjpContext, indices: string): string {
  const { builder } = c
  const kernel = kernelOf(c)
  const ones = kernel.map(() => 1)
  const strides = intsAttribute(c.node, 'strides') ?? ones
  const dilations = intsAttribute(c.node, 'dilations') ?? ones
  const overlap = strides.some((stride, axis) => stride < extent({ kernel, strides, dilations }, axis))
  const flat = builder.reshape(builder.zerosLike(c.x(0)), [-1])
  const scattered = builder.add(
    'ScatterElements',
    [flat, builder.reshape(indices, [-1]), builder.reshape(c.g, [-1])],
    overlap ? { axis: 0, reduction: 'add' } : { axis: 0 },
  )
  return builder.reshapeTo(scattered, builder.shape(c.x(0)))
}

function divided(c: VjpContext, window: Window): string {
  const { builder } = c
  const dtype = builder.dtype(c.g)
  const includesPadding = intAttribute(c.node, 'count_include_pad', 0) === 1
  const size = staticShape(c.shape(0).slice(2))
  const padded = [...window.padsBegin, ...window.padsEnd].some((pad) => pad > 0)
  if (size !== undefined && (padded || intAttribute(c.node, 'ceil_mode', 0) === 1)) {
    const output = staticShape(builder.shapeOf(c.g)?.slice(2))!
    const counts = averagedElements(window, size, output, includesPadding)
    return builder.add('Div', [c.g, builder.constant(dtype, [1, 1, ...output], counts)])
  }
  if (padded && !includesPadding)
    throw new RuleRefusal('AveragePool with padding that is not counted needs the size of the image')
  return builder.scale(c.g, 1 / elementCount(window.kernel))
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

/** Adds each cotangent to all elements of its window: a transposed convolution with ones, channel by channel. */
function spread(c: VjpContext, window: Window, g: string): string {
  const { builder } = c
  const axes = spatialAxes(window)
  const single = (value: string): string =>
    builder.reshapeTo(
      value,
      builder.add('Concat', [builder.integers([-1, 1]), builder.sizes(value, axes)], { axis: 0 }),
    )
  const kernel = [1, 1, ...window.kernel]
  const ones = builder.constant(builder.dtype(g), kernel, new Array<number>(elementCount(kernel)).fill(1))
  const value = transposedConvolution(builder, single(g), ones, window, 1, single(c.x(0)))
  return builder.reshapeTo(value, builder.shape(c.x(0)))
}
