import { intAttribute, intsAttribute } from '../attributes.js'
import { dtypeOf } from '../dtypes.js'
import type { Dim, Shape, ValueInfo } from '../graph.js'
import type { NodeView } from '../infer.js'
import { LARGEST_RANK, broadcast, normalizeAxis, product, quotient } from './dims.js'
import type { ShapeRule } from './rule.js'
import { slice } from './slice.js'

const same: ShapeRule = (view) => [view.info(0)]

/** The first input's type and, where its shape is known, what `f` makes of that. */
function reshaping(f: (view: NodeView, shape: Shape) => Shape | undefined): ShapeRule {
  return (view) => {
    const { dtype, shape } = view.info(0)
    return [{ dtype, shape: shape && f(view, shape) }]
  }
}

/** The input's shape, in a type that an attribute may choose (EyeLike 9, RandomNormalLike 1). */
const like: ShapeRule = (view) => [
  { dtype: dtypeOf(intAttribute(view.node, 'dtype', 0)) ?? view.info(0).dtype, shape: view.shape(0) },
]

/** Drawn in the shape that an attribute says (RandomNormal 1). */
const drawn: ShapeRule = (view) => [
  { dtype: dtypeOf(intAttribute(view.node, 'dtype', 1)), shape: intsAttribute(view.node, 'shape') },
]

function axisOf(view: NodeView, rank: number, otherwise: number): number {
  return normalizeAxis(intAttribute(view.node, 'axis', otherwise), rank)
}

/** The batch axes, the indices less their tuples' own axis, and the slices that the tuples name (GatherND 13). */
const gatherNd = reshaping((view, data) => {
  const indices = view.shape(1)
  const length = indices?.at(-1)
  if (indices === undefined || typeof length !== 'number') return undefined
  return [...indices.slice(0, -1), ...data.slice(intAttribute(view.node, 'batch_dims', 0) + length)]
})

const topK: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  const count = view.integers(1)?.[0] ?? view.fresh()
  const chosen = shape?.with(axisOf(view, shape.length, -1), count)
  return [
    { dtype, shape: chosen },
    { dtype: 'int64', shape: chosen },
  ]
}

/** Values, where each stands first, which of them each element is, and how many there are of each (Unique 11). */
const unique: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  const count = view.fresh()
  const given = view.node.attributes.has('axis')
  const axis = shape && axisOf(view, shape.length, 0)
  const values = given ? shape?.with(axis!, count) : [count]
  const elements = shape && (given ? shape[axis!]! : product(shape))
  const list = (size: Dim): ValueInfo => ({ dtype: 'int64', shape: [size] })
  return [{ dtype, shape: values }, list(count), list(elements ?? view.fresh()), list(count)]
}

const compress: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  if (!view.node.attributes.has('axis')) return [{ dtype, shape: [view.fresh()] }]
  return [{ dtype, shape: shape?.with(axisOf(view, shape.length, 0), view.fresh()) }]
}

const tile = reshaping((view, shape) => {
  const repeats = view.integers(1)
  return shape.map((size, axis) => {
    const count = repeats?.[axis]
    return count === undefined ? view.fresh() : product([size, count])
  })
})

/** Pad 18: pads for all axes, or for those that the fourth input names; begins first, then ends. */
const pad = reshaping((view, shape) => {
  const axes = (view.node.inputs[3] ?? '') === '' ? shape.map((_, axis) => axis) : view.constants(3)
  if (axes === undefined) return shape.map(() => view.fresh())
  const pads = view.integers(1)
  const result = [...shape]
  axes.forEach((axis, i) => {
    const at = normalizeAxis(axis, shape.length)
    const [begin, end, size] = [pads?.[i], pads?.[axes.length + i], result[at]!]
    const added = typeof begin === 'number' && typeof end === 'number' ? begin + end : undefined
    if (added !== 0)
      result[at] = added === undefined || typeof size === 'string' ? view.fresh() : size + added
  })
  return result
})

