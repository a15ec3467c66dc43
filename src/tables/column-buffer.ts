import type { Column, ColumnType } from './column.js'
import { Runs, type Constant } from './runs.js'
import type { InputOf } from './schema.js'

export type ColumnInput = InputOf[ColumnType]
export type ColumnValues = Int32Array | Float64Array | unknown[] | Runs | Constant

/** Rows of one column, gathered until they are written as a row group. */
export interface ColumnBuffer {
  /** Copies rows `from` to `to` of the input behind the rows that are held already; a scalar stands for every row. */
  append(input: ColumnInput, from: number, to: number): void
  /** The rows held, as the encoder takes them; valid until the next call. */
  values(): ColumnValues
  /** Memory that the rows held take. */
  readonly bytes: number
  clear(): void
}

export function createColumnBuffer(column: Column): ColumnBuffer {
  switch (column.type) {
    case 'int32':
    case 'int64':
    case 'float64':
      return new NumberBuffer(column)
    case 'string':
      return new StringBuffer()
    case 'bool':
      return new BooleanBuffer()
    case 'list<int32>':
      return new ListBuffer((row) => Array.from(row))
    case 'list<float32>':
      return new ListBuffer((row) => Float32Array.from(row))
  }
}

const INITIAL_ROWS = 256
const POINTER_BYTES = 8

/** int64 columns hold steps and counts; as float64 they are exact up to 2^53, and far faster to encode than BigInts. */
class NumberBuffer implements ColumnBuffer {
  private data: Int32Array | Float64Array
  private rows = 0
  /** The number that was given for all rows, while there is one. */
  private constant: number | undefined

  constructor(private readonly column: Column) {
    this.data = column.type === 'int32' ? new Int32Array(INITIAL_ROWS) : new Float64Array(INITIAL_ROWS)
  }

  get bytes(): number {
    return this.rows * this.data.BYTES_PER_ELEMENT
  }

  append(input: number | ArrayLike<number>, from: number, to: number): void {
    const end = this.rows + to - from
    this.reserve(end)
    if (typeof input === 'number') this.data.fill(input, this.rows, end)
    else this.copy(input, from, to)
    const isOfItsType = input instanceof Int32Array && this.column.type === 'int32'
    if (this.column.type !== 'float64' && !isOfItsType) this.checkIntegers(input, from, end)
    const isConstant = typeof input === 'number' && (this.rows === 0 || Object.is(this.constant, input))
    this.constant = isConstant ? input : undefined
    this.rows = end
  }

  values(): Int32Array | Float64Array | Constant {
    if (this.constant !== undefined && this.column.type === 'float64')
      return { constant: this.constant, length: this.rows }
    return this.held()
  }

  private held(): Int32Array | Float64Array {
    return this.data.subarray(0, this.rows)
  }

  clear(): void {
    this.rows = 0
  }

  private reserve(rows: number): void {
    if (rows <= this.data.length) return
    const size = Math.max(this.data.length * 2, rows)
    const larger = this.data instanceof Int32Array ? new Int32Array(size) : new Float64Array(size)
    larger.set(this.held())
    this.data = larger
  }

  /** `set` between arrays of one type copies the bits, so that NaN payloads survive. */
  private copy(input: ArrayLike<number>, from: number, to: number): void {
    if (input instanceof Float64Array || input instanceof Int32Array) {
      this.data.set(input.subarray(from, to), this.rows)
      return
    }
    for (let i = from; i < to; i += 1) this.data[this.rows + i - from] = input[i]!
  }

  private checkIntegers(input: number | ArrayLike<number>, from: number, end: number): void {
    for (let row = this.rows; row < end; row += 1) {
      const given = typeof input === 'number' ? input : input[from + row - this.rows]
      if (given === this.data[row] && Number.isSafeInteger(given)) continue
      throw new RangeError(
        `column ${this.column.name} is ${this.column.type} and cannot hold ${String(given)}`,
      )
    }
  }
}

class StringBuffer implements ColumnBuffer {
  private runs = new Runs()

  get bytes(): number {
    return this.runs.values.length * 2 * POINTER_BYTES
  }

  append(input: string | readonly string[], from: number, to: number): void {
    if (typeof input === 'string') this.runs.append(input, to - from)
    else for (let i = from; i < to; i += 1) this.runs.append(input[i]!, 1)
  }

  values(): Runs {
    return this.runs
  }

  clear(): void {
    this.runs = new Runs()
  }
}

class BooleanBuffer implements ColumnBuffer {
  private data: boolean[] = []

  get bytes(): number {
    return this.data.length * POINTER_BYTES
  }

  append(input: boolean | readonly boolean[], from: number, to: number): void {
    if (typeof input === 'boolean') for (let i = from; i < to; i += 1) this.data.push(input)
    else for (let i = from; i < to; i += 1) this.data.push(input[i]!)
  }

  values(): boolean[] {
    return this.data
  }

  clear(): void {
    this.data = []
  }
}

/** Lists: each row copied, since callers reuse their arrays. */
class ListBuffer<L extends number[] | Float32Array> implements ColumnBuffer {
  private data: L[] = []
  bytes = 0

  constructor(private readonly copy: (row: ArrayLike<number>) => L) {}

  append(input: readonly ArrayLike<number>[], from: number, to: number): void {
    for (let i = from; i < to; i += 1) {
      const row = this.copy(input[i]!)
      this.data.push(row)
      this.bytes += row.length * Float32Array.BYTES_PER_ELEMENT + POINTER_BYTES
    }
  }

  values(): L[] {
    return this.data
  }

  clear(): void {
    this.data = []
    this.bytes = 0
  }
}
