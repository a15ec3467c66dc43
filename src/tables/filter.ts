import type { ParquetQueryFilter } from 'hyparquet'
import type { ColumnType } from './column.js'
import { columnsOf, type ColumnName, type TableName } from './schema.js'

/** A value that the column must hold, a list of which it must hold one, or an inclusive range of numbers. */
export type Condition =
  string | number | boolean | readonly (string | number)[] | { readonly from?: number; readonly to?: number }

/** Conditions on columns; a row must fulfil all. Lists can't be filtered by. */
export type Filter<T extends TableName> = { readonly [N in ColumnName<T>]?: Condition }

/** The conditions that hold for a table's columns, by name. Throws RangeError for a column that the table does not have. */
export function conditionsOf<T extends TableName>(
  table: T,
  filter: Filter<T>,
): ReadonlyMap<string, Condition> {
  const names = new Set(columnsOf(table).map(({ name }) => name))
  const given = Object.entries<Condition | undefined>(filter)
  const conditions = new Map<string, Condition>()
  for (const [name, condition] of given) {
    if (!names.has(name)) throw new RangeError(`table ${table} has no column ${name}`)
    if (condition !== undefined) conditions.set(name, condition)
  }
  return conditions
}

export function fulfils(value: unknown, condition: Condition): boolean {
  if (typeof condition !== 'object') return value === condition
  if (isList(condition)) return condition.some((one) => one === value)
  if (typeof value !== 'number') return false
  return value >= (condition.from ?? -Infinity) && value <= (condition.to ?? Infinity)
}

/** The same conditions as the Parquet library's filter, by which it leaves out row groups whose statistics exclude them. */
export function pruningFilter(
  table: TableName,
  conditions: ReadonlyMap<string, Condition>,
): ParquetQueryFilter | undefined {
  if (conditions.size === 0) return undefined
  const types = new Map(columnsOf(table).map(({ name, type }) => [name, type]))
  return {
    $and: [...conditions].map(([name, condition]) => ({ [name]: operatorOf(types.get(name), condition) })),
  }
}

interface Operator {
  $in?: (string | number | boolean | bigint)[]
  $gte?: number | bigint
  $lte?: number | bigint
}

function operatorOf(type: ColumnType | undefined, condition: Condition): Operator {
  if (typeof condition !== 'object') return { $in: [stored(type, condition)] }
  if (isList(condition)) return { $in: condition.map((one) => stored(type, one)) }
  const { from, to } = condition
  return { ...(from === undefined ? {} : { $gte: from }), ...(to === undefined ? {} : { $lte: to }) }
}

/** Statistics of int64 columns are BigInts, and equality is strict. */
function stored<V extends string | number | boolean>(type: ColumnType | undefined, value: V): V | bigint {
  return type === 'int64' && Number.isSafeInteger(value) ? BigInt(value) : value
}

function isList(condition: object): condition is readonly (string | number)[] {
  return Array.isArray(condition)
}
