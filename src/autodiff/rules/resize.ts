import { intsAttribute, stringAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import { normalizeAxis } from '../../onnx/shapes/dims.js'
import { elementCount } from '../../tensor.js'
import { Integers } from '../integers.js'
import { RuleRefusal } from '../rule.js'
import type { VjpContext } from '../rule.js'
import { sizesOf } from './placing.js'

/**
 * Resize 11 to 19: interpolation goes axis by axis, and along each axis it is a product with a matrix, Y = M X. So
 * dX = M^T G, axis by axis. M is what Resize itself makes of the identity matrix, whatever its mode, its rule of
 * coordinates and its sizes.
 */
export function resizeBack(c: VjpContext): string {
  const factors = repetitions(c)
  if (factors !== undefined) return summedRepetitions(c, factors)
  return movedAxes(c).reduceRight((g, axis) => alongAxis(c, g, axis), c.g)
}

/** The axes that scales, sizes and roi speak of, in their order. */
function namedAxes(c: VjpContext): number[] {
  const { length } = c.shape(0)
  const named = intsAttribute(c.node, 'axes')?.map((axis) => normalizeAxis(axis, length))
  return named ?? Array.from({ length }, (_, axis) => axis)
}

function transformation(c: VjpContext): string {
  return stringAttribute(c.node, 'coordinate_transformation_mode', 'half_pixel')
}

function cropped(c: VjpContext): boolean {
  return transformation(c) === 'tf_crop_and_resize'
}

/** The axes along which anything may move; of the others it is known that they stay as they are. */
function movedAxes(c: VjpContext): number[] {
  const [from, to] = [c.shape(0), c.builder.shapeOf(c.g)]
  const batch = stringAttribute(c.node, 'mode', 'nearest') !== 'nearest' && from.length > 3
  return namedAxes(c).filter((axis) => {
    if (from[axis] === to?.[axis] && !cropped(c)) return false
    // ONNX Runtime interpolates no more axes than three, and not those in front
    return !(batch && axis === 0)
  })
}

/** How often each element is repeated along every axis, where that is all that happens. */
function repetitions(c: VjpContext): number[] | undefined {
  if (stringAttribute(c.node, 'mode', 'nearest') !== 'nearest') return undefined
  const rounding = stringAttribute(c.node, 'nearest_mode', 'round_prefer_floor')
  const where = transformation(c)
  const centred = ['half_pixel', 'half_pixel_symmetric', 'pytorch_half_pixel'].includes(where)
  const repeating = centred ? rounding.startsWith('round') : where === 'asymmetric' && rounding === 'floor'
  if (!repeating) return undefined
  const axes = namedAxes(c)
  const scales = c.builder.realsOf(c.x(2))
  const to = c.builder.shapeOf(c.g)
  const factors = c.shape(0).map((size, axis) => {
    if (to?.[axis] === size) return 1
    const [scale, wanted] = [scales?.[axes.indexOf(axis)], to?.[axis]]
    if (scale !== undefined) return scale
    return typeof size === 'number' && typeof wanted === 'number' ? wanted / size : NaN
  })
  return factors.every((factor) => Number.isInteger(factor) && factor > 0) ? factors : undefined
}

/** The sum of each element's copies: windows side by side. */
function summedRepetitions(c: VjpContext, factors: readonly number[]): string {
  const { builder } = c
  const spatial = factors.slice(2)
  const pooled = builder.dtype(c.g) === 'float32' && spatial.length > 0 && spatial.length < 4
  if (pooled && factors[0] === 1 && factors[1] === 1) {
    const mean = builder.add('AveragePool', [c.g], { kernel_shape: spatial, strides: spatial })
    return builder.scale(mean, elementCount(spatial))
  }
  const integers = new Integers(builder)
  const parts = sizesOf(builder, c.x(0)).flatMap((size, axis) => [size, factors[axis]!])
  const copies = factors.map((_, axis) => 2 * axis + 1)
  return builder.sum(builder.reshapeTo(c.g, integers.vector(parts)), copies, false)
}

/** M^T G along one axis. */
function alongAxis(c: VjpContext, g: string, axis: number): string {
  const { builder } = c
  const rank = c.shape(0).length
  if (axis === rank - 1) return builder.add('MatMul', [g, matrix(c, axis)])
  const turned = builder.transpose(matrix(c, axis), [1, 0])
  if (axis === rank - 2) return builder.add('MatMul', [turned, g])
  const integers = new Integers(builder)
  const sizes = sizesOf(builder, g)
  const behind = integers.product(sizes.slice(axis + 1))
  const rows = builder.reshapeTo(g, integers.vector([-1, sizes[axis]!, behind]))
  const size = integers.size(c.x(0), axis)
  return builder.reshapeTo(builder.add('MatMul', [turned, rows]), integers.vector(sizes.with(axis, size)))
}

/** [output size, input size]: the identity matrix, resized along its first axis as the image is along `axis`. */
function matrix(c: VjpContext, axis: number): string {
  if (stringAttribute(c.node, 'keep_aspect_ratio_policy', 'stretch') !== 'stretch')
    return matrixOfPolicy(c, axis)
  const { builder } = c
  const integers = new Integers(builder)
  const at = namedAxes(c).indexOf(axis)
  const one = builder.constant('float32', [1], [1])
  const pick = (list: string, index: number): string =>
    builder.add('Gather', [list, builder.integers([index])])
  const pair = (a: string, b: string): string => builder.add('Concat', [a, b], { axis: 0 })
  const scaled = isGiven(builder, c.x(2))
  const size = integers.value(integers.size(c.x(0), axis))
  const inputs = [
    identity(c, axis),
    cropped(c) ? regionOf(c, at) : '',
    scaled ? pair(pick(c.x(2), at), one) : '',
    ...(scaled ? [] : [pair(pick(c.x(3), at), size)]),
  ]
  return builder.addNode('Resize', inputs, 1, attributesWithout(c, 'axes', 'keep_aspect_ratio_policy'))[0]!
}

/** Before opset 13 an omitted input was one without elements. */
function isGiven(builder: GraphBuilder, value: string): boolean {
  return value !== '' && builder.shapeOf(value)?.[0] !== 0
}

function identity(c: VjpContext, axis: number): string {
  const { builder } = c
  const size = new Integers(builder).size(c.x(0), axis)
  const zeros = builder.add('Expand', [
    builder.scalar(0, builder.dtype(c.x(0))),
    new Integers(builder).vector([size, size]),
  ])
  return builder.add('EyeLike', [zeros])
}

/** The region of one axis, and the whole of another: starts first, then ends. */
function regionOf(c: VjpContext, at: number): string {
  const { builder } = c
  const dtype = builder.dtype(c.x(1))
  const pick = (index: number): string => builder.add('Gather', [c.x(1), builder.integers([index])])
  const [zero, one] = [0, 1].map((value) => builder.constant(dtype, [1], [value]))
  return builder.add('Concat', [pick(at), zero!, pick(at + namedAxes(c).length), one!], { axis: 0 })
}

/** The node's attributes for another image; what is extrapolated is a constant, so that its derivative is 0. */
function attributesWithout(c: VjpContext, ...further: readonly string[]): VjpContext['node']['attributes'] {
  const dropped = new Set(['extrapolation_value', ...further])
  return new Map([...c.node.attributes].filter(([name]) => !dropped.has(name)))
}

/**
 * With a policy for the aspect ratio the scale of one axis hangs on the sizes of all. The identity matrix then lies in
 * the batch and this axis of an image of the full size, which is resized like X.
 */
function matrixOfPolicy(c: VjpContext, axis: number): string {
  const { builder } = c
  const integers = new Integers(builder)
  const named = c.node.attributes.has('axes')
  if (axis < 2 || (named && namedAxes(c).some((one) => one < 2)))
    throw new RuleRefusal('keep_aspect_ratio_policy is supported for the axes behind batch and channel only')
  const rank = c.shape(0).length
  const size = integers.size(c.x(0), axis)
  const spread = Array.from({ length: rank }, (_, i) => (i === 0 ? size : i === axis ? -1 : 1))
  const laid = builder.reshapeTo(identity(c, axis), integers.vector(spread))
  const sizes = integers.vector([size, 1, ...sizesOf(builder, c.x(0)).slice(2)])
  const image = builder.add('Expand', [laid, sizes])
  const wanted = named ? c.x(3) : integers.vector([size, 1, ...integers.elements(c.x(3), rank).slice(2)])
  const inputs = [image, cropped(c) ? c.x(1) : '', '', wanted]
  const resized = builder.addNode('Resize', inputs, 1, attributesWithout(c))[0]!
  const others = Array.from({ length: rank }, (_, i) => i).filter((one) => one !== 0 && one !== axis)
  const first = others.reduceRight(
    (value, one) => builder.add('Gather', [value, builder.scalar(0, 'int64')], { axis: one }),
    resized,
  )
  return builder.transpose(first, [1, 0])
}
