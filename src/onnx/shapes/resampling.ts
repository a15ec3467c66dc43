import { intAttribute, intsAttribute, stringAttribute } from '../attributes.js'
import type { Dim, Shape } from '../graph.js'
import type { NodeView } from '../infer.js'
import { LARGEST_RANK, normalizeAxis, product, staticShape } from './dims.js'
import type { ShapeRule } from './rule.js'
import { extent, spatialOutput } from './spatial.js'

/** The first input's type, with batch and channels of it and the spatial sizes that `f` gives. */
function spatial(f: (view: NodeView, image: Shape) => Shape | undefined): ShapeRule {
  return (view) => {
    const { dtype, shape } = view.info(0)
    const sizes = shape && f(view, shape.slice(2))
    return [{ dtype, shape: shape && sizes && [...shape.slice(0, 2), ...sizes] }]
  }
}

const pool = spatial((view, image) => {
  const kernel = intsAttribute(view.node, 'kernel_shape')
  return kernel && spatialOutput(view.node, kernel, image, view.fresh)
})

const whole = spatial((_, image) => image.map(() => 1))

/** ConvTranspose 11: W is [C, M / group, kernel]. */
const transposedConvolution: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  const weights = view.shape(1)
  const kernel = staticShape(weights?.slice(2)) ?? intsAttribute(view.node, 'kernel_shape')
  if (shape === undefined || weights === undefined) return [{ dtype, shape: undefined }]
  const channels = product([weights[1]!, intAttribute(view.node, 'group', 1)])
  const sizes = shape
    .slice(2)
    .map((size, axis) => (kernel && transposedSize(view, kernel, axis, size)) ?? view.fresh())
  return [{ dtype, shape: [shape[0]!, channels, ...sizes] }]
}

function transposedSize(view: NodeView, kernel: readonly number[], axis: number, size: Dim): Dim | undefined {
  const { node } = view
  const ones = kernel.map(() => 1)
  const wanted = intsAttribute(node, 'output_shape')?.slice(-kernel.length)[axis]
  if (wanted !== undefined) return wanted
  const stride = intsAttribute(node, 'strides')?.[axis] ?? 1
  const autoPad = stringAttribute(node, 'auto_pad', 'NOTSET')
  const window = { kernel, strides: ones, dilations: intsAttribute(node, 'dilations') ?? ones }
  const added = extent(window, axis) + (intsAttribute(node, 'output_padding')?.[axis] ?? 0) - stride
  const pads = autoPad === 'NOTSET' ? (intsAttribute(node, 'pads') ?? []) : []
  const same = autoPad.startsWith('SAME')
  const rest = same ? Math.min(0, added) : added - (pads[axis] ?? 0) - (pads[kernel.length + axis] ?? 0)
  const steps = product([size, stride])
  if (typeof steps === 'number') return steps + rest
  return rest === 0 ? steps : undefined
}

/** MaxUnpool 11: a shape that is asked for, or the one that the window gives. */
const unpool: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  const wanted = view.integers(2)
  if (wanted !== undefined) return [{ dtype, shape: wanted.map((dim) => dim ?? view.fresh()) }]
  const asked = (view.node.inputs[2] ?? '') !== ''
  const kernel = intsAttribute(view.node, 'kernel_shape') ?? []
  const pads = intsAttribute(view.node, 'pads') ?? []
  const sizes = shape?.slice(2).map((size, axis) => {
    const stride = intsAttribute(view.node, 'strides')?.[axis] ?? 1
    const rest = kernel[axis]! - stride - (pads[axis] ?? 0) - (pads[kernel.length + axis] ?? 0)
    const steps = product([size, stride])
    if (asked) return view.fresh()
    return typeof steps === 'number' ? steps + rest : rest === 0 ? steps : view.fresh()
  })
  return [{ dtype, shape: shape && sizes && [...shape.slice(0, 2), ...sizes] }]
}

/** Regions (first axis of the second input), channels of the first input, and the size of the bins. */
function regions(sizes: (view: NodeView) => Shape): ShapeRule {
  return (view) => {
    const { dtype, shape } = view.info(0)
    const count = view.shape(1)?.[0] ?? view.fresh()
    return [{ dtype, shape: shape && [count, shape[1]!, ...sizes(view)] }]
  }
}

/** Resize 11 to 19: the sizes that are asked for, or floor(size * scale). */
const resize: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  if (shape === undefined) return [{ dtype, shape }]
  const axes = intsAttribute(view.node, 'axes')?.map((axis) => normalizeAxis(axis, shape.length))
  const at = axes ?? shape.map((_, axis) => axis)
  const adjusted = stringAttribute(view.node, 'keep_aspect_ratio_policy', 'stretch') !== 'stretch'
  const sizes = adjusted ? undefined : view.integers(3)
  const scales = view.reals(2)
  return [
    {
      dtype,
      shape: shape.map((size, axis) => {
        const i = at.indexOf(axis)
        if (i < 0 || scales?.[i] === 1) return size
        return sizes?.[i] ?? scaled(size, scales?.[i]) ?? view.fresh()
      }),
    },
  ]
}

function scaled(size: Dim, scale: number | undefined): Dim | undefined {
  if (scale === undefined) return undefined
  if (Number.isInteger(scale)) return product([size, scale])
  // in single precision, as ONNX Runtime
  return typeof size === 'number' ? Math.floor(Math.fround(Math.fround(scale) * size)) : undefined
}

/** Batch and channels of X, sizes of the grid (GridSample 16). */
const gridSample: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  const grid = view.shape(1)
  return [{ dtype, shape: shape && grid && [...shape.slice(0, 2), ...grid.slice(1, -1)] }]
}

/** [N, sizes, 2 or 3] (AffineGrid 20). */
const affineGrid: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  const rank = view.shape(1)?.[0]
  if (typeof rank !== 'number' || rank > LARGEST_RANK) return [{ dtype, shape: undefined }]
  const size = view.integers(1) ?? Array.from({ length: rank }, () => undefined)
  const sizes = size.slice(2).map((dim) => dim ?? view.fresh())
  return [{ dtype, shape: [shape?.[0] ?? view.fresh(), ...sizes, rank - 2] }]
}

/** Batch of X, filters of W, sizes of the offsets (DeformConv 19). */
const deformConv: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  const [weights, offsets] = [view.shape(1), view.shape(2)]
  return [{ dtype, shape: shape && weights && offsets && [shape[0]!, weights[0]!, ...offsets.slice(2)] }]
}

export const RESAMPLING_SHAPES: Readonly<Record<string, ShapeRule>> = {
  ConvTranspose: transposedConvolution,
  LpPool: pool,
  GlobalMaxPool: whole,
  GlobalLpPool: whole,
  MaxUnpool: unpool,
  MaxRoiPool: regions((view) => intsAttribute(view.node, 'pooled_shape') ?? []),
  RoiAlign: regions((view) =>
    ['output_height', 'output_width'].map((name) => intAttribute(view.node, name, 1)),
  ),
  Resize: resize,
  GridSample: gridSample,
  AffineGrid: affineGrid,
  DeformConv: deformConv,
}
