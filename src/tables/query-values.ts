import type { DuckDBType, DuckDBValue, DuckDBVector } from '@duckdb/node-api'
import { UsageError } from '../errors.js'

/**
 * A value of a query's result in JavaScript's own types: numbers, strings, booleans, null, arrays for lists, objects for
 * structs; DuckDB's text for anything else (dates, maps).
 */
export type QueryValue =
  number | string | boolean | null | readonly QueryValue[] | { readonly [name: string]: QueryValue }

/**
 * A value as plain data. Integers become numbers, which are exact; decimals become the nearest number. Throws UsageError,
 * naming the column, for an integer beyond 2^53.
 */
export function plainValue(value: DuckDBValue, column: string): QueryValue {
  if (typeof value === 'bigint') return exact(value, column)
  if (typeof value !== 'object' || value === null) return value
  if ('width' in value) return Number(value.toString())
  if ('items' in value) return value.items.map((item) => plainValue(item, column))
  if ('entries' in value && !Array.isArray(value.entries)) return plainStruct(value.entries, column)
  return value.toString()
}

function plainStruct(entries: Readonly<Record<string, DuckDBValue>>, column: string): QueryValue {
  return Object.fromEntries(Object.entries(entries).map(([name, entry]) => [name, plainValue(entry, column)]))
}

function exact(value: bigint, column: string): number {
  const number = Number(value)
  if (Number.isSafeInteger(number)) return number
  throw new UsageError(
    `column ${column} holds ${value}, which a number does not hold exactly; cast it to varchar or double in the query`,
  )
}

/** A column of a result: numbers as Float64Array, NULL as NaN; anything else as an array. */
export type ColumnValues = Float64Array | readonly QueryValue[]

/** A column's values, which lie in vectors of some rows each. Throws UsageError as `plainValue` does. */
export function columnValues(
  type: DuckDBType,
  vectors: readonly DuckDBVector[],
  column: string,
): ColumnValues {
  if (isNumberType(type)) return numbers(vectors, column)
  return vectors.flatMap((vector) => vector.toArray().map((value) => plainValue(value, column)))
}

function numbers(vectors: readonly DuckDBVector[], column: string): Float64Array {
  const values = new Float64Array(vectors.reduce((sum, { itemCount }) => sum + itemCount, 0))
  let at = 0
  for (const vector of vectors) {
    for (let i = 0; i < vector.itemCount; i++) {
      const value = vector.getItem(i)
      values[at++] = typeof value === 'number' ? value : Number(plainValue(value, column) ?? NaN)
    }
  }
  return values
}

const NUMBER_TYPE = /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(.*\))$/

function isNumberType(type: DuckDBType): boolean {
  return NUMBER_TYPE.test(type.toString())
}
