import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type {
  DuckDBConnection,
  DuckDBExtractedStatements,
  DuckDBInstance,
  DuckDBResult,
  DuckDBValue,
} from '@duckdb/node-api'
import { EngineError, reasonOf, RetrogradError, UsageError } from '../errors.js'
import { queryError } from './query-error.js'
import { checkStatement } from './query-statement.js'
import { columnValues, plainValue, type ColumnValues, type QueryValue } from './query-values.js'
import { copyQuery, copyResult } from './query-parquet.js'
import { list, literal, tableViews, type TableView } from './query-views.js'
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
  /** A file that `writeParquet` writes. */
  readonly output?: string
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

/** A result some rows at a time. */
export interface QueryResult {
  readonly names: readonly string[]
  /** Types of the columns as SQL writes them: `VARCHAR`, `DOUBLE`, `INTEGER[]`. */
  readonly types: readonly string[]
  readonly chunks: () => AsyncGenerator<readonly (readonly DuckDBValue[])[]>
}

/** SQL over the tables of a results folder, or of a tree of many. All calls throw UsageError for a query that is wrong. */
export interface Query {
  /** The tables that are there, as views of these names. */
  readonly tables: readonly TableName[]
  /** The rows as objects by column. Two columns of one name are told apart: `lca`, `lca:1`. */
  rows<T extends object = Record<string, QueryValue>>(sql: string, parameters?: QueryParameters): Promise<T[]>
  /** The same by columns, for large results. Throws UsageError where a column of numbers holds an inexact integer. */
  columns(sql: string, parameters?: QueryParameters): Promise<QueryColumns>
  /** The rows as DuckDB's own values, in the types that it gives them. */
  result(sql: string, parameters?: QueryParameters): Promise<QueryResult>
  /** Writes the rows to the file that was named as `output`, as Parquet. */
  writeParquet(sql: string): Promise<void>
  /** Ends what is being computed: its call throws. */
  interrupt(): void
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
  const duckdb = await loadDuckDB()
  const tempDir = join(options.tempDir ?? tmpdir(), `retrograd-query-${randomUUID()}`)
  const instance = await duckdb.DuckDBInstance.create(':memory:', {
    threads: String(options.threads ?? 1),
    preserve_insertion_order: 'true',
    temp_directory: tempDir,
    ...(options.memoryLimit !== undefined && { memory_limit: options.memoryLimit }),
  }).catch((error: unknown) => {
    throw queryError(error, source.dir)
  })
  const connection = await instance.connect()
  const query = new DuckDBQuery({ source, views, instance, connection, tempDir, output: options.output })
  try {
    for (const { name, sql } of views) await connection.run(`CREATE VIEW ${name} AS ${sql}`)
    await lock(connection, allowedFiles(views, options.output))
  } catch (error) {
    await query.close()
    throw queryError(error, source.dir)
  }
  return query
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

/** A path that is a pattern must be allowed as that, and as what it is the pattern of. */
function allowedFiles(views: readonly TableView[], output: string | undefined): string[] {
  const files = views.flatMap((view) => view.files)
  return [...files, ...files.map(literal), ...(output === undefined ? [] : [resolve(output)])]
}

/** Takes everything from the connection but the files. */
async function lock(connection: DuckDBConnection, files: readonly string[]): Promise<void> {
  const settings = [
    `allowed_paths = ${list(files)}`,
    'autoinstall_known_extensions = false',
    'autoload_known_extensions = false',
    'allow_community_extensions = false',
    'allow_persistent_secrets = false',
    'enable_external_access = false',
    'lock_configuration = true',
  ]
  for (const setting of settings) await connection.run(`SET ${setting}`)
}

interface QueryParts {
  readonly source: Results | Archive
  readonly views: readonly TableView[]
  readonly instance: DuckDBInstance
  readonly connection: DuckDBConnection
  readonly tempDir: string
  readonly output: string | undefined
}

class DuckDBQuery implements Query {
  private readonly connection: DuckDBConnection

  constructor(private readonly parts: QueryParts) {
    this.connection = parts.connection
  }

  get tables(): readonly TableName[] {
    return this.parts.views.map(({ name }) => name)
  }

  async rows<T extends object>(sql: string, parameters?: QueryParameters): Promise<T[]> {
    const result = await this.run(sql, parameters)
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
    const result = await this.run(sql, parameters)
    const names = result.deduplicatedColumnNames()
    const chunks = await result.fetchAllChunks()
    const columns = names.map((name, i) => {
      const vectors = chunks.map((chunk) => chunk.getColumnVector(i))
      return [name, columnValues(result.columnType(i), vectors, name)] as const
    })
    const rows = chunks.reduce((sum, { rowCount }) => sum + rowCount, 0)
    return { rows, names, columns: Object.fromEntries(columns) }
  }

  async result(sql: string, parameters?: QueryParameters): Promise<QueryResult> {
    const result = await this.run(sql, parameters)
    return {
      names: result.deduplicatedColumnNames(),
      types: result.columnTypes().map(String),
      chunks: async function* () {
        for await (const chunk of result) yield chunk.getRows()
      },
    }
  }

  async writeParquet(sql: string): Promise<void> {
    const { instance, connection, output } = this.parts
    if (output === undefined) throw new RangeError('openQuery was given no output to write to')
    try {
      const isSingle = (await this.statements(sql)).count === 1
      if (isSingle && (await copyQuery(connection, sql, resolve(output)))) return
      await copyResult(await this.run(sql), instance, resolve(output))
    } catch (error) {
      throw this.failure(error)
    }
  }

  interrupt(): void {
    this.connection.interrupt()
  }

  async close(): Promise<void> {
    this.connection.closeSync()
    this.parts.instance.closeSync()
    await rm(this.parts.tempDir, { recursive: true, force: true })
  }

  private failure(error: unknown): RetrogradError {
    return error instanceof RetrogradError ? error : queryError(error, this.parts.source.dir)
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

  /** Runs all statements; the result is the last one's, and is complete: of one that is streamed, errors get lost. */
  private async run(sql: string, parameters?: QueryParameters): Promise<DuckDBResult> {
    try {
      const statements = await this.statements(sql)
      const last = statements.count - 1
      for (let i = 0; i < last; i++) await checkStatement(await statements.prepare(i), 'before').run()
      const statement = checkStatement(await statements.prepare(last), 'last')
      if (parameters !== undefined) statement.bind(isList(parameters) ? [...parameters] : { ...parameters })
      return await statement.run()
    } catch (error) {
      throw this.failure(error)
    }
  }
}

function isList(parameters: QueryParameters): parameters is readonly Scalar[] {
  return Array.isArray(parameters)
}
