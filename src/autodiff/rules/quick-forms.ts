import { intsAttribute, stringAttribute } from '../../onnx/attributes.js'
import { GraphBuilder } from '../../onnx/builder.js'
import type { Graph, Node } from '../../onnx/graph.js'
import { nodesReading } from '../../onnx/reading-nodes.js'
import { staticShape } from '../../onnx/shapes/dims.js'
import { elementCount } from '../../tensor.js'
import { Formula } from '../formula.js'
import type { RewriteContext } from '../rule.js'
import { normalDistribution } from './activation.js'
import type { ProviderForm } from './provider-forms.js'

/**
 * The widest last axis that ONNX Runtime's CPU provider is slow with: it moves so few elements one block at a time, and
 * multiplies by so few columns below its speed. Measured for 8 (heads of attention in small networks).
 */
const NARROW = 16

/** Operators that the CPU provider computes more quickly in other terms. */
export const QUICK_FORMS: ReadonlyMap<string, ProviderForm> = new Map<string, ProviderForm>([
  ['Transpose', { applies: isMove, rewrite: inTwoTransposes }],
  ['MatMul', { applies: isNarrowProduct, rewrite: transposedProduct }],
  ['Reshape', { applies: keepsSwapped, rewrite: reshapedFirst }],
  ['Gelu', { applies: isDifferentiatedGelu, rewrite: geluOfDistribution }],
])

/** Whether a Transpose moves blocks of few elements, its last axis, one by one. */
export function isSlowTranspose(node: Node, builder: GraphBuilder): boolean {
  const order = node.op === 'Transpose' && node.domain === '' ? intsAttribute(node, 'perm') : undefined
  const narrow = builder.shapeOf(node.inputs[0] ?? '')?.at(-1)
  if (order === undefined || typeof narrow !== 'number') return false
  return order.at(-1) === order.length - 1 && order.some((axis, i) => axis !== i) && narrow <= NARROW
}

/** A Transpose that moves one axis of size `moved` past others of `passed` elements in front of a narrow last axis. */
interface Move {
  /** Axes of the input: the first that is moved or passed, and the order of the output. */
  readonly first: number
  readonly order: readonly number[]
  /** Whether the axis in front of the last moves outwards; else the first of the axes moves in front of the last. */
  readonly outwards: boolean
}

/**
 * [.., t, h, d] to [.., h, t, d] or back, h any number of axes: what attention does with its heads. The long axis is
 * the one to be moved, since it is laid along the last in between.
 */
function moveOf(node: Node, builder: GraphBuilder): Move | undefined {
  if (!isSlowTranspose(node, builder)) return undefined
  const shape = builder.shapeOf(node.inputs[0]!)!
  const order = intsAttribute(node, 'perm')!
  const rank = shape.length
  const first = order.findIndex((axis, i) => axis !== i)
  const between = shape.slice(first, rank - 1)
  if (shape[rank - 1] === 1 || between.some((dim) => typeof dim !== 'number' || dim === 0)) return undefined
  const rest = (from: number, moved: number): boolean =>
    order.slice(from, from + between.length - 1).every((axis, i) => axis === moved + i)
  const inwards = order[rank - 2] === first && rest(first, first + 1)
  const outwards = order[first] === rank - 2 && rest(first + 1, first)
  if (!inwards && !outwards) return undefined
  return { first, order, outwards: outwards && (!inwards || between[0]! < between.at(-1)!) }
}

function isMove(node: Node, builder: GraphBuilder, graph: Graph): boolean {
  const move = moveOf(node, builder)
  return move !== undefined && (move.outwards || endsInProducts(graph, node.outputs[0]!))
}

/**
 * Whether a value goes into products of matrices, scaled at most. ONNX Runtime takes a Transpose that stands before
 * anything else past it, which goes wrong where that is broadcast with a value that was gathered (1.30).
 */
function endsInProducts(graph: Graph, value: string): boolean {
  return nodesReading(graph, value).every((node) => {
    if (ENDS.has(node.op)) return true
    if (!SCALES.has(node.op)) return false
    const other = node.inputs.find((input) => input !== value) ?? value
    const sizes = staticShape(inferred(graph).shapeOf(other))
    const plain = (sizes !== undefined && elementCount(sizes) === 1) || isMatrices(graph, other)
    return plain && endsInProducts(graph, node.outputs[0]!)
  })
}

const inferences = new WeakMap<Graph, GraphBuilder>()

/** What is known of all values of a graph, of those behind a node too. */
function inferred(graph: Graph): GraphBuilder {
  const known = inferences.get(graph) ?? new GraphBuilder(graph)
  inferences.set(graph, known)
  return known
}

/** Whether a value is a product of matrices, or one that was transposed. */
function isMatrices(graph: Graph, value: string): boolean {
  const node = graph.nodes.find(({ outputs }) => outputs.includes(value))
  return node?.op === 'MatMul' || node?.op === 'Transpose'
}