const centerCropPad = reshaping((view, shape) => {
  const wanted = view.integers(1)
  const axes = intsAttribute(view.node, 'axes') ?? shape.map((_, axis) => axis)
  const result = [...shape]
  axes.forEach((axis, i) => {
    result[normalizeAxis(axis, shape.length)] = wanted?.[i] ?? view.fresh()
  })
  return result
})

const depthToSpace = reshaping((view, [batch, depth, height, width]) => {
  const size = intAttribute(view.node, 'blocksize', 1)
  const channels = quotient(depth!, size * size) ?? view.fresh()
  return [batch!, channels, product([height!, size]), product([width!, size])]
})

const spaceToDepth = reshaping((view, [batch, channels, height, width]) => {
  const size = intAttribute(view.node, 'blocksize', 1)
  const blocks = [height!, width!].map((length) => quotient(length, size) ?? view.fresh())
  return [batch!, product([channels!, size * size]), ...blocks]
})

const col2Im = reshaping((view, [batch, columns]) => {
  const [image, block] = [view.integers(1), view.integers(2)]
  const count = view.shape(1)?.[0]
  if (typeof count !== 'number' || count > LARGEST_RANK) return undefined
  const known =
    block?.every((size) => size !== undefined) === true ? quotient(columns!, product(block)) : undefined
  return [
    batch!,
    known ?? view.fresh(),
    ...Array.from({ length: count }, (_, i) => image?.[i] ?? view.fresh()),
  ]
})

/** A named axis goes even where its size is a symbol; without names all of size 1 do, which must be known then. */
const squeeze = reshaping((view, shape) => {
  const all = (view.node.inputs[1] ?? '') === ''
  if (all && shape.some((dim) => typeof dim === 'string')) return undefined
  const axes = all ? shape.flatMap((dim, axis) => (dim === 1 ? [axis] : [])) : view.constants(1)
  if (axes !== undefined) {
    const dropped = new Set(axes.map((axis) => normalizeAxis(axis, shape.length)))
    return shape.filter((_, axis) => !dropped.has(axis))
  }
  const count = view.shape(1)?.[0]
  return typeof count === 'number' ? shape.slice(count).map(() => view.fresh()) : undefined
})

const unsqueeze = reshaping((view, shape) => {
  const axes = view.constants(1)
  const count = view.shape(1)?.[0]
  if (axes === undefined)
    return typeof count === 'number' && count <= LARGEST_RANK
      ? [...shape, ...Array.from({ length: count }, () => 1)].map(() => view.fresh())
      : undefined
  const rank = shape.length + axes.length
  return axes
    .map((axis) => normalizeAxis(axis, rank))
    .sort((a, b) => a - b)
    .reduce<Shape>((result, axis) => result.toSpliced(axis, 0, 1), shape)
})

/** Operators that pick, place, repeat, pad or reorder elements. */
export const INDEXING_SHAPES: Readonly<Record<string, ShapeRule>> = {
  Slice: slice,
  Pad: pad,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  GatherND: gatherNd,
  TopK: topK,
  Unique: unique,
  Compress: compress,
  Tile: tile,
  CenterCropPad: centerCropPad,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Col2Im: col2Im,
  ReverseSequence: same,
  Scatter: same,
  TensorScatter: same,
  BitCast: (view) => [{ dtype: dtypeOf(intAttribute(view.node, 'to', 0)), shape: view.shape(0) }],
  NonZero: (view) => {
    const [rank, list] = [view.shape(0)?.length, view.constants(0)]
    const count = rank === 1 ? list?.filter((number) => number !== 0).length : undefined
    return [{ dtype: 'int64', shape: [rank ?? view.fresh(), count ?? view.fresh()] }]
  },
  EyeLike: like,
  RandomNormalLike: like,
  RandomUniformLike: like,
  Bernoulli: like,
  RandomNormal: drawn,
  RandomUniform: drawn,
  BitShift: (view) => [
    { dtype: view.info(0).dtype, shape: broadcast([view.shape(0), view.shape(1)], view.fresh) },
  ],
  // of a tensor; what optional values and sequences hold is not typed here
  OptionalGetElement: same,
  SequenceLength: () => [{ dtype: 'int64', shape: [] }],
  OptionalHasElement: () => [{ dtype: 'bool', shape: [] }],
}
