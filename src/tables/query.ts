import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type {
  DuckDBConnection,
  DuckDBExtractedStatements,
  DuckDBPreparedStatement,
  DuckDBResult,
} from '@duckdb/node-api'
import { EngineError, reasonOf, RetrogradError, UsageError } from '../errors.js'
import { queryError } from './query-error.js'
import { checkStatement } from './query-statement.js'
import { columnValues, plainValue, type ColumnValues, type QueryValue } from './query-values.js'
import { list, literal, tableViews } from './query-views.js'
import type { Archive, Results } from './read.js'
import type { TableName } from './schema.js'

export interface QueryOptions {
  /**
   * Threads that a query is computed by, 1 by default: more are faster, but then sums of float64 are taken in another
   * order each time, and differ in their last bits.
   */
  readonly threads?: number
  /** Memory that DuckDB may use before it writes to files, such as `2GB`; by default 80 % of what there is. */
  readonly memoryLimit?: string
  /** Where these files go, into a folder of their own that `close` removes; by default the system's folder for such. */
  readonly tempDir?: string
}

/** Values for the query's `?` and `$1`, in order, or for its `$name`. */
export type QueryParameters = readonly Scalar[] | Readonly<Record<string, Scalar>>
type Scalar = string | number | boolean | null

/** A result by columns: numbers as Float64Array, NULL as NaN; anything else as an array. */
export interface QueryColumns {
  readonly rows: number
  readonly names: readonly string[]
  readonly columns: Readonly<Record<string, ColumnValues>>
}

/** SQL over the tables of a results folder, or of a tree of many. All calls throw UsageError for a query that is wrong. */
export interface Query {
  /** The tables that are there, as views of these names. */
  readonly tables: readonly TableName[]
  /** The rows as objects by column. Two columns of one name are told apart: `lca`, `lca:1`. */
  rows<T extends object = Record<string, QueryValue>>(sql: string, parameters?: QueryParameters): Promise<T[]>
  /** The same by columns, for large results. Throws UsageError where a column of numbers holds an inexact integer. */
  columns(sql: string, parameters?: QueryParameters): Promise<QueryColumns>
  /** DuckDB's own result, computed while it is read. Other queries wait until it was read to its end. */
  stream(sql: string, parameters?: QueryParameters): Promise<DuckDBResult>
  close(): Promise<void>
}

/**
 * Opens an in-memory DuckDB with a view for each table. A query reads these tables and nothing else: other files, network,
 * extensions and settings are locked. It may make tables and views in memory before its last statement, which must
 * be a SELECT (also WITH, FROM, PIVOT, DESCRIBE, SUMMARIZE). Throws ResultsError when a file of the tables is missing or
 * corrupt, EngineError where DuckDB is not installed.
 */
export async function openQuery(source: Results | Archive, options: QueryOptions = {}): Promise<Query> {
  const views = await tableViews(source)
  const { DuckDBInstance } = await loadDuckDB()
  const tempDir = join(options.tempDir ?? tmpdir(), `retrograd-query-${randomUUID()}`)
  const instance = await DuckDBInstance.create(':memory:', {
    threads: String(options.threads ?? 1),
    preserve_insertion_order: 'true',
    temp_directory: tempDir,
    ...(options.memoryLimit !== undefined && { memory_limit: options.memoryLimit }),
  }).catch((error: unknown) => {
    throw queryError(error, source.dir)
  })
  const connection = await instance.connect()
  const close = async (): Promise<void> => {
    connection.closeSync()
    instance.closeSync()
    await rm(tempDir, { recursive: true, force: true })
  }
  try {
    for (const { name, sql } of views) await connection.run(`CREATE VIEW ${name} AS ${sql}`)
    await lock(
      connection,
      views.flatMap(({ files }) => files),
    )
  } catch (error) {
    await close()
    throw queryError(error, source.dir)
  }
  return new DuckDBQuery(
    source.dir,
    connection,
    views.map(({ name }) => name),
    close,
  )
}

