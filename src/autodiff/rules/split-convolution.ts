import { intAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import type { Node } from '../../onnx/graph.js'
import { staticShape } from '../../onnx/shapes/dims.js'
import { spatialOutput, windowOf } from '../../onnx/shapes/spatial.js'
import type { Window } from '../../onnx/shapes/spatial.js'
import { elementCount } from '../../tensor.js'
import type { RewriteContext } from '../rule.js'
import type { ProviderForm } from './provider-forms.js'
import { slidViews } from './sliding.js'

/** Sums of fewer products than this are short enough for one thread each. */
const LONG_SUM = 1024

/** Results that keep a GPU busy: its units compute some ten thousand at once. */
const ENOUGH_RESULTS = 2 ** 16

/** Elements of all views of the image: 64 MiB, half of what a WebGPU device binds at once by default. */
const MOST_UNFOLDED = 2 ** 24

/**
 * A convolution of few results, each of which sums up very many products: the gradient of a convolution's kernel, whose
 * own kernel is as large as the image. The provider computes a result in one thread, so that most of a GPU would wait.
 * Here the image is laid out once for each place of the kernel, and a stack of matrix products sums up parts of the
 * channels (samples, in that gradient), which are added up then.
 */
export const SPLIT_CONVOLUTION: ProviderForm = {
  applies: (node, builder) => shapeOfSplit(node, builder) !== undefined,
  rewrite: (c) => [split(c, shapeOfSplit(c.node, c.builder)!)],
}

interface Split {
  readonly window: Window
  readonly group: number
  /** [batch, channels, ...image]. */
  readonly image: readonly number[]
  readonly filters: number
  /** Sizes of the result's spatial axes. */
  readonly places: readonly number[]
  /** Into how many parts the channels of a group are cut. */
  readonly parts: number
}

function shapeOfSplit(node: Node, builder: GraphBuilder): Split | undefined {
  const [image, kernel] = [0, 1].map((input) => staticShape(builder.shapeOf(node.inputs[input]!)))
  if (image === undefined || kernel === undefined || builder.dtype(node.inputs[0]!) !== 'float32')
    return undefined
  const [filters, channels, ...size] = kernel as [number, number, ...number[]]
  const window = windowOf(node, size, image.slice(2))
  const places = staticShape(spatialOutput(node, size, image.slice(2), () => ''))
  if (typeof window === 'string' || places === undefined) return undefined
  const results = image[0]! * filters * elementCount(places)
  const unfolded = image[0]! * elementCount(places) * image[1]! * elementCount(size)
  const products = channels * elementCount(size)
  if (products < LONG_SUM || results >= ENOUGH_RESULTS || results === 0 || unfolded > MOST_UNFOLDED)
    return undefined
  const parts = smallestDivisor(channels, ENOUGH_RESULTS / results)
  return { window, group: intAttribute(node, 'group', 1), image, filters, places, parts }
}

/** The smallest divisor of a number that is at least so large; else the number itself. */
function smallestDivisor(number: number, least: number): number {
  for (let divisor = Math.ceil(least); divisor < number; divisor += 1)
    if (number % divisor === 0) return divisor
  return number
}

/** Y[b, m, o] = sum over channels and kernel of X[b, c, o stride + k dilation] W[m, c, k], plus the bias (Conv 11). */
function split(c: RewriteContext, shape: Split): string {
  const { builder } = c
  const { group, image, filters, places, parts } = shape
  const [batch, own] = [image[0]!, filters / group]
  const rank = places.length
  const axes = places.map((_, axis) => axis)
  // [group x parts, places x batch, products] times [group x parts, products, own]
  const each = builder.add('MatMul', [views(c, shape), kernels(c, shape)])
  const laidOut = builder.reshape(each, [group, parts, ...places, batch, own])
  const sum =
    parts === 1 ? builder.reshape(each, [group, ...places, batch, own]) : builder.sum(laidOut, [1], false)
  const moved = builder.transpose(sum, [rank + 1, 0, rank + 2, ...axes.map((axis) => axis + 1)])
  const y = builder.reshape(moved, [batch, filters, ...places])
  if (c.x(2) === '') return y
  return builder.add('Add', [y, builder.reshape(c.x(2), [filters, ...axes.map(() => 1)])])
}

/** [group x parts, places x batch, products]: what each result multiplies its kernel with. */
function views(c: RewriteContext, { window, group, image, places, parts }: Split): string {
  const { builder } = c
  const { padsBegin, padsEnd, kernel, strides, dilations } = window
  const [batch, channels, ...size] = image as [number, number, ...number[]]
  const padded = [...padsBegin, ...padsEnd].some((pad) => pad > 0)
    ? builder.add('Pad', [c.x(0), builder.integers([0, 0, ...padsBegin, 0, 0, ...padsEnd])])
    : c.x(0)
  const whole = size.map((length, axis) => length + padsBegin[axis]! + padsEnd[axis]!)
  const cut = builder.reshape(padded, [batch, group * parts, channels / group / parts, ...whole])
  const front = builder.transpose(cut, [1, 0, 2, ...size.map((_, axis) => axis + 3)])
  const slid = places.reduceRight((value, count, axis) => {
    const slide = {
      axis: axis + 3,
      count,
      apart: strides[axis]!,
      length: kernel[axis]!,
      step: dilations[axis]!,
    }
    return slidViews(builder, value, slide, 1)
  }, front)
  return builder.reshape(slid, [group * parts, elementCount(places) * batch, -1])
}

/** [group x parts, products, filters of a group]. The axes of a kernel that was exchanged before are exchanged once. */
function kernels(c: RewriteContext, { group, filters, parts, places }: Split): string {
  const { builder } = c
  const axes = places.map((_, axis) => axis + 2)
  const own = filters / group
  if (group === 1) return builder.reshape(builder.transpose(c.x(1), [1, ...axes, 0]), [parts, -1, own])
  const cut = builder.reshape(c.x(1), [group, own, parts, -1])
  return builder.reshape(builder.transpose(cut, [0, 2, 3, 1]), [group * parts, -1, own])
}
