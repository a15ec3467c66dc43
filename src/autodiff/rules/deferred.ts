import { intAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import type { Node } from '../../onnx/graph.js'
import type { ScanBuilder } from '../scan-builder.js'
import { fromEnd } from '../scan-builder.js'

/** A^T B for every iteration, to be summed over them. */
interface Product {
  readonly value: string
  readonly a: string
  readonly b: string
}

/** A value summed over some of its axes for every iteration, to be summed over them too. */
interface Sum {
  readonly value: string
  readonly summed: string
  readonly axes: readonly number[]
  readonly keepDims: boolean
}

/** A stack of what a value of the body is in every iteration, the first one first or last. */
interface Stack {
  readonly outer: string
  readonly direction: number
}

/**
 * Sums over the iterations of a Scan that are quicker behind it. The gradient of a matrix is the sum of A^T B over the
 * iterations: one product of the stacked As and Bs instead of a small product and an addition of the whole matrix in
 * every iteration. What is stacked for that serves plain sums too (biases).
 */
export class DeferredSums {
  private readonly products: Product[] = []
  private readonly sums: Sum[] = []
  private readonly rest = new Map<string, string[]>()
  private readonly written = new Map<string, { place: number; direction: number }>()
  private readonly given = new Map<string, Stack>()

  constructor(
    private readonly body: GraphBuilder,
    terms: ReadonlyMap<string, readonly string[]>,
    /** The direction in which values are stacked for no other reason. */
    private readonly usual: number,
  ) {
    for (const [value, parts] of terms)
      for (const part of parts) if (!this.addProduct(value, part)) this.leave(value, part)
    for (const [value, parts] of this.rest) {
      const left = parts.filter((part) => !this.addSum(value, part))
      if (left.length === 0) this.rest.delete(value)
      else this.rest.set(value, left)
    }
  }

  /** Terms that have to be added up iteration by iteration. */
  get remaining(): ReadonlyMap<string, readonly string[]> {
    return this.rest
  }

  /** The values of the body that are stacked. */
  get operands(): readonly string[] {
    return [...new Set(this.products.flatMap(({ a, b }) => [a, b]))]
  }

  private leave(value: string, term: string): void {
    this.rest.set(value, [...(this.rest.get(value) ?? []), term])
  }

  private addProduct(value: string, term: string): boolean {
    const node = this.computed(term)
    if (node?.op !== 'Gemm' || node.inputs.length !== 2 || node.attributes.has('alpha')) return false
    if (intAttribute(node, 'transA', 0) !== 1 || intAttribute(node, 'transB', 0) !== 0) return false
    const [a, b] = node.inputs as [string, string]
    if (!this.body.owns(a) || !this.body.owns(b)) return false
    this.products.push({ value, a, b })
    return true
  }

  private addSum(value: string, term: string): boolean {
    const node = this.computed(term)
    const summed = node?.inputs[0] ?? ''
    const axes = this.body.constantsOf(node?.inputs[1] ?? '')
    if (node?.op !== 'ReduceSum' || axes === undefined || !this.operands.includes(summed)) return false
    const keepDims = intAttribute(node, 'keepdims', 1) === 1
    this.sums.push({ value, summed, axes: axes.map((axis) => (axis < 0 ? axis : axis + 1)), keepDims })
    return true
  }

  private computed(value: string): Node | undefined {
    return this.body.owns(value) ? this.body.producer(value) : undefined
  }

  /** Has the Scan stack the operands; those that it reads from the front of a tensor are stacked already. */
  emit(scan: ScanBuilder): void {
    for (const { outer, slice, order } of scan.reads)
      if (order.axis === 0) this.given.set(slice, { outer, direction: order.direction })
    for (const { a, b } of this.products) {
      const direction = this.common(a, b)
      for (const operand of [a, b]) this.stack(scan, operand, direction)
    }
  }

  /** Both operands of a product must be stacked in one direction. */
  private common(a: string, b: string): number {
    return (this.given.get(a) ?? this.given.get(b))?.direction ?? this.usual
  }

  private stack(scan: ScanBuilder, value: string, direction: number): void {
    if (this.given.get(value)?.direction === direction || this.written.has(`${direction} ${value}`)) return
    const place = scan.write(value, fromEnd(direction))
    this.written.set(`${direction} ${value}`, { place, direction })
  }

  /** The sums, once the Scan is there: terms by the value whose cotangent they are part of. */
  collect(builder: GraphBuilder, written: readonly string[]): [value: string, term: string][] {
    const stackOf = (value: string, direction: number): string => {
      const own = this.written.get(`${direction} ${value}`)
      return own === undefined ? this.given.get(value)!.outer : written[own.place]!
    }
    const products = this.products.map(({ value, a, b }): [string, string] => {
      const direction = this.common(a, b)
      const [left, right] = [a, b].map((one) => rows(builder, stackOf(one, direction)))
      return [value, builder.add('Gemm', [left!, right!], { transA: 1 })]
    })
    const sums = this.sums.map(({ value, summed, axes, keepDims }): [string, string] => {
      const { direction } =
        [...this.written].find(([key]) => key.slice(2) === summed)?.[1] ?? this.given.get(summed)!
      const stack = stackOf(summed, direction)
      if (!keepDims) return [value, builder.sum(stack, [0, ...axes], false)]
      return [value, builder.sum(builder.sum(stack, axes, true), [0], false)]
    })
    return [...products, ...sums]
  }
}

/** A stack of matrices as one: rows of all, in their order. */
function rows(builder: GraphBuilder, stack: string): string {
  const columns = builder.shapeOf(stack)?.[2]
  if (typeof columns === 'number') return builder.reshape(stack, [-1, columns])
  const size = builder.sizes(stack, [2])
  return builder.reshapeTo(stack, builder.add('Concat', [builder.integers([-1]), size], { axis: 0 }))
}
