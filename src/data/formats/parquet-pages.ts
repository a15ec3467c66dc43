import { brotliDecompressSync, crc32, gunzipSync } from 'node:zlib'
import type { ColumnMetaData, DecodedArray, PageHeader } from 'hyparquet'
import { decompressLz4, decompressLz4Raw, decompressZstd } from 'hyparquet-compressors'
import { parquetHeader } from 'hyparquet/src/column.js'
import { decompressPage } from 'hyparquet/src/datapage.js'

import type { RangedFile } from '../../io/ranged-file.js'
import { readHybrid } from './parquet-levels.js'
import type { Leaf } from './parquet-schema.js'
import { endOfThrift } from './parquet-thrift.js'
import { decodeValues, plain, type Encoded } from './parquet-values.js'

/** Values of one page, and the levels that say how they lie in rows; `count` includes nulls and empty lists. */
export interface Page {
  readonly count: number
  readonly values: DecodedArray
  /** Absent where the leaf has no such levels. */
  readonly definition?: Uint32Array
  readonly repetition?: Uint32Array
}

/** Headers take some 50 bytes, and more where they hold statistics of long values. */
const FIRST_HEADER_BYTES = 4096
const MAX_HEADER_BYTES = 2 ** 24

/** Writers cut pages at a megabyte, but not within 1,024 rows; only large cells, which hardly shrink, make larger pages. */
const MAX_PAGE_BYTES = 2 ** 26
const MAX_PAGE_RATIO = 16

/** Only pages of a single value, which take no bytes, have more than a megabyte's worth of bits. */
const MAX_PAGE_VALUES = 2 ** 23

/** Snappy is hyparquet's own; gzip and Brotli are Node's, which check their checksums and never write further than asked. */
const COMPRESSORS = {
  GZIP: (bytes: Uint8Array, length: number): Uint8Array => gunzipSync(bytes, { maxOutputLength: length }),
  BROTLI: (bytes: Uint8Array, length: number): Uint8Array =>
    brotliDecompressSync(bytes, { maxOutputLength: length }),
  ZSTD: (bytes: Uint8Array, length: number): Uint8Array => decompressZstd(bytes, new Uint8Array(length)),
  LZ4: decompressLz4,
  LZ4_RAW: decompressLz4Raw,
}

/**
 * The pages of a column chunk, one at a time (parquet-format, section "File format" and Encodings.md).
 * @throws Error when it is corrupt, truncated, or in an encoding that is not read
 */
export async function* readPages(file: RangedFile, chunk: ColumnMetaData, leaf: Leaf): AsyncGenerator<Page> {
  const start = Number(chunk.dictionary_page_offset ?? chunk.data_page_offset)
  // Some writers leave the dictionary's offset out where the data's is behind it.
  let at = Math.min(start, Number(chunk.data_page_offset))
  const end = at + Number(chunk.total_compressed_size)
  let left = Number(chunk.num_values)
  let dictionary: DecodedArray | undefined
  while (left > 0) {
    if (at >= end) throw new Error(`its pages hold ${left} values less than its footer says`)
    const { header, size } = await readHeader(file, at, Math.min(end, file.size))
    const body = await readBody(file, at + size, end, header)
    at += size + header.compressed_page_size
    if (header.type === 'DICTIONARY_PAGE') dictionary = readDictionary(body, header, chunk, leaf)
    if (header.type !== 'DATA_PAGE' && header.type !== 'DATA_PAGE_V2') continue
    const read = header.type === 'DATA_PAGE' ? pageV1 : pageV2
    const page = read({ body, header, chunk, leaf, dictionary, left })
    left -= page.count
    yield page
  }
}

async function readHeader(
  file: RangedFile,
  at: number,
  end: number,
): Promise<{ header: PageHeader; size: number }> {
  for (let length = FIRST_HEADER_BYTES; ; length *= 8) {
    const bytes = await file.read(at, Math.max(0, Math.min(length, end - at)))
    const size = endOfThrift(bytes, 0)
    if (size !== undefined) {
      const header = parquetHeader({ view: new DataView(bytes.buffer), offset: 0 })
      return { header, size }
    }
    if (length > end - at || length > MAX_HEADER_BYTES) throw new Error(`no page header at byte ${at}`)
  }
}

