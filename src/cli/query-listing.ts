import type { DuckDBValue } from '@duckdb/node-api'
import type { Colors } from 'picocolors/types.js'
import type { ColumnType } from '../tables/column.js'
import type { QueryResult } from '../tables/query.js'
import type { Archive, Results } from '../tables/read.js'
import { columnsOf, TABLE_NAMES, TABLES, type TableName } from '../tables/schema.js'
import { grouped } from '../counting.js'

/** The types that a query sees the columns as. */
const SQL_TYPES: Readonly<Record<ColumnType, string>> = {
  string: 'VARCHAR',
  int32: 'INTEGER',
  int64: 'BIGINT',
  float64: 'DOUBLE',
  bool: 'BOOLEAN',
  'list<int32>': 'INTEGER[]',
  'list<float32>': 'FLOAT[]',
}

interface ListedColumn {
  readonly name: string
  readonly type: string
  readonly description: string
}

export interface ListedTable {
  readonly name: TableName
  readonly rows: number
  readonly description: string
  readonly columns: readonly ListedColumn[]
}

const RUN: ListedColumn = { name: 'run', type: 'VARCHAR', description: 'Name of the run.' }

/** The tables that are there, with their columns, as manifests and schema have them. */
export function listTables(source: Results | Archive): ListedTable[] {
  const isTree = 'runs' in source
  const runs = isTree ? [...source.runs.values()] : [source]
  const entries = runs.flatMap(({ manifest }) => manifest.tables)
  return TABLE_NAMES.filter((table) => entries.some(({ name }) => name === table)).map((table) => ({
    name: table,
    rows: entries.reduce((sum, { name, rows }) => sum + (name === table ? rows : 0), 0),
    description: TABLES[table].description,
    columns: [
      ...columnsOf(table).map(({ name, type, description }) => ({
        name,
        type: SQL_TYPES[type],
        description,
      })),
      ...(isTree ? [RUN] : []),
    ],
  }))
}

/** The listing as a result: a row for each column of each table. */
export function listingResult(tables: readonly ListedTable[]): QueryResult {
  const rows = tables.flatMap(({ name: table, rows, columns }) =>
    columns.map(({ name, type, description }): DuckDBValue[] => [table, rows, name, type, description]),
  )
  return {
    names: ['table', 'rows', 'column', 'type', 'description'],
    types: ['VARCHAR', 'BIGINT', 'VARCHAR', 'VARCHAR', 'VARCHAR'],
    // eslint-disable-next-line @typescript-eslint/require-await -- a result of DuckDB comes piece by piece
    chunks: async function* () {
      yield rows
    },
  }
}

/** The listing for people. */
export function renderListing(tables: readonly ListedTable[], color: Colors): string {
  const columns = tables.flatMap((table) => table.columns)
  const [widest, type] = [columns.map(({ name }) => name), columns.map((column) => column.type)].map(
    (texts) => Math.max(...texts.map(({ length }) => length)),
  )
  return tables
    .map(({ name, rows, description, columns }) => {
      const head = `${color.bold(name)}  ${grouped(rows)} rows. ${description}`
      const lines = columns.map(
        (column) =>
          `  ${column.name.padEnd(widest!)}  ${color.dim(column.type.padEnd(type!))}  ${column.description}`,
      )
      return [head, ...lines, ''].join('\n')
    })
    .join('\n')
}