async function loadDuckDB(): Promise<typeof import('@duckdb/node-api')> {
  try {
    return await import('@duckdb/node-api')
  } catch (error) {
    const platform = `${process.platform}-${process.arch}`
    throw new EngineError(
      `DuckDB can't be loaded on ${platform} (${reasonOf(error)}); npm install retrograd brings it, if optional dependencies are not left out`,
      { cause: error },
    )
  }
}

/** Takes everything from the connection but the files. */
async function lock(connection: DuckDBConnection, files: readonly string[]): Promise<void> {
  const settings = [
    `allowed_paths = ${list([...files, ...files.map(literal)])}`,
    'autoinstall_known_extensions = false',
    'autoload_known_extensions = false',
    'allow_community_extensions = false',
    'allow_persistent_secrets = false',
    'enable_external_access = false',
    'lock_configuration = true',
  ]
  for (const setting of settings) await connection.run(`SET ${setting}`)
}

class DuckDBQuery implements Query {
  constructor(
    private readonly dir: string,
    private readonly connection: DuckDBConnection,
    readonly tables: readonly TableName[],
    readonly close: () => Promise<void>,
  ) {}

  async rows<T extends object>(sql: string, parameters?: QueryParameters): Promise<T[]> {
    const result = await this.runAll(sql, parameters)
    const names = result.deduplicatedColumnNames()
    const rows: T[] = []
    for (const chunk of await result.fetchAllChunks()) {
      for (const row of chunk.getRows()) {
        const entries = row.map((value, i) => [names[i]!, plainValue(value, names[i]!)] as const)
        rows.push(Object.fromEntries(entries) as T)
      }
    }
    return rows
  }

  async columns(sql: string, parameters?: QueryParameters): Promise<QueryColumns> {
    const result = await this.runAll(sql, parameters)
    const names = result.deduplicatedColumnNames()
    const chunks = await result.fetchAllChunks()
    const columns = names.map((name, i) => {
      const vectors = chunks.map((chunk) => chunk.getColumnVector(i))
      return [name, columnValues(result.columnType(i), vectors, name)] as const
    })
    const rows = chunks.reduce((sum, { rowCount }) => sum + rowCount, 0)
    return { rows, names, columns: Object.fromEntries(columns) }
  }

  stream(sql: string, parameters?: QueryParameters): Promise<DuckDBResult> {
    return this.last(sql, parameters, (statement) => statement.stream())
  }

  private runAll(sql: string, parameters: QueryParameters | undefined): Promise<DuckDBResult> {
    return this.last(sql, parameters, (statement) => statement.run())
  }

  private async statements(sql: string): Promise<DuckDBExtractedStatements> {
    try {
      return await this.connection.extractStatements(sql)
    } catch (error) {
      // what the library throws where there is none, which has no message of DuckDB's own
      if (reasonOf(error) === 'Error in native callback') throw new UsageError('the query holds no statement')
      throw error
    }
  }

  /** Runs all statements but the last, and of the last what `run` makes of it. */
  private async last<R>(
    sql: string,
    parameters: QueryParameters | undefined,
    run: (statement: DuckDBPreparedStatement) => Promise<R>,
  ): Promise<R> {
    try {
      const statements = await this.statements(sql)
      const last = statements.count - 1
      for (let i = 0; i < last; i++) await checkStatement(await statements.prepare(i), 'before').run()
      const statement = checkStatement(await statements.prepare(last), 'last')
      if (parameters !== undefined) statement.bind(isList(parameters) ? [...parameters] : { ...parameters })
      return await run(statement)
    } catch (error) {
      throw error instanceof RetrogradError ? error : queryError(error, this.dir)
    }
  }
}

function isList(parameters: QueryParameters): parameters is readonly Scalar[] {
  return Array.isArray(parameters)
}
