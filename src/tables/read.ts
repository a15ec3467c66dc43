import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Table } from 'apache-arrow'
import { ResultsError } from '../errors.js'
import { manifestPath, requireRun, runsOf, tableFolder } from './archive.js'
import type { ArrowTypes } from './arrow-types.js'
import { concatColumns, type ColumnData } from './column-data.js'
import { conditionsOf, type Filter } from './filter.js'
import { MANIFEST_FILE, readManifest, type Manifest } from './manifest.js'
import { readPart, type PartRows, type Selection } from './part-reader.js'
import { columnsOf, type ColumnBatch, type ColumnName, type TableName } from './schema.js'

export interface ReadOptions<T extends TableName, N extends ColumnName<T>> {
  /** Columns to read; all by default. */
  readonly columns?: readonly N[]
  readonly filter?: Filter<T>
}

/** A finished results folder. */
export interface Results {
  readonly dir: string
  readonly manifest: Manifest
  /** The tables that are there. */
  readonly tables: readonly TableName[]
  /** The table's rows in the order they were written, a row group at a time. */
  batches<T extends TableName, N extends ColumnName<T> = ColumnName<T>>(
    table: T,
    options?: ReadOptions<T, N>,
  ): AsyncGenerator<ColumnBatch<T, N>>
  /** The table's files, in order. */
  partsOf(table: TableName): Promise<readonly string[]>
  /** All rows at once; prefer `batches` for units, parameters and totals. */
  readTable<T extends TableName, N extends ColumnName<T> = ColumnName<T>>(
    table: T,
    options?: ReadOptions<T, N>,
  ): Promise<ColumnBatch<T, N>>
  /**
   * All rows as a table of apache-arrow: strings by dictionary, int64 as Int64, whose values are BigInts. `tableToIPC`
   * writes it for other tools.
   */
  arrow<T extends TableName, N extends ColumnName<T> = ColumnName<T>>(
    table: T,
    options?: ReadOptions<T, N>,
  ): Promise<Table<ArrowTypes<T, N>>>
}

/** The results of many runs in one tree, as `retrograd batch` writes them. */
export interface Archive {
  readonly dir: string
  /** The finished runs by name, in natural order. */
  readonly runs: ReadonlyMap<string, Results>
}

/**
 * Opens a results folder, or one run of a tree of many. Throws ResultsError when the run or its manifest is missing,
 * corrupt or of another schema version; reading throws it when the table was not written, a part is missing, or a file
 * is corrupt.
 */
export async function openResults(dir: string, { run }: { readonly run?: string } = {}): Promise<Results> {
  if (run !== undefined) {
    await requireRun(dir, run)
    return openRun(dir, run)
  }
  const [first] = existsSync(join(dir, MANIFEST_FILE)) ? [] : await runsOf(dir)
  if (first !== undefined)
    throw new ResultsError(`${dir} holds the results of several runs; name one of them, such as ${first}`)
  return new ResultsFolder(dir, await readManifest(dir), (table) => join(dir, table))
}

/** Opens a tree of many runs. Throws ResultsError when it holds none, or a manifest is corrupt. */
export async function openArchive(dir: string): Promise<Archive> {
  const names = await runsOf(dir)
  if (names.length === 0)
    throw new ResultsError(
      `${dir} holds no finished runs of a batch; name the folder that was given as --out`,
    )
  const runs = new Map<string, Results>()
  for (const name of names) runs.set(name, await openRun(dir, name))
  return { dir, runs }
}

/** Opens what a folder holds: the results of one run, or a tree of many. Throws ResultsError as `openResults` does. */
export async function openTables(dir: string): Promise<Results | Archive> {
  const isTree = !existsSync(join(dir, MANIFEST_FILE)) && (await runsOf(dir)).length > 0
  return isTree ? openArchive(dir) : openResults(dir)
}

async function openRun(dir: string, run: string): Promise<Results> {
  const manifest = await readManifest(dirname(manifestPath(dir, run)))
  return new ResultsFolder(dir, manifest, (table) => tableFolder(dir, table, run))
}

