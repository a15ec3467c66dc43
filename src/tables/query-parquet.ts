import type { DuckDBConnection, DuckDBInstance, DuckDBResult } from '@duckdb/node-api'
import { reasonOf } from '../errors.js'
import { identifier, text } from './query-views.js'

/** A name that no query uses by chance. */
const NAME = identifier('rows of the query')

/**
 * Writes the rows of a query that is a single statement to a Parquet file while they are computed. False for a query that
 * can't be a view (PIVOT, DESCRIBE), or is wrong: nothing is written.
 */
export async function copyQuery(connection: DuckDBConnection, sql: string, path: string): Promise<boolean> {
  // COPY has the query between brackets, where its last semicolon or comment can't be
  const isView = await connection.run(`CREATE OR REPLACE TEMP VIEW ${NAME} AS ${sql}`).then(
    () => true,
    () => false,
  )
  if (isView) await copy(connection, path)
  return isView
}

/** Writes a result to a Parquet file, by way of a table in memory. */
export async function copyResult(
  result: DuckDBResult,
  instance: DuckDBInstance,
  path: string,
): Promise<void> {
  const columns = result
    .deduplicatedColumnNames()
    .map((name, i) => `${identifier(name)} ${typeName(result.columnType(i).toString())}`)
  const connection = await instance.connect()
  try {
    await connection.run(`CREATE TEMP TABLE ${NAME} (${columns.join(', ')})`)
    const appender = await connection.createAppender('rows of the query')
    for await (const chunk of result) appender.appendDataChunk(chunk)
    appender.closeSync()
    await copy(connection, path)
  } finally {
    connection.closeSync()
  }
}

async function copy(connection: DuckDBConnection, path: string): Promise<void> {
  try {
    await connection.run(`COPY (FROM ${NAME}) TO ${text(path)} (FORMAT parquet, USE_TMP_FILE false)`)
  } catch (error) {
    // the line that DuckDB shows is this one, not the user's
    throw new Error(reasonOf(error).replace(/\n+LINE \d+:[^]*$/, ''), { cause: error })
  }
}

/** A column of nothing but NULL has no type that a table could have; DuckDB makes INTEGER of it. */
function typeName(type: string): string {
  return type === 'SQLNULL' ? 'INTEGER' : type
}
