import { renameSync, rmSync } from 'node:fs'
import { ParquetWriter, type ColumnSource } from 'hyparquet-writer'
import type { Column } from './column.js'
import { createColumnBuffer, type ColumnBuffer, type ColumnInput } from './column-buffer.js'
import { diskError } from './disk-error.js'
import { ENCODINGS, hasStatistics, keyValues, schemaElements, type RunFacts } from './encoding.js'
import { FileSink } from './file-sink.js'
import { appendFloatLists } from './float-list-chunk.js'
import { columnsOf, type TableName } from './schema.js'

/** Rows in a row group: more compress no better, and readers take a row group at a time. */
export const ROW_GROUP_ROWS = 1 << 17
/** A row group ends early when its rows take this much memory: rows of the parameters table hold whole tensors. */
export const ROW_GROUP_BYTES = 16 << 20

/** One page per column and row group: ROW_GROUP_ROWS bounds it, and looking for page ends costs a pass. */
const NO_PAGE_LIMIT = 0

/** What a finished part holds. */
export interface PartSize {
  readonly rows: number
}

/**
 * One Parquet file of a table. Rows are gathered up to a row group, then encoded and written, so that memory does not
 * grow with the file. The file has a temporary name until `finish`. Throws ResultsError when the disk refuses.
 */
export class PartFile {
  private readonly sink: FileSink
  private readonly parquet: ParquetWriter
  private readonly columns: readonly Column[]
  private readonly hasLists: boolean
  private readonly buffers: readonly ColumnBuffer[]
  private gathered = 0

  constructor(
    private readonly path: string,
    table: TableName,
    facts: RunFacts,
  ) {
    this.columns = columnsOf(table)
    this.hasLists = this.columns.some(({ type }) => type.startsWith('list'))
    this.buffers = this.columns.map(createColumnBuffer)
    this.sink = new FileSink(this.temporary)
    this.parquet = new ParquetWriter({
      writer: this.sink,
      schema: schemaElements(table),
      kvMetadata: keyValues(table, facts),
      createdBy: 'retrograd',
    })
  }

  private get temporary(): string {
    return `${this.path}.tmp`
  }

  /** Appends rows; `inputs` holds the columns in the table's order. */
  append(rows: number, inputs: readonly ColumnInput[]): void {
    for (let from = 0; from < rows;) {
      const to = Math.min(rows, from + this.room())
      this.buffers.forEach((buffer, i) => {
        buffer.append(inputs[i]!, from, to)
      })
      this.gathered += to - from
      from = to
      if (this.isFull()) this.writeRowGroup()
    }
  }

  /** Writes what is left, puts the file on the disk and gives it its name. */
  finish(): PartSize {
    if (this.gathered > 0) this.writeRowGroup()
    void this.parquet.finish()
    try {
      renameSync(this.temporary, this.path)
    } catch (error) {
      throw diskError(this.path, error)
    }
    return { rows: Number(this.parquet.num_rows) }
  }

  /** Removes the unfinished file. */
  abandon(): void {
    this.sink.close()
    rmSync(this.temporary, { force: true })
  }

  /** How many rows to take before looking at the memory: lists can be long, so they are looked at one by one. */
  private room(): number {
    return this.hasLists ? 1 : ROW_GROUP_ROWS - this.gathered
  }

  private isFull(): boolean {
    if (this.gathered >= ROW_GROUP_ROWS) return true
    return this.buffers.reduce((sum, { bytes }) => sum + bytes, 0) >= ROW_GROUP_BYTES
  }

  private writeRowGroup(): void {
    void this.parquet.write({
      columnData: this.sources(),
      rowGroupSize: this.gathered,
      pageSize: NO_PAGE_LIMIT,
    })
    this.writeFloatLists()
    for (const buffer of this.buffers) buffer.clear()
    this.gathered = 0
  }

  private sources(): ColumnSource[] {
    return this.columns.flatMap((column, i) => {
      if (column.type === 'list<float32>') return []
      const encoding = ENCODINGS[column.type]
      const source = {
        name: column.name,
        data: this.buffers[i]!.values(),
        statistics: hasStatistics(column),
      }
      return [encoding === undefined ? source : { ...source, encoding }]
    })
  }

  /** Works for a list column that is the table's last, which the schema keeps to. */
  private writeFloatLists(): void {
    const last = this.columns.length - 1
    const column = this.columns[last]!
    if (column.type !== 'list<float32>') return
    const rows = Array.from(this.buffers[last]!.values()).filter((row) => row instanceof Float32Array)
    appendFloatLists(this.parquet, column.name, rows)
  }
}
