import { intAttribute, intsAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import { staticShape } from '../../onnx/shapes/dims.js'
import type { Shape } from '../../onnx/graph.js'
import { extent, windowOf } from '../../onnx/shapes/spatial.js'
import { elementCount } from '../../tensor.js'
import { Integers } from '../integers.js'
import { RuleRefusal } from '../rule.js'
import type { RewriteContext, VjpContext } from '../rule.js'
import { scatterFlat } from './placing.js'
import { unfoldedMaximumBack } from './unfolded-pooling.js'

/** The cotangent goes to the element that was the maximum (MaxPool 12); of equal ones to the first, as PyTorch. */
export function maximumBack(c: VjpContext): string {
  if (c.settings.forms === 'webgpu') return unfoldedMaximumBack(c)
  const across = acrossAxis(c)
  if (across !== undefined) return across
  const indices = c.builder.requireOutput(c.node, 1)
  const placed = c.settings.forms === 'cpu' ? unpool(c, indices) : undefined
  return placed ?? scatter(c, indices)
}

/** Where the windows cover the image exactly once, MaxUnpool undoes MaxPool (ONNX Runtime has it for float32 alone). */
function unpool(c: VjpContext, indices: string): string | undefined {
  const window = tiling(c, c.shape(0).slice(2))
  if (window === undefined || c.builder.dtype(c.g) !== 'float32') return undefined
  return c.builder.add('MaxUnpool', [c.g, indices], { kernel_shape: window, strides: window })
}

/** The size of windows that lie beside each other and cover an image of known size exactly. */
export function tiling(c: Pick<VjpContext, 'node'>, image: Shape): readonly number[] | undefined {
  const window = windowOf(c.node, kernelShape(c), image)
  if (typeof window === 'string') return undefined
  const { kernel, strides, dilations, padsBegin, padsEnd } = window
  const exact = image.every(
    (length, axis) =>
      typeof length === 'number' &&
      kernel[axis] === strides[axis] &&
      dilations[axis] === 1 &&
      padsBegin[axis] === 0 &&
      padsEnd[axis] === 0 &&
      length % kernel[axis]! === 0,
  )
  return exact ? kernel : undefined
}

/** Every element is compared with all of its window; among more of them Indices are found quicker. */
export const MOST_ACROSS = 9

/**
 * Windows of the whole first spatial axis, [N, C, p, ...] to [N, C, 1, ...]: a maximum over an axis, which is computed
 * in place of MaxPool. An element takes the cotangent if it equals the maximum and none before it does:
 * relu(e_i - sum of e_j over j < i) with e = [x = max].
 */
function acrossAxis(c: VjpContext): string | undefined {
  const { builder } = c
  const [elements, ...rest] = staticShape(c.shape(0).slice(2)) ?? []
  if (elements === undefined || !spansFirstAxis(c, elements) || builder.dtype(c.g) !== 'float32')
    return undefined
  const inputs = [c.x(0), builder.integers([2])]
  builder.replace(c.node, { ...c.node, op: 'ReduceMax', inputs, attributes: new Map() })
  const row = elementCount(rest)
  const flat = (value: string, count: number): string => builder.reshape(value, [-1, count, row])
  const equal = builder.add('Equal', [flat(c.x(0), elements), flat(c.y(), 1)])
  const attains = builder.cast(equal, 'float32')
  const first = builder.add('Relu', [builder.add('Conv', [attains, lessEarlier(builder, elements)])])
  return builder.reshapeLike(builder.mul(first, flat(c.g, 1)), c.x(0))
}

function spansFirstAxis(c: VjpContext, elements: number): boolean {
  const [first, ...others] = tiling(c, c.shape(0).slice(2)) ?? []
  const alone = c.node.outputs.slice(1).every((name) => name === '')
  return alone && first === elements && elements <= MOST_ACROSS && others.every((length) => length === 1)
}

/** [count, count, 1]: filter i gives element i less the sum of those before it. */
function lessEarlier(builder: GraphBuilder, count: number): string {
  const entry = (i: number, j: number): number => (i === j ? 1 : j < i ? -1 : 0)
  const values = Array.from({ length: count * count }, (_, at) => entry(Math.floor(at / count), at % count))
  return builder.constant('float32', [count, count, 1], values)
}

/** Indices count through the whole flattened input; where windows overlap, cotangents of one element add up. */
function scatter(c: VjpContext, indices: string): string {
  const kernel = kernelShape(c)
  const ones = kernel.map(() => 1)
  const strides = intsAttribute(c.node, 'strides') ?? ones
  const dilations = intsAttribute(c.node, 'dilations') ?? ones
  const apart = strides.every((stride, axis) => stride >= extent({ kernel, strides, dilations }, axis))
  return scatterFlat(c.builder, c.g, indices, c.x(0), apart)
}

/** Windows are laid out in constants of their size. */
const LARGEST_KERNEL = 2 ** 24

/** The window's size, which poolings must say. */
export function kernelShape(c: Pick<VjpContext, 'node'>): number[] {
  const kernel = intsAttribute(c.node, 'kernel_shape')
  if (kernel === undefined) throw new RuleRefusal('kernel_shape is missing')
  if (elementCount(kernel) > LARGEST_KERNEL)
    throw new RuleRefusal(`its window has ${elementCount(kernel)} elements, more than ${LARGEST_KERNEL}`)
  return kernel
}

/** MaxPool 8 with Indices that count through each image column by column, in terms of one that counts row by row. */
export function rowByRow(c: RewriteContext): (string | undefined)[] | undefined {
  if (intAttribute(c.node, 'storage_order', 0) === 0) return undefined
  const attributes = new Map([...c.node.attributes].filter(([name]) => name !== 'storage_order'))
  const [maximum, indices] = c.builder.addNode(c.node.op, [c.x(0)], c.wants(1) ? 2 : 1, attributes)
  return [maximum, indices && columnByColumn(c, indices)]
}

/** Row-major positions as ones whose first spatial axis runs fastest. */
function columnByColumn(c: RewriteContext, indices: string): string {
  const { builder } = c
  const integers = new Integers(builder)
  const sizes = c.shape(0).flatMap((_, axis) => (axis < 2 ? [] : [integers.size(c.x(0), axis)]))
  const image = integers.value(integers.product(sizes))
  const within = builder.add('Mod', [indices, image])
  const terms = sizes.map((size, axis) => {
    const behind = integers.value(integers.product(sizes.slice(axis + 1)))
    const at = builder.add('Mod', [builder.add('Div', [within, behind]), integers.value(size)])
    return builder.mul(at, integers.value(integers.product(sizes.slice(0, axis))))
  })
  return [builder.add('Sub', [indices, within]), ...terms].reduce((sum, term) =>
    builder.add('Add', [sum, term]),
  )
}

/** Y = zeros with X at the places that I counts through Y (MaxUnpool 11): the cotangent at these places. */
export function unpoolingBack(c: VjpContext): string {
  return c.builder.add('Gather', [c.builder.reshape(c.g, [-1]), c.x(1)])
}

/** The cotangent goes to the first of the largest elements of an image (GlobalMaxPool 1). */
export function globalMaximumBack(c: VjpContext): string {
  const { builder } = c
  const integers = new Integers(builder)
  const channels = [0, 1].map((axis) => integers.size(c.x(0), axis))
  const flat = (value: string): string => builder.reshapeTo(value, integers.vector([...channels, -1]))
  const image = flat(c.x(0))
  const first = builder.add('ArgMax', [image], { axis: 2 })
  const placed = builder.add('ScatterElements', [builder.zerosLike(image), first, flat(c.g)], { axis: 2 })
  return builder.reshapeLike(placed, c.x(0))
}
