import type { ColumnMetaData, DataReader, DecodedArray } from 'hyparquet'
import { deltaBinaryUnpack, deltaLengthByteArray } from 'hyparquet/src/delta.js'
import { byteStreamSplit } from 'hyparquet/src/encoding.js'
import { readPlain } from 'hyparquet/src/plain.js'

import { readHybrid, readVarint } from './parquet-levels.js'
import type { Leaf } from './parquet-schema.js'

/** How the values of a page are kept. */
export interface Encoded {
  readonly encoding: string
  readonly type: ColumnMetaData['type']
  readonly leaf: Leaf
  readonly dictionary: DecodedArray | undefined
}

/**
 * `count` values of a page (parquet-format, Encodings.md). What is claimed is held against the bytes first: the library's
 * decoders take its word.
 * @throws Error when they are corrupt, or in an encoding that is not read
 */
export function decodeValues(
  bytes: Uint8Array,
  count: number,
  { encoding, type, leaf, dictionary }: Encoded,
): DecodedArray {
  if (count === 0) return []
  switch (encoding) {
    case 'PLAIN':
      return plain(bytes, type, count, leaf)
    case 'PLAIN_DICTIONARY':
    case 'RLE_DICTIONARY':
      return fromDictionary(readHybrid(bytes.subarray(1), bytes[0] ?? 0, count), dictionary)
    case 'RLE':
      return Uint8Array.from(readHybrid(bytes.subarray(4), 1, count))
    case 'BYTE_STREAM_SPLIT':
      checkBytes(bytes, count * widthInBytes(type, leaf))
      return byteStreamSplit(readerOf(bytes), count, type, leaf.element.type_length)
    default:
      return deltas(bytes, count, encoding, type)
  }
}

/** Values one after the other (PLAIN = 0). Throws where the bytes are too few. */
export function plain(
  bytes: Uint8Array,
  type: ColumnMetaData['type'],
  count: number,
  leaf: Leaf,
): DecodedArray {
  checkBytes(bytes, count * widthInBytes(type, leaf))
  return readPlain(readerOf(bytes), type, count, leaf.element.type_length)
}

function deltas(
  bytes: Uint8Array,
  count: number,
  encoding: string,
  type: ColumnMetaData['type'],
): DecodedArray {
  const reader = readerOf(bytes)
  if (encoding !== 'DELTA_BINARY_PACKED' && encoding !== 'DELTA_LENGTH_BYTE_ARRAY')
    throw new Error(`encoding ${encoding}, which is not read`)
  checkDeltas(bytes)
  if (encoding === 'DELTA_LENGTH_BYTE_ARRAY') {
    const cells: Uint8Array[] = []
    deltaLengthByteArray(reader, count, cells)
    return cells
  }
  const output = type === 'INT32' ? new Int32Array(count) : new BigInt64Array(count)
  deltaBinaryUnpack(reader, count, output)
  return output
}

/** Blocks of deltas have a multiple of 128 values in miniblocks of a multiple of 32 (Encodings.md); others never end. */
function checkDeltas(bytes: Uint8Array): void {
  const reader = { bytes, at: 0 }
  const size = readVarint(reader)
  const miniblocks = readVarint(reader)
  if (
    size === 0 ||
    miniblocks === 0 ||
    miniblocks > size ||
    size % miniblocks !== 0 ||
    (size / miniblocks) % 8 !== 0
  )
    throw new Error(`blocks of ${size} deltas in ${miniblocks} miniblocks`)
}

function fromDictionary(positions: Uint32Array, dictionary: DecodedArray | undefined): DecodedArray {
  if (dictionary === undefined) throw new Error('positions in a dictionary that is not there')
  const typed = ArrayBuffer.isView(dictionary)
  const values: DecodedArray = typed
    ? new (dictionary.constructor as new (length: number) => DecodedArray)(positions.length)
    : new Array<unknown>(positions.length)
  for (const [i, position] of positions.entries()) {
    if (position >= dictionary.length)
      throw new Error(`value ${position} of a dictionary of ${dictionary.length}`)
    values[i] = dictionary[position] as never
  }
  return values
}

function checkBytes(bytes: Uint8Array, needed: number): void {
  if (needed > bytes.length)
    throw new Error(`a page of ${bytes.length} bytes, where its values take ${needed}`)
}

/** The fewest bytes of a value. */
function widthInBytes(type: ColumnMetaData['type'], { element }: Leaf): number {
  switch (type) {
    case 'BOOLEAN':
      return 1 / 8
    case 'INT32':
    case 'FLOAT':
    case 'BYTE_ARRAY':
      return 4
    case 'INT64':
    case 'DOUBLE':
      return 8
    case 'INT96':
      return 12
    case 'FIXED_LEN_BYTE_ARRAY':
      return element.type_length ?? 1
  }
}

function readerOf(bytes: Uint8Array): DataReader {
  return { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 }
}
