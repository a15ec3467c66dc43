import type { GraphBuilder } from '../onnx/builder.js'

/** A whole number of shape arithmetic: known when the graph is built, or an int64 value of one element, shape [1]. */
export type Integer = number | string

/** Arithmetic of sizes and positions: what is known is computed at once, the rest by nodes when the graph runs. */
export class Integers {
  constructor(private readonly builder: GraphBuilder) {}

  /** The size of an axis (counted from 0). */
  size(value: string, axis: number): Integer {
    const dim = this.builder.shapeOf(value)?.[axis]
    return typeof dim === 'number' ? dim : this.builder.sizes(value, [axis])
  }

  add(a: Integer, b: Integer): Integer {
    if (typeof a === 'number' && typeof b === 'number') return a + b
    if (a === 0) return b
    return b === 0 ? a : this.call('Add', a, b)
  }

  sub(a: Integer, b: Integer): Integer {
    if (typeof a === 'number' && typeof b === 'number') return a - b
    if (a === b) return 0
    return b === 0 ? a : this.call('Sub', a, b)
  }

  mul(a: Integer, b: Integer): Integer {
    if (typeof a === 'number' && typeof b === 'number') return a * b
    if (a === 0 || b === 0) return 0
    if (a === 1) return b
    return b === 1 ? a : this.call('Mul', a, b)
  }

  /** a / b, cut off towards zero (Div 14 of integers). */
  div(a: Integer, b: Integer): Integer {
    if (typeof a === 'number' && typeof b === 'number') return Math.trunc(a / b)
    return b === 1 ? a : this.call('Div', a, b)
  }

  /** The remainder with the sign of the divisor (Mod 13): an index that counts from the end becomes one from the start. */
  mod(a: Integer, b: Integer): Integer {
    if (typeof a === 'number' && typeof b === 'number') return a - b * Math.floor(a / b)
    return this.call('Mod', a, b)
  }

  min(a: Integer, b: Integer): Integer {
    if (typeof a === 'number' && typeof b === 'number') return Math.min(a, b)
    return this.call('Min', a, b)
  }

  max(a: Integer, b: Integer): Integer {
    if (typeof a === 'number' && typeof b === 'number') return Math.max(a, b)
    return this.call('Max', a, b)
  }

  /** An index counted from the start of `size` elements; negative ones count from the end. */
  fromStart(index: Integer, size: Integer): Integer {
    if (typeof index === 'number') return index < 0 ? this.add(index, size) : index
    const negative = this.builder.add('Less', [index, this.builder.integers([0])])
    const shift = this.builder.add('Where', [negative, this.value(size), this.builder.integers([0])])
    return this.add(index, shift)
  }

  /** An integer cut to a range. */
  clamp(value: Integer, low: Integer, high: Integer): Integer {
    return this.max(this.min(value, high), low)
  }

  sum(list: readonly Integer[]): Integer {
    return list.reduce((total, one) => this.add(total, one), 0)
  }

  product(list: readonly Integer[]): Integer {
    return list.reduce((all, one) => this.mul(all, one), 1)
  }

  /** The elements of a one-dimensional int64 value that holds `count` of them. */
  elements(vector: string, count: number): Integer[] {
    const known = this.builder.constantsOf(vector)
    return Array.from(
      { length: count },
      (_, i) => known?.[i] ?? this.builder.add('Gather', [vector, this.builder.integers([i])]),
    )
  }

  /** The integer that an int64 value without axes is. */
  fromScalar(scalar: string): Integer {
    return (
      this.builder.constantsOf(scalar)?.[0] ??
      this.builder.add('Unsqueeze', [scalar, this.builder.integers([0])])
    )
  }

  /** An integer as an int64 value of shape [1]. */
  value(integer: Integer): string {
    return typeof integer === 'number' ? this.builder.integers([integer]) : integer
  }

  /** An integer as an int64 value without axes. */
  scalar(integer: Integer): string {
    if (typeof integer === 'number') return this.builder.scalar(integer, 'int64')
    return this.builder.add('Squeeze', [integer, this.builder.integers([0])])
  }

  /** Integers as one int64 value of one dimension. */
  vector(list: readonly Integer[]): string {
    if (list.every((one) => typeof one === 'number')) return this.builder.integers(list)
    if (list.length === 1) return this.value(list[0]!)
    const parts = runs(list).map((part) => (typeof part === 'string' ? part : this.builder.integers(part)))
    return this.builder.add('Concat', parts, { axis: 0 })
  }

  /** 0, 1, ... up to `count`, as an int64 value of one dimension. */
  range(count: Integer): string {
    const [zero, one] = [this.builder.scalar(0, 'int64'), this.builder.scalar(1, 'int64')]
    return this.builder.add('Range', [zero, this.scalar(count), one])
  }

  private call(op: string, a: Integer, b: Integer): string {
    return this.builder.add(op, [this.value(a), this.value(b)])
  }
}

/** Neighbouring numbers put together, so that they become one constant. */
function runs(list: readonly Integer[]): (string | number[])[] {
  const parts: (string | number[])[] = []
  for (const one of list) {
    const last = parts.at(-1)
    if (typeof one === 'string') parts.push(one)
    else if (Array.isArray(last)) last.push(one)
    else parts.push([one])
  }
  return parts
}
