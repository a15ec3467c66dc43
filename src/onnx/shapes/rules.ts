import { intAttribute, intsAttribute } from '../attributes.js'
import { dtypeOf } from '../dtypes.js'
import type { Dim, Shape } from '../graph.js'
import type { NodeView } from '../infer.js'
import { LARGEST_RANK, broadcast, normalizeAxis, product, quotient, staticShape } from './dims.js'
import { ATTENTION_SHAPES } from './attention.js'
import { CONTRACTION_SHAPES } from './contraction.js'
import { CONTROL_FLOW_SHAPES } from './control-flow.js'
import { INDEXING_SHAPES } from './indexing.js'
import { NORMALIZATION_SHAPES } from './normalization.js'
import { RESAMPLING_SHAPES } from './resampling.js'
import type { ShapeRule } from './rule.js'
import { SIGNAL_SHAPES } from './signal.js'
import { spatialOutput } from './spatial.js'

const same: ShapeRule = (view) => [view.info(0)]

const broadcasting: ShapeRule = (view) => [
  {
    dtype: view.info(0).dtype,
    shape: broadcast(
      view.node.inputs.map((_, i) => view.shape(i)),
      view.fresh,
    ),
  },
]

const comparing: ShapeRule = (view) => [{ dtype: 'bool', shape: broadcasting(view)[0]!.shape }]
const testing: ShapeRule = (view) => [{ dtype: 'bool', shape: view.shape(0) }]

/** A shape given by an int64 input: Expand's and ConstantOfShape's. */
function requested(view: NodeView, input: number): Shape | undefined {
  const values = view.integers(input)
  if (values !== undefined) return values.map((dim) => dim ?? view.fresh())
  const rank = view.shape(input)?.[0]
  return typeof rank === 'number' && rank <= LARGEST_RANK
    ? Array.from({ length: rank }, () => view.fresh())
    : undefined
}

const reducing: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  const keep = intAttribute(view.node, 'keepdims', 1) === 1
  const axes = reductionAxes(view)
  if (shape === undefined) return [{ dtype, shape }]
  if (axes === undefined) return [{ dtype, shape: reducedAtRun(view, shape, keep) }]
  const reduced = shape.flatMap((dim, axis): Dim[] => (axes.includes(axis) ? (keep ? [1] : []) : [dim]))
  return [{ dtype, shape: reduced }]
}

/** Where the axes are not known, their number may be: it gives the rank of the result. */
function reducedAtRun(view: NodeView, shape: Shape, keep: boolean): Shape | undefined {
  const count = view.shape(1)?.[0]
  if (keep) return shape.map(() => view.fresh())
  if (typeof count !== 'number' || count === 0) return undefined
  return shape.slice(count).map(() => view.fresh())
}

/** The axes that a reduction (opset 18: axes as an input) sums over, or undefined where they or the rank are unknown. */
function reductionAxes(view: NodeView): number[] | undefined {
  const rank = view.shape(0)?.length
  if (rank === undefined) return undefined
  const given = (view.node.inputs[1] ?? '') === '' ? [] : view.constants(1)
  if (given === undefined) return undefined
  if (given.length > 0) return given.map((axis) => normalizeAxis(axis, rank))
  const nothing = intAttribute(view.node, 'noop_with_empty_axes', 0) === 1
  return nothing ? [] : Array.from({ length: rank }, (_, axis) => axis)
}

/** ArgMax and ArgMin: the axis is an attribute in every version. */
const extremeIndex: ShapeRule = (view) => {
  const shape = view.shape(0)
  if (shape === undefined) return [{ dtype: 'int64', shape }]
  const axis = normalizeAxis(intAttribute(view.node, 'axis', 0), shape.length)
  const kept = intAttribute(view.node, 'keepdims', 1) === 1
  return [{ dtype: 'int64', shape: kept ? shape.with(axis, 1) : shape.toSpliced(axis, 1) }]
}

const matMul: ShapeRule = (view) => {
  const [a, b] = [view.shape(0), view.shape(1)]
  const { dtype } = view.info(0)
  if (a === undefined || b === undefined || a.length === 0 || b.length === 0)
    return [{ dtype, shape: undefined }]
  const batch = broadcast([a.slice(0, -2), b.slice(0, -2)], view.fresh)!
  const rows = a.length > 1 ? [a[a.length - 2]!] : []
  const columns = b.length > 1 ? [b[b.length - 1]!] : []
  return [{ dtype, shape: [...batch, ...rows, ...columns] }]
}

