import { stat } from 'node:fs/promises'

import { BYTES_PER_ELEMENT, elementCount, type TypedArray } from '../tensor.js'
import { ByteReader } from './byte-reader.js'
import type { ErrorClass } from './corrupt.js'
import { decodeArray, swapBytes } from './decode.js'
import { parseNpyHeader, type NpyHeader } from './npy-header.js'
import { streamRange } from './ranged-file.js'
import type { Place, ReadableArray, StoredArray } from './stored-array.js'

/** `\x93NUMPY`, then two bytes of version. */
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]

/** Headers take some 100 bytes; version 1 can hold no more than this, and numpy itself warns far below. */
const MAX_HEADER_BYTES = 65_536

/** The bytes of one .npy file, wherever they are kept. */
export interface NpyBytes {
  readonly name: string
  readonly where: string
  readonly size: number
  /** The file, where it is one of its own and no member of an archive. */
  readonly path?: string
  open(): AsyncIterable<Uint8Array>
}

/** An .npy file on disk as a source of bytes. */
export async function npyFile(path: string, name: string, Fault: ErrorClass): Promise<NpyBytes> {
  const { size } = await stat(path)
  return { name, where: path, size, path, open: () => streamRange(path, 0, size, Fault) }
}

/**
 * The array of an .npy file (numpy.lib.format, versions 1 to 3).
 * @throws Fault when the header is corrupt, or promises more or less than the file has
 */
export async function openNpy(source: NpyBytes, Fault: ErrorClass): Promise<StoredArray> {
  const reader = new ByteReader(source.open(), source.where, Fault)
  const { header, headerSize } = await readHeader(reader, source.where, Fault)
  await reader.close()
  const { name, where } = source
  const { dtype, shape, order } = header
  if (dtype === undefined) {
    return { name, shape, type: header.descr, refusal: refusalOf(header.descr) }
  }
  const needed = headerSize + elementCount(shape) * BYTES_PER_ELEMENT[dtype]
  if (needed !== source.size) {
    throw new Fault(
      `${where}: ${source.size < needed ? 'truncated' : 'corrupt'}: its header promises ${needed} bytes, it has ${source.size}`,
    )
  }
  const blocks = (): AsyncIterable<TypedArray> => readBlocks(source, { ...header, dtype }, Fault)
  const place = placeOf(source, header, headerSize)
  return { name, where, dtype, shape, order, ...(place && { place }), blocks }
}

function placeOf({ path }: NpyBytes, { order, bigEndian }: NpyHeader, headerSize: number): Place | undefined {
  const asInMemory = order === 'row-major' && !bigEndian
  return path !== undefined && asInMemory ? { path, offset: headerSize } : undefined
}

async function* readBlocks(
  source: NpyBytes,
  header: NpyHeader & Pick<ReadableArray, 'dtype'>,
  Fault: ErrorClass,
): AsyncGenerator<TypedArray> {
  const reader = new ByteReader(source.open(), source.where, Fault)
  try {
    await readHeader(reader, source.where, Fault)
    const itemSize = BYTES_PER_ELEMENT[header.dtype]
    for await (const bytes of reader.blocks(itemSize)) {
      if (header.bigEndian) swapBytes(bytes, itemSize)
      yield decodeArray(bytes, header.dtype)
    }
  } finally {
    await reader.close()
  }
}

async function readHeader(
  reader: ByteReader,
  where: string,
  Fault: ErrorClass,
): Promise<{ header: NpyHeader; headerSize: number }> {
  const start = await reader.take(MAGIC.length + 2)
  const version = start[MAGIC.length]!
  if (!MAGIC.every((byte, i) => start[i] === byte)) throw new Fault(`${where}: not an .npy file`)
  if (version < 1 || version > 3)
    throw new Fault(`${where}: .npy version ${version}; versions 1 to 3 are read`)
  const lengthSize = version === 1 ? 2 : 4
  const lengthBytes = await reader.take(lengthSize)
  const view = new DataView(lengthBytes.buffer)
  const length = lengthSize === 2 ? view.getUint16(0, true) : view.getUint32(0, true)
  if (length > MAX_HEADER_BYTES) {
    throw new Fault(
      `${where}: corrupt: an .npy header of ${length} bytes; at most ${MAX_HEADER_BYTES} are read`,
    )
  }
  const text = new TextDecoder(version === 3 ? 'utf-8' : 'latin1').decode(await reader.take(length))
  return { header: parseNpyHeader(text, where, Fault), headerSize: start.length + lengthSize + length }
}

function refusalOf(descr: string): string {
  return descr.endsWith('O')
    ? 'holds pickled Python objects, which are never run; save it with a number type'
    : `has element type ${descr}, which is not read; save it as float32, int64 or uint8`
}