class ResultsFolder implements Results {
  constructor(
    readonly dir: string,
    readonly manifest: Manifest,
    private readonly folderOf: (table: TableName) => string,
  ) {}

  get tables(): readonly TableName[] {
    return this.manifest.tables.map(({ name }) => name)
  }

  async *batches<T extends TableName, N extends ColumnName<T> = ColumnName<T>>(
    table: T,
    options: ReadOptions<T, N> = {},
  ): AsyncGenerator<ColumnBatch<T, N>> {
    const selection = selectionOf(table, options)
    for (const path of await this.partsOf(table)) {
      for await (const rows of readPart(path, selection)) {
        if (rows.rows > 0) yield typed(rows)
      }
    }
  }

  async readTable<T extends TableName, N extends ColumnName<T> = ColumnName<T>>(
    table: T,
    options: ReadOptions<T, N> = {},
  ): Promise<ColumnBatch<T, N>> {
    const selection = selectionOf(table, options)
    const parts = await this.rowsOf(selection)
    const columns = new Map<string, ColumnData>()
    for (const { name, type } of selection.columns) {
      columns.set(
        name,
        concatColumns(
          type,
          parts.map((part) => part.columns.get(name)!),
        ),
      )
    }
    return typed({ rows: parts.reduce((sum, { rows }) => sum + rows, 0), columns })
  }

  async arrow<T extends TableName, N extends ColumnName<T> = ColumnName<T>>(
    table: T,
    options: ReadOptions<T, N> = {},
  ): Promise<Table<ArrowTypes<T, N>>> {
    const selection = selectionOf(table, options)
    const parts = await this.rowsOf(selection)
    const { arrowTable } = await import('./arrow.js')
    return arrowTable(
      table,
      selection.columns,
      parts.filter(({ rows }) => rows > 0),
    )
  }

  private async rowsOf(selection: Selection): Promise<PartRows[]> {
    const parts: PartRows[] = []
    for (const path of await this.partsOf(selection.table)) {
      for await (const rows of readPart(path, selection)) parts.push(rows)
    }
    return parts
  }

  /** The table's files in order, as many as the manifest names. */
  async partsOf(table: TableName): Promise<string[]> {
    const entry = this.manifest.tables.find(({ name }) => name === table)
    if (entry === undefined) {
      throw new ResultsError(
        `${this.dir} has no table ${table}, only ${this.tables.join(', ')}; run with a finer --granularity`,
      )
    }
    const folder = this.folderOf(table)
    const files = (await listFiles(folder)).filter((file) => /^part-\d+\.parquet$/.test(file)).sort()
    if (files.length !== entry.parts) {
      throw new ResultsError(
        `${folder} has ${files.length} parts, but the manifest names ${entry.parts}; run again`,
      )
    }
    return files.map((file) => join(folder, file))
  }
}

async function listFiles(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    throw new ResultsError(`${folder} is missing, but the manifest names it; run again`, { cause: error })
  }
}

function selectionOf<T extends TableName, N extends ColumnName<T>>(
  table: T,
  { columns, filter }: ReadOptions<T, N>,
): Selection {
  const wanted = columns === undefined ? undefined : new Set<string>(columns)
  const chosen = columnsOf(table).filter(({ name }) => wanted === undefined || wanted.has(name))
  if (wanted !== undefined && chosen.length !== wanted.size) {
    const known = new Set(chosen.map(({ name }) => name))
    throw new RangeError(
      `table ${table} has no column ${[...wanted].filter((name) => !known.has(name)).join(', ')}`,
    )
  }
  return { table, columns: chosen, conditions: conditionsOf(table, filter ?? {}) }
}

/** The columns were decoded by the schema's types, which is what ColumnBatch spells out. */
function typed<T extends TableName, N extends ColumnName<T>>({ rows, columns }: PartRows): ColumnBatch<T, N> {
  return { rows, columns: Object.fromEntries(columns) as ColumnBatch<T, N>['columns'] }
}