const gemm: ShapeRule = (view) => {
  const [a, b] = [view.shape(0), view.shape(1)]
  const { dtype } = view.info(0)
  if (a?.length !== 2 || b?.length !== 2) return [{ dtype, shape: undefined }]
  const row = a[intAttribute(view.node, 'transA', 0) === 1 ? 1 : 0]!
  const column = b[intAttribute(view.node, 'transB', 0) === 1 ? 0 : 1]!
  return [{ dtype, shape: [row, column] }]
}

const conv: ShapeRule = (view) => {
  const [x, w] = [view.shape(0), view.shape(1)]
  const { dtype } = view.info(0)
  const kernel = staticShape(w?.slice(2)) ?? intsAttribute(view.node, 'kernel_shape')
  if (x === undefined || w === undefined) return [{ dtype, shape: undefined }]
  const spatial = x.slice(2)
  const sizes = kernel
    ? spatialOutput(view.node, kernel, spatial, view.fresh)
    : spatial.map(() => view.fresh())
  return [{ dtype, shape: [x[0]!, w[0]!, ...sizes] }]
}

const pool: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  const kernel = intsAttribute(view.node, 'kernel_shape') ?? []
  const out = shape && [...shape.slice(0, 2), ...spatialOutput(view.node, kernel, shape.slice(2), view.fresh)]
  return [
    { dtype, shape: out },
    { dtype: 'int64', shape: out },
  ]
}

const reshape: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  const wanted = requested(view, 1)
  if (wanted === undefined || view.integers(1) === undefined) return [{ dtype, shape: wanted }]
  const keepZero = intAttribute(view.node, 'allowzero', 0) === 1
  const sizes = wanted.map((dim, axis) => (dim === 0 && !keepZero ? (shape?.[axis] ?? view.fresh()) : dim))
  const open = sizes.indexOf(-1)
  if (open < 0) return [{ dtype, shape: sizes }]
  const rest = sizes.filter((_, axis) => axis !== open)
  return [
    { dtype, shape: sizes.with(open, (shape && quotient(product(shape), product(rest))) ?? view.fresh()) },
  ]
}

const flatten: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  if (shape === undefined) return [{ dtype, shape: [view.fresh(), view.fresh()] }]
  const axis = normalizeAxis(intAttribute(view.node, 'axis', 1), shape.length)
  return [{ dtype, shape: [product(shape.slice(0, axis)), product(shape.slice(axis))] }]
}

const transpose: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  const order = intsAttribute(view.node, 'perm') ?? shape?.map((_, axis) => shape.length - 1 - axis)
  return [{ dtype, shape: shape && order?.map((axis) => shape[axis]!) }]
}

const concat: ShapeRule = (view) => {
  const { dtype } = view.info(0)
  const shapes = view.node.inputs.map((_, i) => view.shape(i))
  const first = shapes.find((shape) => shape !== undefined)
  if (first === undefined) return [{ dtype, shape: undefined }]
  const axis = normalizeAxis(intAttribute(view.node, 'axis', 0), first.length)
  const sizes = shapes.map((shape) => shape?.[axis])
  const total = sizes.every((size) => typeof size === 'number')
    ? sizes.reduce((sum, size) => sum + size, 0)
    : view.fresh()
  return [{ dtype, shape: first.with(axis, total) }]
}

const split: ShapeRule = (view) => {
  const { dtype, shape } = view.info(0)
  if (shape === undefined) return view.node.outputs.map(() => ({ dtype, shape: undefined }))
  const axis = normalizeAxis(intAttribute(view.node, 'axis', 0), shape.length)
  const sizes = view.integers(1)
  const count = view.node.outputs.length
  const size = shape[axis]!
  const equal = (i: number): Dim | undefined => {
    if (typeof size === 'string') return quotient(size, count)
    const part = Math.ceil(size / count)
    return i < count - 1 ? part : size - part * (count - 1)
  }
  return view.node.outputs.map((_, i) => ({
    dtype,
    shape: shape.with(axis, (view.node.inputs[1] ? sizes?.[i] : equal(i)) ?? view.fresh()),
  }))
}

const gather: ShapeRule = (view) => {
  const [data, indices] = [view.shape(0), view.shape(1)]
  const { dtype } = view.info(0)
  if (data === undefined || indices === undefined) return [{ dtype, shape: undefined }]
  const axis = normalizeAxis(intAttribute(view.node, 'axis', 0), data.length)
  return [{ dtype, shape: [...data.slice(0, axis), ...indices, ...data.slice(axis + 1)] }]
}

