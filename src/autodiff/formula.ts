import type { GraphBuilder } from '../onnx/builder.js'

/** Builder shorthands for formulas: arithmetic on values and numbers of the cotangent's type. */
export class Formula {
  constructor(
    private readonly builder: GraphBuilder,
    private readonly like: string,
  ) {}
  number(value: number): string {
    return this.builder.scalar(value, this.builder.dtype(this.like))
  }
  private value(a: string | number): string {
    return typeof a === 'number' ? this.number(a) : a
  }
  add(a: string | number, b: string | number): string {
    return this.builder.add('Add', [this.value(a), this.value(b)])
  }
  sub(a: string | number, b: string | number): string {
    return this.builder.add('Sub', [this.value(a), this.value(b)])
  }
  mul(a: string | number, b: string | number): string {
    return this.builder.add('Mul', [this.value(a), this.value(b)])
  }
  div(a: string | number, b: string | number): string {
    return this.builder.add('Div', [this.value(a), this.value(b)])
  }
  square(a: string): string {
    return this.mul(a, a)
  }
  call(op: string, ...inputs: (string | number)[]): string {
    return this.builder.add(
      op,
      inputs.map((input) => this.value(input)),
    )
  }
  /** A comparison as 0 and 1: multiplying by it is much quicker than Where on the CPU provider. */
  mask(comparison: string, a: string | number, b: string | number): string {
    return this.builder.cast(this.call(comparison, a, b), this.builder.dtype(this.like))
  }
}
