import { renameSync, rmSync } from 'node:fs'
import type { ColumnChunk } from 'hyparquet'
import { ParquetWriter, type ColumnSource } from 'hyparquet-writer'
import type { Column } from './column.js'
import {
  createColumnBuffer,
  type ColumnBuffer,
  type ColumnInput,
  type ColumnValues,
} from './column-buffer.js'
import { diskError } from './disk-error.js'
import { ENCODINGS, hasStatistics, isOwn, keyValues, schemaElements, type RunFacts } from './encoding.js'
import { FileSink } from './file-sink.js'
import { appendConstant, appendStrings } from './dictionary-chunk.js'
import { appendDoubles } from './double-chunk.js'
import { appendFloatLists } from './float-list-chunk.js'
import { Runs } from './runs.js'
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
      columnData: this.columns.flatMap((column, i) => this.sourceOf(column, this.buffers[i]!)),
      rowGroupSize: this.gathered,
      pageSize: NO_PAGE_LIMIT,
    })
    this.columns.forEach((column, i) => {
      this.appendOwn(column, this.buffers[i]!.values())
    })
    this.orderChunks()
    for (const buffer of this.buffers) buffer.clear()
    this.gathered = 0
  }

  /** What the library encodes. */
  private sourceOf(column: Column, buffer: ColumnBuffer): ColumnSource[] {
    const { name, type } = column
    if (isOwn(type)) return []
    const encoding = ENCODINGS[type]
    const data = buffer.values() as ColumnSource['data']
    const source = { name, data, statistics: hasStatistics(column) }
    return [encoding === undefined ? source : { ...source, encoding }]
  }

  private appendOwn(column: Column, values: ColumnValues): void {
    const { name, type } = column
    if (!isOwn(type)) return
    if (values instanceof Float64Array) appendDoubles(this.parquet, name, values)
    else if (values instanceof Runs)
      appendStrings(this.parquet, name, values, { statistics: hasStatistics(column) })
    else if ('constant' in values) appendConstant(this.parquet, name, values)
    else appendFloatLists(this.parquet, name, values as Float32Array[])
  }

  /** The footer lists chunks in the schema's order, wherever they lie. */
  private orderChunks(): void {
    const places = new Map(this.columns.map(({ name }, place) => [name, place]))
    const placeOf = ({ meta_data }: ColumnChunk): number => places.get(meta_data!.path_in_schema[0]!)!
    this.parquet.row_groups.at(-1)!.columns.sort((a, b) => placeOf(a) - placeOf(b))
  }
}
