import type { ColumnChunk } from 'hyparquet'
import { ByteWriter, type ParquetWriter } from 'hyparquet-writer'

/** Pages end at the first row that reaches this size; a row never spans pages. */
const PAGE_BYTES = 1 << 20
/** A page header counts bytes in a signed 32-bit integer. */
const MAX_PAGE_BYTES = 2 ** 31 - 1

const FLOAT_BYTES = 4
const DATA_PAGE_V2 = 3
const BYTE_STREAM_SPLIT = 9

/**
 * Appends the column `name`, one list of float32 per row, to the row group that `parquet` wrote last, as its last
 * column. The library takes lists of boxed numbers with two boxed levels for each, 24 bytes and more per value; rows
 * here hold a tensor's parameters, so they are encoded from the typed arrays.
 * Source: Parquet format, data page v2, encodings RLE and BYTE_STREAM_SPLIT.
 * Throws RangeError when a row does not fit a page (2 GiB).
 */
export function appendFloatLists(parquet: ParquetWriter, name: string, rows: readonly Float32Array[]): void {
  const group = parquet.row_groups.at(-1)
  if (group === undefined) throw new RangeError('there is no row group to append a column to')
  const chunk = writeChunk(parquet, name, rows)
  group.columns.push(chunk)
  group.total_byte_size += chunk.meta_data?.total_uncompressed_size ?? 0n
  group.total_compressed_size =
    (group.total_compressed_size ?? 0n) + (chunk.meta_data?.total_compressed_size ?? 0n)
}

function writeChunk(parquet: ParquetWriter, name: string, rows: readonly Float32Array[]): ColumnChunk {
  const start = parquet.writer.offset
  let values = 0
  let uncompressed = 0
  for (const page of pagesOf(rows)) {
    const written = writePage(parquet, page)
    values += written.values
    uncompressed += written.uncompressed
  }
  return {
    file_offset: BigInt(start),
    meta_data: {
      type: 'FLOAT',
      encodings: ['RLE', 'BYTE_STREAM_SPLIT'],
      path_in_schema: [name, 'list', 'element'],
      codec: 'SNAPPY',
      num_values: BigInt(values),
      total_uncompressed_size: BigInt(uncompressed),
      total_compressed_size: BigInt(parquet.writer.offset - start),
      data_page_offset: BigInt(start),
    },
  }
}

function* pagesOf(rows: readonly Float32Array[]): Generator<readonly Float32Array[]> {
  let first = 0
  let bytes = 0
  for (const [i, row] of rows.entries()) {
    bytes += row.byteLength
    if (bytes < PAGE_BYTES && i < rows.length - 1) continue
    yield rows.slice(first, i + 1)
    first = i + 1
    bytes = 0
  }
}

/** Returns the page's number of values (an empty list counts as one) and its size before compression. */
function writePage(
  parquet: ParquetWriter,
  rows: readonly Float32Array[],
): { values: number; uncompressed: number } {
  const { repetition, definition, values, empty } = levelsOf(rows)
  const split = splitStreams(rows)
  const levels = repetition.length + definition.length
  if (levels + split.length > MAX_PAGE_BYTES) {
    throw new RangeError(
      `a list of ${split.length} bytes is longer than a Parquet page (${MAX_PAGE_BYTES} bytes)`,
    )
  }
  const packed = parquet.compressors.SNAPPY(split)
  const header = pageHeader([
    [1, DATA_PAGE_V2],
    [2, levels + split.length],
    [3, levels + packed.length],
    [
      8,
      [
        [1, values],
        [2, empty],
        [3, rows.length],
        [4, BYTE_STREAM_SPLIT],
        [5, definition.length],
        [6, repetition.length],
      ],
    ],
  ])
  for (const bytes of [header, repetition, definition, packed]) parquet.writer.appendBytes(bytes)
  return { values, uncompressed: header.length + levels + split.length }
}

interface Levels {
  readonly repetition: Uint8Array
  readonly definition: Uint8Array
  readonly values: number
  readonly empty: number
}

/** Repetition 0 starts a row and 1 continues it; definition 1 holds a value and 0 stands for an empty list. */
function levelsOf(rows: readonly Float32Array[]): Levels {
  const repetition = new RunLengths()
  const definition = new RunLengths()
  let empty = 0
  for (const { length } of rows) {
    repetition.append(0, 1)
    repetition.append(1, length - 1)
    definition.append(length === 0 ? 0 : 1, Math.max(length, 1))
    if (length === 0) empty += 1
  }
  return { repetition: repetition.finish(), definition: definition.finish(), values: repetition.total, empty }
}

/** Parquet's RLE encoding of one-bit levels: each run is a varint of twice its length, then the level. */
class RunLengths {
  total = 0
  private readonly writer = new ByteWriter()
  private level = 0
  private run = 0

  append(level: 0 | 1, count: number): void {
    if (count <= 0) return
    if (level !== this.level) this.flush()
    this.level = level
    this.run += count
    this.total += count
  }

  finish(): Uint8Array {
    this.flush()
    return this.writer.getBytes()
  }

  private flush(): void {
    if (this.run === 0) return
    this.writer.appendVarInt(this.run * 2)
    this.writer.appendUint8(this.level)
    this.run = 0
  }
}

/** All first bytes of the rows' values, then all second bytes, and so on. */
function splitStreams(rows: readonly Float32Array[]): Uint8Array {
  const count = rows.reduce((sum, row) => sum + row.length, 0)
  const out = new Uint8Array(count * FLOAT_BYTES)
  let at = 0
  for (const row of rows) {
    const bytes = new Uint8Array(row.buffer, row.byteOffset, row.byteLength)
    for (let stream = 0; stream < FLOAT_BYTES; stream += 1) {
      const target = stream * count + at
      for (let i = 0; i < row.length; i += 1) out[target + i] = bytes[i * FLOAT_BYTES + stream]!
    }
    at += row.length
  }
  return out
}

/** Field number and value of a Thrift struct whose fields are 32-bit integers or such structs. */
type Field = readonly [id: number, value: number | readonly Field[]]

const THRIFT_I32 = 5
const THRIFT_STRUCT = 12

/** A page header in Thrift's compact protocol. */
function pageHeader(fields: readonly Field[]): Uint8Array {
  const writer = new ByteWriter()
  appendStruct(writer, fields)
  return writer.getBytes()
}

function appendStruct(writer: ByteWriter, fields: readonly Field[]): void {
  let last = 0
  for (const [id, value] of fields) {
    const type = typeof value === 'number' ? THRIFT_I32 : THRIFT_STRUCT
    writer.appendUint8(((id - last) << 4) | type)
    if (typeof value === 'number') writer.appendZigZag(value)
    else appendStruct(writer, value)
    last = id
  }
  writer.appendUint8(0)
}
