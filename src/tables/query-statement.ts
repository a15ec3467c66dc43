import type { DuckDBPreparedStatement } from '@duckdb/node-api'
import { UsageError } from '../errors.js'

/** DuckDB's numbers for kinds of statements (its enum StatementType, which the C API fixes). */
const SELECT = 1
const CREATE = 7

/**
 * Lets statements through that read: SELECT, and before the last one CREATE, which stays in memory (PIVOT begins with
 * one). Throws UsageError for any other: COPY could write to the files that may be read.
 */
export function checkStatement(
  statement: DuckDBPreparedStatement,
  place: 'before' | 'last',
): DuckDBPreparedStatement {
  const kind: number = statement.statementType
  if (kind === SELECT || (place === 'before' && kind === CREATE)) return statement
  throw new UsageError(
    place === 'last'
      ? 'a query must be, or end in, one that gives rows: SELECT, WITH, FROM, PIVOT, DESCRIBE, SUMMARIZE'
      : 'before its last statement a query may only CREATE tables, views and macros, which are gone after it',
  )
}
