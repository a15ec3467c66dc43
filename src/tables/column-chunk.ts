import type { ColumnChunk, ColumnMetaData, Encoding } from 'hyparquet'
import { ByteWriter, type ParquetWriter } from 'hyparquet-writer'

/** A page header counts bytes in a signed 32-bit integer. */
const MAX_PAGE_BYTES = 2 ** 31 - 1

const DICTIONARY_PAGE = 2
const DATA_PAGE_V2 = 3
/** Numbers of the encodings that chunks are written in (parquet.thrift, enum Encoding). */
const ENCODING_NUMBER = { PLAIN: 0, RLE_DICTIONARY: 8, BYTE_STREAM_SPLIT: 9 } as const
type PageEncoding = keyof typeof ENCODING_NUMBER

const NO_BYTES = new Uint8Array(0)

/** A data page before it is compressed. Columns without lists have neither levels nor empty lists. */
export interface DataPage {
  readonly rows: number
  /** Values and empty lists; as many as rows where the column has no lists. */
  readonly values?: number
  readonly encoding: PageEncoding
  readonly bytes: Uint8Array
  readonly empty?: number
  readonly repetition?: Uint8Array
  readonly definition?: Uint8Array
}

/**
 * Writes a column chunk page by page into the row group that `parquet` wrote last: for columns whose encoder is ours,
 * where the library's takes several times as long. Source: Parquet format, data page v2 and dictionary page.
 */
export class ChunkWriter {
  private readonly start: number
  private dictionaryStart: number | undefined
  private dataStart: number | undefined
  private values = 0
  private uncompressed = 0
  private readonly encodings = new Set<Encoding>()

  constructor(
    private readonly parquet: ParquetWriter,
    private readonly type: ColumnMetaData['type'],
    private readonly path: readonly string[],
  ) {
    this.start = parquet.writer.offset
  }

  /** Writes the values that the data pages after it name by number, in plain encoding. */
  dictionary(count: number, bytes: Uint8Array): void {
    this.dictionaryStart = this.parquet.writer.offset
    this.encodings.add('PLAIN')
    const packed = this.compress(bytes)
    this.page(
      bytes.length,
      [packed],
      [
        [1, DICTIONARY_PAGE],
        [2, bytes.length],
        [3, packed.length],
        [
          7,
          [
            [1, count],
            [2, ENCODING_NUMBER.PLAIN],
          ],
        ],
      ],
    )
  }

  /** Throws RangeError when the page is too long (2 GiB). */
  data(page: DataPage): void {
    const {
      rows,
      values = rows,
      encoding,
      bytes,
      empty = 0,
      repetition = NO_BYTES,
      definition = NO_BYTES,
    } = page
    const levels = repetition.length + definition.length
    if (levels + bytes.length > MAX_PAGE_BYTES)
      throw new RangeError(
        `${bytes.length} bytes are more than a Parquet page holds (${MAX_PAGE_BYTES} bytes)`,
      )
    this.dataStart ??= this.parquet.writer.offset
    this.encodings.add(encoding)
    this.values += values
    const packed = this.compress(bytes)
    this.page(
      levels + bytes.length,
      [repetition, definition, packed],
      [
        [1, DATA_PAGE_V2],
        [2, levels + bytes.length],
        [3, levels + packed.length],
        [
          8,
          [
            [1, values],
            [2, empty],
            [3, rows],
            [4, ENCODING_NUMBER[encoding]],
            [5, definition.length],
            [6, repetition.length],
          ],
        ],
      ],
    )
  }

  /** Adds the chunk to the row group, behind the chunks that are there. */
  finish(statistics?: ColumnMetaData['statistics']): void {
    const group = this.parquet.row_groups.at(-1)
    if (group === undefined) throw new RangeError('there is no row group to append a column to')
    const size = BigInt(this.parquet.writer.offset - this.start)
    group.columns.push(this.chunk(size, statistics))
    group.total_byte_size += BigInt(this.uncompressed)
    group.total_compressed_size = (group.total_compressed_size ?? 0n) + size
  }

  private chunk(size: bigint, statistics: ColumnMetaData['statistics']): ColumnChunk {
    return {
      file_offset: BigInt(this.start),
      meta_data: {
        type: this.type,
        encodings: ['RLE', ...this.encodings],
        path_in_schema: [...this.path],
        codec: 'SNAPPY',
        num_values: BigInt(this.values),
        total_uncompressed_size: BigInt(this.uncompressed),
        total_compressed_size: size,
        data_page_offset: BigInt(this.dataStart ?? this.start),
        ...(this.dictionaryStart !== undefined && { dictionary_page_offset: BigInt(this.dictionaryStart) }),
        ...(statistics && { statistics }),
      },
    }
  }

  private compress(bytes: Uint8Array): Uint8Array {
    return this.parquet.compressors.SNAPPY(bytes)
  }

  private page(uncompressed: number, parts: readonly Uint8Array[], fields: readonly Field[]): void {
    const header = pageHeader(fields)
    for (const bytes of [header, ...parts]) this.parquet.writer.appendBytes(bytes)
    this.uncompressed += header.length + uncompressed
  }
}

/** Runs of equal numbers in Parquet's RLE encoding: each is a varint of twice its length, then the number in one byte or more. */
export class RunLengths {
  /** How many numbers all runs hold. */
  total = 0
  private readonly writer = new ByteWriter()
  private number = 0
  private run = 0

  /** @param bytes that a number takes */
  constructor(private readonly bytes: number) {}

  append(number: number, count: number): void {
    if (count <= 0) return
    if (number !== this.number) this.flush()
    this.number = number
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
    for (let byte = 0; byte < this.bytes; byte += 1)
      this.writer.appendUint8((this.number >> (8 * byte)) & 0xff)
    this.run = 0
  }
}

/** All first bytes of the arrays' values, then all second bytes, and so on (Parquet's BYTE_STREAM_SPLIT). */
export function splitStreams(arrays: readonly (Float32Array | Float64Array)[], width: number): Uint8Array {
  const count = arrays.reduce((sum, { length }) => sum + length, 0)
  const out = new Uint8Array(count * width)
  let at = 0
  for (const { buffer, byteOffset, byteLength, length } of arrays) {
    const bytes = new Uint8Array(buffer, byteOffset, byteLength)
    for (let stream = 0; stream < width; stream += 1)
      copyStream(bytes, stream, width, out.subarray(stream * count + at, stream * count + at + length))
    at += length
  }
  return out
}

function copyStream(bytes: Uint8Array, first: number, step: number, out: Uint8Array): void {
  for (let i = 0; i < out.length; i += 1) out[i] = bytes[first + i * step]!
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
