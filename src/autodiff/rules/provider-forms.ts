import { floatAttribute, intAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import { dtypeOf } from '../../onnx/dtypes.js'
import type { Graph, Node } from '../../onnx/graph.js'
import { normalizeAxis, staticShape } from '../../onnx/shapes/dims.js'
import { Formula } from '../formula.js'
import { RuleRefusal } from '../rule.js'
import type { Rewrite, RewriteContext } from '../rule.js'
import { KERNEL_MISTAKES } from './kernel-mistakes.js'
import { SPLIT_CONVOLUTION } from './split-convolution.js'

/** An operator that an execution provider lacks, in other terms: where it applies, it is rewritten wherever it stands. */
export interface ProviderForm {
  /** @param graph the graph that the node belongs to; the builder holds what is before the node */
  readonly applies: (node: Node, builder: GraphBuilder, graph: Graph) => boolean
  readonly rewrite: Rewrite
}

const everywhere = (rewrite: Rewrite): ProviderForm => ({ applies: () => true, rewrite })

/** Operators of two int64 values, of which WebGPU computes none: they are computed in int32. */
const INT64_ARITHMETIC =
  'Add Sub Mul Div Mod Neg Abs Max Min Pow Equal Greater GreaterOrEqual Less LessOrEqual Where ReduceSum ReduceProd ReduceMax ReduceMin CumSum'

const narrowed: ProviderForm = {
  applies: (node, builder) => node.inputs.some((x, i) => holdsData(node, i) && isInt64(builder, x)),
  rewrite: (c) => {
    const { builder, node } = c
    const inputs = node.inputs.map((x, i) =>
      holdsData(node, i) && isInt64(builder, x) ? inInt32(builder, x) : x,
    )
    const [result] = builder.addNode(node.op, inputs, 1, node.attributes)
    const wide = builder.info(result!).dtype === 'int32' && isInt64(builder, node.inputs[resultType(node)]!)
    return [wide ? builder.cast(result!, 'int64') : result]
  },
}

/** The input whose type the result has, where that is no truth value. */
function resultType({ op }: Node): number {
  return op === 'Where' ? 1 : 0
}

const LARGEST = 2 ** 31 - 1

/** Constants that mean the end of any axis stay beyond it. */
function inInt32(builder: GraphBuilder, value: string): string {
  const [numbers, shape] = [builder.constantsOf(value), staticShape(builder.shapeOf(value))]
  if (numbers === undefined || shape === undefined) return builder.cast(value, 'int32')
  const cut = numbers.map((number) => Math.max(-LARGEST, Math.min(LARGEST, number)))
  return builder.constant('int32', shape, cut)
}

/** The axes of a reduction and the axis of a running sum stay int64. */
function holdsData(node: Node, input: number): boolean {
  return input === 0 || !(node.op.startsWith('Reduce') || node.op === 'CumSum')
}

function isInt64(builder: GraphBuilder, value: string): boolean {
  return value !== '' && builder.info(value).dtype === 'int64'
}

function formulaOf(c: RewriteContext): Formula {
  return new Formula(c.builder, c.x(0))
}

/** exp(min(x, 0) / alpha) - 1: the left branch of the exponential units, finite everywhere. */
function leftBranch(c: RewriteContext, alpha: number): string {
  const f = formulaOf(c)
  const negative = f.call('Min', c.x(0), 0)
  return f.sub(f.call('Exp', alpha === 1 ? negative : f.div(negative, alpha)), 1)
}

const BROADCAST_POWER = KERNEL_MISTAKES.Pow!

/** Of integers in int32, else as the kernel needs it. */
const power: ProviderForm = {
  applies: (...at) => narrowed.applies(...at) || BROADCAST_POWER.applies(...at),
  rewrite: (c) => {
    const integers = [0, 1].some((input) => isInt64(c.builder, c.x(input)))
    return (integers ? narrowed : BROADCAST_POWER).rewrite(c)
  },
}

/**
 * The remainder of integers, of which WebGPU has no kernel: r = a - trunc(a / b) b has the sign of a (fmod), and that of
 * r + b has the sign of b, as Mod 13 wants it.
 */
const remainder: ProviderForm = {
  applies: (node, builder) =>
    isInt64(builder, node.inputs[0]!) || builder.info(node.inputs[0]!).dtype === 'int32',
  rewrite: (c) => {
    if (isInt64(c.builder, c.x(0))) return narrowed.rewrite(c)
    const f = formulaOf(c)
    const rest = (a: string, b: string): string => f.sub(a, f.mul(f.div(a, b), b))
    const truncated = rest(c.x(0), c.x(1))
    return [intAttribute(c.node, 'fmod', 0) === 1 ? truncated : rest(f.add(truncated, c.x(1)), c.x(1))]
  },
}

const FORMS: Readonly<Record<string, ProviderForm>> = {
  ...Object.fromEntries(INT64_ARITHMETIC.split(' ').map((op) => [op, narrowed])),
  ...KERNEL_MISTAKES,
  Conv: SPLIT_CONVOLUTION,
  Pow: power,
  Mod: remainder,
  // the type is known: Cast 13
  CastLike: {
    applies: (node, builder) => builder.info(node.inputs[1]!).dtype !== undefined,
    rewrite: (c) => [c.builder.cast(c.x(0), c.builder.info(c.x(1)).dtype!)],
  },
  // x - m - log(sum(exp(x - m))), m the largest entry (LogSoftmax 13)
  LogSoftmax: everywhere((c) => {
    const { builder } = c
    const axis = normalizeAxis(intAttribute(c.node, 'axis', -1), c.shape(0).length)
    const axes = builder.integers([axis])
    const shifted = builder.add('Sub', [c.x(0), builder.add('ReduceMax', [c.x(0), axes])])
    const total = builder.sum(builder.add('Exp', [shifted]), [axis], true)
    return [builder.add('Sub', [shifted, builder.add('Log', [total])])]
  }),
  // [x > 0] - [x < 0] (Sign 13)
  Sign: everywhere((c) => {
    const f = formulaOf(c)
    return [f.sub(f.mask('Greater', c.x(0), 0), f.mask('Less', c.x(0), 0))]
  }),
  Sum: everywhere((c) => [addedUp(c)]),
  Mean: everywhere((c) => [c.builder.scale(addedUp(c), 1 / c.node.inputs.length)]),
  // a or b = not (not a and not b) (Or 7)
  Or: everywhere((c) => {
    const not = (value: string): string => c.builder.add('Not', [value])
    return [not(c.builder.add('And', [not(c.x(0)), not(c.x(1))]))]
  }),
  // x / (1 + |x|) (Softsign 1)
  Softsign: everywhere((c) => {
    const f = formulaOf(c)
    return [f.div(c.x(0), f.add(f.call('Abs', c.x(0)), 1))]
  }),
  // max(x, 0) + alpha (exp(min(x, 0) / alpha) - 1) (Celu 12)
  Celu: everywhere((c) => {
    const f = formulaOf(c)
    const alpha = floatAttribute(c.node, 'alpha', 1)
    return [f.add(f.call('Relu', c.x(0)), f.mul(leftBranch(c, alpha), alpha))]
  }),
  // gamma (max(x, 0) + alpha (exp(min(x, 0)) - 1)) (Selu 6)
  Selu: everywhere((c) => {
    const f = formulaOf(c)
    const alpha = floatAttribute(c.node, 'alpha', 1.6732631921768188)
    const gamma = floatAttribute(c.node, 'gamma', 1.0507010221481323)
    return [f.mul(f.add(f.call('Relu', c.x(0)), f.mul(leftBranch(c, 1), alpha)), gamma)]
  }),
  // values[1] where the index is the class, values[0] elsewhere (OneHot 11)
  OneHot: everywhere((c) => [oneHot(c)]),
  ConstantOfShape: {
    applies: (node) => floatValue(node) !== undefined,
    rewrite: (c) => [c.builder.add('Expand', [c.builder.scalar(floatValue(c.node)!, 'float32'), c.x(0)])],
  },
}

/** The operators that ONNX Runtime's WebGPU provider can't run or hands back to the CPU. */
export const PROVIDER_FORMS: ReadonlyMap<string, ProviderForm> = new Map(Object.entries(FORMS))

function addedUp(c: RewriteContext): string {
  return c.node.inputs.reduce((sum, value) => c.builder.add('Add', [sum, value]))
}

/** The value of a ConstantOfShape of type float32 (zero by default), undefined for another type. */
function floatValue(node: Node): number | undefined {
  const tensor = node.attributes.get('value')?.t
  if (tensor === undefined) return 0
  if (dtypeOf(tensor.dataType) !== 'float32') return undefined
  const { buffer, byteOffset, byteLength } = tensor.rawData
  return byteLength === 4 ? new DataView(buffer, byteOffset).getFloat32(0, true) : tensor.floatData[0]
}

function oneHot(c: RewriteContext): string {
  const { builder } = c
  const depth = builder.constantsOf(c.x(1))?.[0]
  if (depth === undefined) throw new RuleRefusal('the number of classes of OneHot is not a constant')
  const rank = c.shape(0).length
  const axis = normalizeAxis(intAttribute(c.node, 'axis', -1), rank + 1)
  const behind = rank - axis
  const classes = builder.constant(
    'int32',
    [depth, ...Array.from({ length: behind }, () => 1)],
    Array.from({ length: depth }, (_, i) => i),
  )
  const given = builder.cast(c.x(0), 'int32')
  const index = builder.add('Where', [
    builder.add('Less', [given, builder.scalar(0, 'int32')]),
    builder.add('Add', [given, builder.scalar(depth, 'int32')]),
    given,
  ])
  const hot = builder.add('Equal', [builder.add('Unsqueeze', [index, builder.integers([axis])]), classes])
  const [off, on] = [0, 1].map((i) => builder.add('Gather', [c.x(2), builder.scalar(i, 'int64')]))
  return builder.add('Where', [hot, on!, off!])
}
