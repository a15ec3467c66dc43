import { floatAttribute, intAttribute } from '../../onnx/attributes.js'
import { sumToShape } from '../broadcast.js'
import { RuleRefusal } from '../rule.js'
import type { Vjp, VjpContext } from '../rule.js'

export const LINEAR = {
  // C = A B: dL/dA = G B^T, dL/dB = A^T G, summed over broadcast batch axes (MatMul 13)
  MatMul: (c) => {
    const [a, b] = [c.shape(0), c.shape(1)]
    if (a.length === 0 || b.length === 0) throw new RuleRefusal('MatMul of a scalar')
    if (a.length === 1 || b.length === 1) return vectorProduct(c)
    return [c.needs(0) ? leftOperand(c) : undefined, c.needs(1) ? rightOperand(c) : undefined]
  },
  // Y = alpha A' B' + beta C with A', B' transposed on request (Gemm 13)
  Gemm: (c) => [
    c.needs(0) ? gemmLeft(c) : undefined,
    c.needs(1) ? gemmRight(c) : undefined,
    c.needs(2) ? gemmBias(c) : undefined,
  ],
} as const satisfies Record<string, Vjp>

function product(c: VjpContext, a: string, b: string, transA: boolean, transB: boolean): string {
  return c.builder.add('Gemm', [a, b], { transA: transA ? 1 : 0, transB: transB ? 1 : 0 })
}

/** The last two axes exchanged. */
function swapped(c: VjpContext, value: string, rank: number): string {
  const order = Array.from({ length: rank }, (_, axis) => axis)
  return c.builder.transpose(value, [...order.slice(0, -2), rank - 1, rank - 2])
}

function leftOperand(c: VjpContext): string {
  const [a, b] = [c.shape(0), c.shape(1)]
  if (b.length === 2 && a.length === 2) return product(c, c.g, c.x(1), false, true)
  return summedTo(c, c.builder.add('MatMul', [c.g, swapped(c, c.x(1), b.length)]), 0)
}

/** With a two-dimensional right operand the batch axes are rows like any other: one matrix product. */
function rightOperand(c: VjpContext): string {
  const [a, b] = [c.shape(0), c.shape(1)]
  if (b.length === 2) return product(c, rows(c, c.x(0), a.length), rows(c, c.g, a.length), true, false)
  return summedTo(c, c.builder.add('MatMul', [swapped(c, c.x(0), a.length), c.g]), 1)
}

/** A value with all axes but the last made one. */
function rows(c: VjpContext, value: string, rank: number): string {
  if (rank === 2) return value
  const columns = c.builder.shapeOf(value)?.[rank - 1]
  if (typeof columns === 'number') return c.builder.reshape(value, [-1, columns])
  return c.builder.reshapeTo(
    value,
    c.builder.add('Concat', [c.builder.integers([-1]), c.builder.sizes(value, [rank - 1])], { axis: 0 }),
  )
}

/** A one-dimensional operand is a row (left) or a column (right) whose axis the product drops. */
function vectorProduct(c: VjpContext): (string | undefined)[] {
  const [left, right] = [c.shape(0).length, c.shape(1).length]
  const at = (value: string, axis: number): string =>
    c.builder.add('Unsqueeze', [value, c.builder.integers([axis])])
  const a = left === 1 ? at(c.x(0), 0) : c.x(0)
  const b = right === 1 ? at(c.x(1), 1) : c.x(1)
  const column = right === 1 ? at(c.g, -1) : c.g
  const g = left === 1 ? at(column, -2) : column
  const da = c.needs(0) ? c.builder.add('MatMul', [g, swapped(c, b, Math.max(2, right))]) : undefined
  const db = c.needs(1) ? c.builder.add('MatMul', [swapped(c, a, Math.max(2, left)), g]) : undefined
  return [da && folded(c, da, 0), db && folded(c, db, 1)]
}

/** The cotangent of a one-dimensional operand: batch axes summed, the added axis dropped. */
function folded(c: VjpContext, cotangent: string, input: 0 | 1): string {
  if (c.shape(input).length !== 1) return summedTo(c, cotangent, input)
  const rank = Math.max(2, c.shape(1 - input).length)
  const batch = Array.from({ length: rank - 2 }, (_, axis) => axis)
  return c.builder.reshapeLike(c.builder.sum(cotangent, batch, true), c.x(input))
}

/** Sums the batch axes that broadcasting added to an operand; both its matrix axes stay. */
function summedTo(c: VjpContext, cotangent: string, input: number): string {
  const own = c.shape(input)
  const other = c.shape(1 - input)
  const batch = own.slice(0, -2)
  const otherBatch = other.slice(0, -2)
  const same = batch.length === otherBatch.length && batch.every((dim, axis) => dim === otherBatch[axis])
  return same ? cotangent : sumToShape(c.builder, cotangent, c.x(input))
}

function gemmFactor(c: VjpContext): number {
  return floatAttribute(c.node, 'alpha', 1)
}

function transposed(c: VjpContext, name: 'transA' | 'transB'): boolean {
  return intAttribute(c.node, name, 0) === 1
}

// A' = A: dA = G B'^T; A' = A^T: dA = B' G^T
function gemmLeft(c: VjpContext): string {
  const transB = transposed(c, 'transB')
  const value = transposed(c, 'transA')
    ? product(c, c.x(1), c.g, transB, true)
    : product(c, c.g, c.x(1), false, !transB)
  return c.builder.scale(value, gemmFactor(c))
}

// B' = B: dB = A'^T G; B' = B^T: dB = G^T A'
function gemmRight(c: VjpContext): string {
  const transA = transposed(c, 'transA')
  const value = transposed(c, 'transB')
    ? product(c, c.g, c.x(0), true, transA)
    : product(c, c.x(0), c.g, !transA, false)
  return c.builder.scale(value, gemmFactor(c))
}

function gemmBias(c: VjpContext): string {
  return sumToShape(c.builder, c.builder.scale(c.g, floatAttribute(c.node, 'beta', 1)), c.x(2))
}