const oneHot: ShapeRule = (view) => {
  const indices = view.shape(0)
  const depth = view.integers(1)?.[0] ?? view.fresh()
  const axis = normalizeAxis(intAttribute(view.node, 'axis', -1), (indices?.length ?? 0) + 1)
  return [{ dtype: view.info(2).dtype, shape: indices?.toSpliced(axis, 0, depth) }]
}

const range: ShapeRule = (view) => {
  const [start, limit, delta] = [0, 1, 2].map((input) => view.integers(input)?.[0])
  const symbol = start === 0 && delta === 1 ? limit : undefined
  const known = typeof start === 'number' && typeof limit === 'number' && typeof delta === 'number'
  const count = known ? Math.max(0, Math.ceil((limit - start) / delta)) : (symbol ?? view.fresh())
  return [{ dtype: view.info(0).dtype, shape: [count] }]
}

const cast: ShapeRule = (view) => [{ dtype: dtypeOf(intAttribute(view.node, 'to', 0)), shape: view.shape(0) }]

const vector =
  (length: (view: NodeView) => Dim | undefined): ShapeRule =>
  (view) => [{ dtype: 'int64', shape: [length(view) ?? view.fresh()] }]

function shapeLength(view: NodeView): number | undefined {
  const shape = view.shape(0)
  return shape?.slice(intAttribute(view.node, 'start', 0), intAttribute(view.node, 'end', shape.length))
    .length
}

function all(ops: string, rule: ShapeRule): Record<string, ShapeRule> {
  return Object.fromEntries(ops.split(' ').map((op) => [op, rule]))
}

/** One rule per operator of ai.onnx (in the forms of opset 18 and newer); operators that are absent give unknown shapes. */
export const SHAPE_RULES: Readonly<Record<string, ShapeRule>> = {
  ...all(
    'Identity Neg Abs Exp Log Sqrt Reciprocal Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Tanh Sigmoid Relu ' +
      'LeakyRelu Elu Selu Celu ThresholdedRelu Softplus Softsign HardSigmoid Erf Clip Floor Ceil Round Sign Softmax ' +
      'LogSoftmax Not BitwiseNot ScatterElements ScatterND CumSum PRelu Trilu Hardmax',
    same,
  ),
  ...all('Add Sub Mul Div Pow Max Min Mean Sum Mod And Or Xor BitwiseAnd BitwiseOr BitwiseXor', broadcasting),
  ...all('Equal Greater GreaterOrEqual Less LessOrEqual', comparing),
  ...all('IsNaN IsInf', testing),
  ...all(
    'ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp',
    reducing,
  ),
  ...all('ArgMax ArgMin', extremeIndex),
  ...all('MaxPool AveragePool', pool),
  GlobalAveragePool: (view) => [
    { dtype: view.info(0).dtype, shape: view.shape(0)?.map((dim, axis) => (axis < 2 ? dim : 1)) },
  ],
  Where: (view) => [
    {
      dtype: view.info(1).dtype,
      shape: broadcast(
        [0, 1, 2].map((i) => view.shape(i)),
        view.fresh,
      ),
    },
  ],
  Dropout: (view) => [view.info(0), testing(view)[0]!],
  Cast: cast,
  CastLike: (view) => [{ dtype: view.info(1).dtype, shape: view.shape(0) }],
  MatMul: matMul,
  Gemm: gemm,
  Conv: conv,
  Reshape: reshape,
  Flatten: flatten,
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Gather: gather,
  GatherElements: (view) => [{ dtype: view.info(0).dtype, shape: view.shape(1) }],
  OneHot: oneHot,
  Range: range,
  Expand: (view) => [
    { dtype: view.info(0).dtype, shape: broadcast([view.shape(0), requested(view, 1)], view.fresh) },
  ],
  Shape: vector(shapeLength),
  Size: () => [{ dtype: 'int64', shape: [] }],
  ConstantOfShape: (view) => [
    { dtype: dtypeOf(view.node.attributes.get('value')?.t?.dataType ?? 1), shape: requested(view, 0) },
  ],
  ...ATTENTION_SHAPES,
  ...CONTRACTION_SHAPES,
  ...CONTROL_FLOW_SHAPES,
  ...INDEXING_SHAPES,
  ...NORMALIZATION_SHAPES,
  ...RESAMPLING_SHAPES,
  ...SIGNAL_SHAPES,
}