async function readBody(file: RangedFile, at: number, end: number, header: PageHeader): Promise<Uint8Array> {
  const { compressed_page_size: packed, uncompressed_page_size: unpacked, crc } = header
  const wanted = [packed, unpacked]
  if (!wanted.every((size) => Number.isSafeInteger(size) && size >= 0) || at + packed > end)
    throw new Error(`a page of ${packed} bytes at byte ${at}, where its column ends at ${end}`)
  if (unpacked > Math.max(MAX_PAGE_BYTES, packed * MAX_PAGE_RATIO))
    throw new Error(`a page that claims ${unpacked} bytes in ${packed}; write it with smaller pages`)
  const body = await file.read(at, packed)
  if (crc !== undefined && crc32(body) !== crc >>> 0)
    throw new Error(`the checksum of the page at byte ${at} is wrong`)
  return body
}

function readDictionary(
  body: Uint8Array,
  header: PageHeader,
  { codec, type }: ColumnMetaData,
  leaf: Leaf,
): DecodedArray {
  const count = header.dictionary_page_header?.num_values ?? 0
  const bytes = unpack(body, header.uncompressed_page_size, codec)
  return plain(bytes, type, count, leaf)
}

function unpack(body: Uint8Array, length: number, codec: ColumnMetaData['codec']): Uint8Array {
  return length === 0 ? new Uint8Array() : decompressPage(body, length, codec, COMPRESSORS)
}

/** A page as it lies in the file, and what is needed to read it. */
interface RawPage {
  readonly body: Uint8Array
  readonly header: PageHeader
  readonly chunk: ColumnMetaData
  readonly leaf: Leaf
  readonly dictionary: DecodedArray | undefined
  /** Values of the chunk that have not been read. */
  readonly left: number
}

function pageV1({ body, header, chunk: { codec, type }, leaf, dictionary, left }: RawPage): Page {
  const { num_values: count = 0, encoding = 'PLAIN' } = header.data_page_header ?? {}
  checkCount(count, left)
  let bytes = unpack(body, header.uncompressed_page_size, codec)
  const levels = (most: number): Uint32Array | undefined => {
    if (most === 0) return undefined
    const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true)
    if (length > bytes.length - 4) throw new Error('levels that are longer than their page')
    const read = readHybrid(bytes.subarray(4, 4 + length), widthOf(most), count)
    bytes = bytes.subarray(4 + length)
    return read
  }
  const repetition = levels(leaf.maxRepetition)
  const definition = levels(leaf.maxDefinition)
  return assemble(bytes, { count, encoding, type, leaf, dictionary, repetition, definition })
}

function pageV2({ body, header, chunk: { codec, type }, leaf, dictionary, left }: RawPage): Page {
  const v2 = header.data_page_header_v2
  if (v2 === undefined) throw new Error('a page without its header')
  const {
    num_values: count,
    encoding,
    repetition_levels_byte_length: first,
    definition_levels_byte_length: second,
  } = v2
  checkCount(count, left)
  if (first < 0 || second < 0 || first + second > body.length)
    throw new Error('levels that are longer than their page')
  const repetition =
    leaf.maxRepetition === 0
      ? undefined
      : readHybrid(body.subarray(0, first), widthOf(leaf.maxRepetition), count)
  const definition =
    leaf.maxDefinition === 0
      ? undefined
      : readHybrid(body.subarray(first, first + second), widthOf(leaf.maxDefinition), count)
  const rest = body.subarray(first + second)
  const bytes =
    v2.is_compressed === false ? rest : unpack(rest, header.uncompressed_page_size - first - second, codec)
  return assemble(bytes, { count, encoding, type, leaf, dictionary, repetition, definition })
}

function checkCount(count: number, left: number): void {
  if (!Number.isSafeInteger(count) || count < 0 || count > left)
    throw new Error(`a page of ${count} values, where its column has ${left} left`)
  if (count > MAX_PAGE_VALUES) throw new Error(`a page of ${count} values; write it with smaller pages`)
}

function widthOf(most: number): number {
  return 32 - Math.clz32(most)
}

interface Parts extends Encoded {
  readonly count: number
  readonly repetition: Uint32Array | undefined
  readonly definition: Uint32Array | undefined
}

function assemble(bytes: Uint8Array, parts: Parts): Page {
  const { count, definition, repetition, leaf } = parts
  let present = count
  if (definition !== undefined) for (const level of definition) if (level !== leaf.maxDefinition) present -= 1
  const values = decodeValues(bytes, present, parts)
  if (values.length < present) throw new Error(`a page of ${values.length} values instead of ${present}`)
  return { count, values, ...(definition && { definition }), ...(repetition && { repetition }) }
}
