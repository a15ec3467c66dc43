import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { UsageError } from '../errors.js'
import type { ColumnInput } from './column-buffer.js'
import { diskError } from './disk-error.js'
import type { RunFacts } from './encoding.js'
import { manifestSchema, type Manifest, type ManifestFacts, type TableEntry } from './manifest.js'
import { PartFile } from './part-file.js'
import { columnsOf, TABLES, tablesAt, type Batch, type Granularity, type TableName } from './schema.js'
import { occupantsOf, Staging } from './staging.js'

export interface ResultsWriterOptions {
  /** Which tables are written; see `tablesAt`. */
  readonly granularity: Granularity
  /** Whether results that are in the folder may be replaced, which happens at `commit` and not before. */
  readonly overwrite: boolean
  /** What is known of the run at its start; every file carries it as JSON. */
  readonly facts: RunFacts
}

/** A table on its way: its finished parts and the open one. */
interface OpenTable extends TableEntry {
  part?: PartFile | undefined
}

/**
 * Writes a results folder. Tables are staged in `<dir>/.partial` and become visible all at once in `commit`, the
 * manifest last; a run that fails or is killed leaves the folder's results as they were.
 * Methods throw ResultsError when the disk refuses, and RangeError when a batch does not fit the schema; a writer that
 * has thrown is good for `discard` only.
 */
export class ResultsWriter {
  private readonly tables: ReadonlyMap<TableName, OpenTable>
  private closed = false

  private constructor(
    private readonly staging: Staging,
    options: ResultsWriterOptions,
    private readonly facts: RunFacts,
  ) {
    const names = tablesAt(options.granularity)
    this.tables = new Map(names.map((name) => [name, { name, rows: 0, parts: 0, bytes: 0 }]))
  }

  /**
   * Opens `dir`, making it where needed. Throws UsageError when it is a file, when it holds results and `overwrite` is
   * not given, or when another process is writing there.
   */
  static async create(dir: string, options: ResultsWriterOptions): Promise<ResultsWriter> {
    const staging = await Staging.open(dir)
    try {
      refuseOccupied(dir, staging.occupants(), options.overwrite)
    } catch (error) {
      await staging.discard()
      throw error
    }
    return new ResultsWriter(staging, options, options.facts)
  }

  /** Appends `rows` rows; a column is an array of that length or a scalar for all rows. The arrays are copied. */
  append<T extends TableName>(name: T, rows: number, batch: Batch<T>): void {
    const table = this.tables.get(name)
    if (table === undefined || this.closed) throw new RangeError(`table ${name} is not open for writing`)
    const inputs = inputsOf(name, rows, batch)
    if (rows === 0) return
    table.part ??= this.openPart(table)
    table.part.append(rows, inputs)
  }

  /** Closes the parts of the per-interval tables: the rows appended next begin new ones. */
  endBlock(): void {
    for (const table of this.tables.values()) {
      if (TABLES[table.name].rowsOf === 'interval') this.closePart(table)
    }
  }

  /** Puts everything into place, replacing older results; returns the manifest with the tables' sizes. */
  async commit(facts: ManifestFacts): Promise<Manifest> {
    for (const table of this.tables.values()) {
      if (table.parts === 0) table.part ??= this.openPart(table)
      this.closePart(table)
    }
    const tables = [...this.tables.values()].map(({ name, rows, parts, bytes }) => ({
      name,
      rows,
      parts,
      bytes,
    }))
    const manifest = manifestSchema.parse({ ...facts, tables })
    await this.staging.commit(manifest)
    this.closed = true
    return manifest
  }

  /** Removes all that was written, and the folder if it was made for it; older results stay. Does nothing after `commit`. */
  async discard(): Promise<void> {
    if (this.closed) return
    this.closed = true
    for (const table of this.tables.values()) table.part?.abandon()
    await this.staging.discard()
  }

  private openPart(table: OpenTable): PartFile {
    const folder = join(this.staging.partial, table.name)
    try {
      mkdirSync(folder, { recursive: true })
    } catch (error) {
      throw diskError(folder, error)
    }
    return new PartFile(this.pathOfPart(table), table.name, this.facts)
  }

  private closePart(table: OpenTable): void {
    if (table.part === undefined) return
    const { rows } = table.part.finish()
    table.part = undefined
    table.rows += rows
    table.bytes += statSync(this.pathOfPart(table)).size
    table.parts += 1
  }

  private pathOfPart({ name, parts }: OpenTable): string {
    return join(this.staging.partial, name, `part-${String(parts).padStart(5, '0')}.parquet`)
  }
}

/**
 * Throws UsageError when a folder holds results and `overwrite` is not given. `ResultsWriter.create` checks it again;
 * asked before any work it spares a user the wait.
 */
export function assertFree(dir: string, overwrite: boolean): void {
  refuseOccupied(dir, occupantsOf(dir), overwrite)
}

function refuseOccupied(dir: string, occupants: readonly string[], overwrite: boolean): void {
  if (occupants.length === 0 || overwrite) return
  throw new UsageError(
    `${dir} holds results already (${occupants.join(', ')}); choose another --out or add --overwrite`,
  )
}

/** The batch's columns in the table's order, each checked to hold a scalar or `rows` values. */
function inputsOf<T extends TableName>(table: T, rows: number, batch: Batch<T>): ColumnInput[] {
  const given: Readonly<Record<string, ColumnInput | undefined>> = batch
  return columnsOf(table).map(({ name }) => {
    const input = given[name]
    if (input === undefined) throw new RangeError(`table ${table}: column ${name} is missing`)
    if (typeof input === 'object' && input.length !== rows) {
      throw new RangeError(`table ${table}: column ${name} has ${input.length} values for ${rows} rows`)
    }
    return input
  })
}