/** Operators behind which a Transpose in front of them is nowhere to be seen. */
const ENDS = new Set(['MatMul', 'Reshape', 'Transpose', 'Shape', 'ReduceSum'])
const SCALES = new Set(['Mul', 'Div'])

/**
 * By way of the order in which the moved axis is last: exchanging two axes of a matrix is quick, and MatMul takes its
 * operands either way. ONNX Runtime would put the two together again but for the Reshape in between.
 */
function inTwoTransposes({ node, builder }: RewriteContext): string[] {
  const { first, order, outwards } = moveOf(node, builder)!
  const x = node.inputs[0]!
  const shape = builder.shapeOf(x)!
  const front = shape.slice(0, first)
  const between = shape.slice(first, -1) as number[]
  const narrow = shape.at(-1) as number
  const shaped = (value: string, dims: readonly number[]): string =>
    builder.reshape(value, frontOf(front, dims))
  const swapped = (value: string): string => swap(builder, value, shape.length)
  if (outwards) {
    const long = between.at(-1)!
    const others = between.slice(0, -1)
    const rows = builder.reshape(swapped(x), [-1, elementCount(others) * narrow, long])
    return [
      shaped(
        builder.transpose(rows, [0, 2, 1]),
        order.slice(first).map((axis) => shape[axis] as number),
      ),
    ]
  }
  const [long, ...others] = between as [number, ...number[]]
  const rows = builder.reshape(x, [-1, long, elementCount(others) * narrow])
  return [swapped(shaped(builder.transpose(rows, [0, 2, 1]), [...others, narrow, long]))]
}

/** Sizes for a reshape of axes behind a front of which one size at most is a symbol. */
function frontOf(front: readonly (number | string)[], dims: readonly number[]): number[] {
  return [...front.map((dim) => (typeof dim === 'number' ? dim : -1)), ...dims]
}

/** The last two axes exchanged. */
function swap(builder: GraphBuilder, value: string, rank: number): string {
  const axes = Array.from({ length: rank }, (_, axis) => axis)
  return builder.transpose(value, [...axes.slice(0, -2), rank - 1, rank - 2])
}

/** A product of stacks of matrices with few columns and more rows. */
function isNarrowProduct(node: Node, builder: GraphBuilder, graph: Graph): boolean {
  const [a, b] = node.inputs.map((value) => builder.shapeOf(value))
  if (a === undefined || b === undefined || b.length < 3 || a.length < 3) return false
  const [rows, columns] = [a.at(-2)!, b.at(-1)!]
  return (
    typeof rows === 'number' &&
    typeof columns === 'number' &&
    columns <= NARROW &&
    rows > columns &&
    endsInProducts(graph, node.outputs[0]!)
  )
}

/** A B = (B^T A^T)^T: MatMul reads its operands transposed at no cost, and has rows enough then. */
function transposedProduct({ builder, node }: RewriteContext): string[] {
  const ranks = node.inputs.map((value) => builder.rank(value)!)
  const [a = '', b = ''] = node.inputs.map((value, i) => swap(builder, value, ranks[i]!))
  return [swap(builder, builder.add('MatMul', [b, a]), Math.max(...ranks))]
}

/** A Reshape that leaves the last two axes alone, of a value whose last two were exchanged. */
function keepsSwapped(node: Node, builder: GraphBuilder): boolean {
  const [value = '', target = ''] = node.inputs
  const [shape, sizes] = [builder.shapeOf(value), builder.constantsOf(target)]
  const before = builder.producer(value)
  const order = before?.op === 'Transpose' ? intsAttribute(before, 'perm') : undefined
  if (order === undefined || order.length < 3 || sizes === undefined || sizes.length < 2) return false
  const swaps = order.every((axis, i) => axis === swappedAxis(i, order.length))
  return swaps && !sizes.includes(0) && [-2, -1].every((i) => shape?.at(i) === sizes.at(i))
}

function swappedAxis(axis: number, rank: number): number {
  return axis < rank - 2 ? axis : 2 * rank - 3 - axis
}

/** The Transpose goes behind it, where it meets the next one: often they cancel. */
function reshapedFirst({ builder, node }: RewriteContext): string[] {
  const [value = '', target = ''] = node.inputs
  const sizes = builder.constantsOf(target)!
  const [rows, columns] = sizes.slice(-2) as [number, number]
  const before = builder.producer(value)!
  const plain = builder.reshape(before.inputs[0]!, [...sizes.slice(0, -2), columns, rows])
  return [swap(builder, plain, sizes.length)]
}

/** A Gelu whose argument others read too: its derivative, which computes F(x) as well (rules/activation.ts). */
function isDifferentiatedGelu(node: Node, _: GraphBuilder, graph: Graph): boolean {
  return (
    stringAttribute(node, 'approximate', 'none') === 'none' && nodesReading(graph, node.inputs[0]!).length > 1
  )
}

/** x F(x), F the normal distribution: what it has in common with the derivative ONNX Runtime computes once. */
function geluOfDistribution({ builder, node }: RewriteContext): string[] {
  const x = node.inputs[0]!
  return [builder.mul(x, normalDistribution(new Formula(builder, x), x))]
}
