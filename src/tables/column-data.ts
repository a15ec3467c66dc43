import type { ColumnType } from './column.js'
import type { OutputOf } from './schema.js'

export type ColumnData = OutputOf[ColumnType]

/** A column as the Parquet library decodes it. Throws RangeError, or TypeError, when it does not hold `type`. */
export function decodeColumn(type: ColumnType, data: ArrayLike<unknown>): ColumnData {
  switch (type) {
    case 'string':
      return Array.from(data, asString)
    case 'bool':
      return Array.from(data, asBoolean)
    case 'int32':
      return data instanceof Int32Array ? data : Int32Array.from(data, asNumber)
    case 'int64':
      return Float64Array.from(data, asExactNumber)
    case 'float64':
      return data instanceof Float64Array ? data : Float64Array.from(data, asNumber)
    case 'list<int32>':
      return Array.from(data, (row) =>
        row instanceof Int32Array ? row : Int32Array.from(asList(row), asNumber),
      )
    case 'list<float32>':
      return Array.from(data, (row) =>
        row instanceof Float32Array ? row : Float32Array.from(asList(row), asNumber),
      )
  }
}

/** The values at these rows, in their order. */
export function takeRows(type: ColumnType, column: ColumnData, rows: readonly number[]): ColumnData {
  return decodeColumn(
    type,
    rows.map((row) => column[row]),
  )
}

/** The values of several columns of one type, one after the other; an empty column of that type where there are none. */
export function concatColumns(type: ColumnType, columns: readonly ColumnData[]): ColumnData {
  const length = columns.reduce((sum, column) => sum + column.length, 0)
  if (type === 'int32') return fillFrom(new Int32Array(length), columns)
  if (type === 'int64' || type === 'float64') return fillFrom(new Float64Array(length), columns)
  return decodeColumn(
    type,
    columns.flatMap((column) => Array.from<unknown>(column)),
  )
}

/** `set` copies the bits of a NaN too. */
function fillFrom<A extends Int32Array | Float64Array>(target: A, columns: readonly ColumnData[]): A {
  let at = 0
  for (const column of columns) {
    if (column instanceof Int32Array || column instanceof Float64Array) target.set(column, at)
    at += column.length
  }
  return target
}

function asString(value: unknown): string {
  if (typeof value === 'string') return value
  throw new TypeError(`expected a string, found ${typeof value}`)
}

function asBoolean(value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw new TypeError(`expected a boolean, found ${typeof value}`)
}

function asNumber(value: unknown): number {
  if (typeof value === 'number') return value
  throw new TypeError(`expected a number, found ${typeof value}`)
}

function asExactNumber(value: unknown): number {
  const number = Number(value)
  if (Number.isSafeInteger(number)) return number
  throw new RangeError(`${String(value)} is not an integer that a double holds exactly`)
}

function asList(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new TypeError(`expected a list, found ${typeof value}`)
}
