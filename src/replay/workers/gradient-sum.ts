import type { FloatArray } from '../../tensor.js'
import { CHUNK } from '../store/layout.js'
import type { Layout } from '../store/layout.js'
import type { SumArray } from './sum-array.js'

type GradientOf = (parameter: string) => FloatArray | undefined

/**
 * A sum of micro-batches' gradients in float64. The gradient of a single micro-batch is not copied: it is read from
 * where the engine left it.
 */
export class GradientSum {
  private values: SumArray | undefined
  private only: GradientOf | undefined
  private readonly buffer: Float64Array

  /** @param makeSum makes the array of a sum of zeros, as long as the layout */
  constructor(
    private readonly layout: Layout,
    private readonly makeSum: () => SumArray,
  ) {
    this.buffer = new Float64Array(Math.min(CHUNK, layout.size))
  }

  clear(): void {
    this.only = undefined
    this.values?.clear()
  }

  /** @param alone whether this is the only summand; its arrays must stay as they are until the sum was read */
  add(gradient: GradientOf, alone: boolean): void {
    if (alone) {
      this.only = gradient
      return
    }
    const sum = this.sum()
    this.layout.tensors.forEach(({ name }, i) => {
      const values = gradient(name)
      if (values !== undefined) sum.add(values, this.layout.offsets[i]!)
    })
  }

  /** Adds the square of every element over a number; the gradient of nothing (0 over 0) adds nothing. */
  addSquares(gradient: GradientOf, divisor: number): void {
    if (divisor === 0) return
    const sum = this.sum()
    this.layout.tensors.forEach(({ name }, i) => {
      const values = gradient(name)
      if (values === undefined) return
      for (let from = 0; from < values.length; from += this.buffer.length) {
        const part = values.subarray(from, from + this.buffer.length)
        sum.add(squares(part, divisor, this.buffer), this.layout.offsets[i]! + from)
      }
    })
  }

  addSum(other: GradientSum): void {
    const sum = this.sum()
    for (const { offset, count } of this.layout.chunks()) sum.add(other.chunk(offset, count), offset)
  }

  /** Some elements; the array may be overwritten, and is valid until the next call. */
  chunk(offset: number, count: number): Float64Array {
    const out = this.buffer.subarray(0, count)
    if (this.only === undefined) this.sum().read(out, offset)
    else this.collect(this.only, offset, out)
    return out
  }

  each(use: (values: Float64Array, offset: number) => void): void {
    for (const { offset, count } of this.layout.chunks()) use(this.chunk(offset, count), offset)
  }

  private collect(gradient: GradientOf, offset: number, out: Float64Array): void {
    out.fill(0)
    const { offsets, tensors } = this.layout
    for (
      let i = this.layout.tensorAt(offset);
      i < tensors.length && offsets[i]! < offset + out.length;
      i += 1
    ) {
      const values = gradient(tensors[i]!.name)
      if (values === undefined) continue
      const begin = Math.max(0, offset - offsets[i]!)
      const end = Math.min(values.length, offset + out.length - offsets[i]!)
      out.set(values.subarray(begin, end), offsets[i]! + begin - offset)
    }
  }

  private sum(): SumArray {
    this.values ??= this.makeSum()
    return this.values
  }
}

function squares(values: FloatArray, divisor: number, buffer: Float64Array): Float64Array {
  const out = buffer.subarray(0, values.length)
  for (let i = 0; i < out.length; i += 1) {
    const value = values[i]!
    out[i] = value * value
  }
  if (divisor !== 1) for (let i = 0; i < out.length; i += 1) out[i]! /= divisor
  return out
}
