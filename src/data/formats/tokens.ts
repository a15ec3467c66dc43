import { basename } from 'node:path'

import { DataError, UsageError } from '../../errors.js'
import { ByteReader } from '../../io/byte-reader.js'
import { decodeArray } from '../../io/decode.js'
import { streamRange, withFile } from '../../io/ranged-file.js'
import { BYTES_PER_ELEMENT, type DType, type TypedArray } from '../../tensor.js'
import type { ArrayFile } from '../stored-array.js'
import { singleFile, type Candidate, type DataFormat } from './format.js'

/** Headers of llm.c and its kin: 256 int32, of which the first are magic number, version and tokens (dev/data/data_common.py). */
const HEADER_BYTES = 1024
const LLM_C: ReadonlyMap<number, { version: number; dtype: DType }> = new Map([
  [20240520, { version: 1, dtype: 'uint16' }],
  [20240801, { version: 7, dtype: 'uint32' }],
])

/**
 * One long array of tokens: llm.c's `.bin` by its header, nanoGPT's by its name and only where sequences are asked for,
 * since it is nothing but uint16 numbers.
 */
export const tokens: DataFormat = {
  match: ({ path, head }) => LLM_C.has(magicOf(head)) || basename(path).endsWith('.bin'),
  open: (candidate) => (LLM_C.has(magicOf(candidate.head)) ? openWithHeader(candidate) : openRaw(candidate)),
}

function magicOf(head: Uint8Array): number {
  return head.length < 4 ? 0 : new DataView(head.buffer, head.byteOffset).getInt32(0, true)
}

async function openWithHeader({ path, size }: Candidate): Promise<ArrayFile> {
  const header = await withFile(path, DataError, (file) => file.read(0, HEADER_BYTES))
  const [magic = 0, version = 0, count = 0] = new Int32Array(header.buffer)
  const known = LLM_C.get(magic)!
  if (version !== known.version)
    throw new DataError(`${path}: tokens of llm.c's version ${version}; version ${known.version} is read`)
  const needed = HEADER_BYTES + count * BYTES_PER_ELEMENT[known.dtype]
  if (needed !== size) {
    throw new DataError(
      `${path}: ${size < needed ? 'truncated' : 'corrupt'}: its header promises ${needed} bytes, it has ${size}`,
    )
  }
  return tokenFile(path, HEADER_BYTES, count, known.dtype)
}

function openRaw({ path, size, tokens: asked }: Candidate): Promise<ArrayFile> {
  if (!asked) {
    throw new UsageError(
      `${path}: a file without a header, of which nothing says what it holds; for tokens (uint16, as nanoGPT writes them) give --context N, the tokens of a sequence`,
    )
  }
  if (size % 2 !== 0)
    throw new DataError(`${path}: truncated: tokens are 2 bytes each, but the file has ${size}`)
  return Promise.resolve(tokenFile(path, 0, size / 2, 'uint16'))
}

function tokenFile(path: string, begin: number, count: number, dtype: DType): ArrayFile {
  const blocks = (): AsyncIterable<TypedArray> => tokenBlocks(path, begin, count, dtype)
  const array = { name: 'tokens', where: path, shape: [count], dtype, order: 'row-major', blocks } as const
  return singleFile(path, [array])
}

async function* tokenBlocks(
  path: string,
  begin: number,
  count: number,
  dtype: DType,
): AsyncGenerator<TypedArray> {
  const bytes = streamRange(path, begin, count * BYTES_PER_ELEMENT[dtype], DataError)
  const reader = new ByteReader(bytes, path, DataError)
  try {
    for await (const block of reader.blocks(BYTES_PER_ELEMENT[dtype])) yield decodeArray(block, dtype)
  } finally {
    await reader.close()
  }
}
