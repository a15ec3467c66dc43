import { DataError } from '../../errors.js'
import type { RangedFile } from '../../io/ranged-file.js'
import { readSchema, type ArrowField } from './arrow-schema.js'
import { asDataError, startsWith } from './format.js'
import { FlatTable } from './flatbuffer.js'

/** A record batch or dictionary: its metadata, and where its buffers lie in the file. */
export interface Batch {
  readonly length: number
  /** Length and null count of every field, depth first. */
  readonly nodes: readonly (readonly number[])[]
  /** Offset in the body and length of every buffer. */
  readonly buffers: readonly (readonly number[])[]
  readonly compression?: 'lz4' | 'zstd'
  /** The further buffers of view types, in the fields' order. */
  readonly variadic: readonly number[]
  /** The first byte of the body. */
  readonly body: number
  readonly bodyLength: number
  /** The dictionaries that hold when this batch is read, by their id; several are to be joined. */
  readonly dictionaries: ReadonlyMap<bigint, readonly Batch[]>
}

export interface ArrowMessages {
  readonly fields: readonly ArrowField[]
  readonly batches: readonly Batch[]
}

/** Kinds of messages (Arrow, format/Message.fbs, union MessageHeader). */
const KIND = { schema: 1, dictionary: 2, batch: 3 } as const

const FILE_MAGIC = 'ARROW1'
const CONTINUATION = -1

/** Metadata of a batch takes some 100 bytes a column. */
const MAX_METADATA_BYTES = 2 ** 28

/**
 * The messages of an Arrow IPC file or stream (https://arrow.apache.org/docs/format/Columnar.html, "Serialization and
 * IPC"): schema, and metadata of all batches. Nothing of their bodies is read. A file holds the same messages as a
 * stream, between its magic and its footer.
 * @throws DataError when it is corrupt, or ends before its end mark
 */
export async function readMessages(file: RangedFile): Promise<ArrowMessages> {
  const { path } = file
  try {
    return await walk(file)
  } catch (error) {
    throw asDataError(`${path}: corrupt Arrow file`, error)
  }
}

async function walk(file: RangedFile): Promise<ArrowMessages> {
  const isFile = startsWith(await file.read(0, 6), FILE_MAGIC)
  if (isFile && !startsWith(await file.read(file.size - 6, 6), FILE_MAGIC))
    throw new DataError(`${file.path}: truncated Arrow file: it does not end with its footer; copy it again`)
  let fields: ArrowField[] | undefined
  let dictionaries: ReadonlyMap<bigint, readonly Batch[]> = new Map()
  const batches: Batch[] = []
  for (let at = isFile ? 8 : 0; ;) {
    const message = await readMessage(file, at)
    if (message === undefined) break
    const { kind, header, body, bodyLength, next } = message
    at = next
    if (kind === KIND.schema) fields = readSchema(header)
    if (kind === KIND.batch) batches.push(readBatch(header, body, bodyLength, dictionaries))
    if (kind === KIND.dictionary) {
      const data = header.table(1)
      if (data === undefined) throw new Error('a dictionary without values')
      const batch = readBatch(data, body, bodyLength, dictionaries)
      const before = header.int8(2) === 0 ? [] : (dictionaries.get(header.id(0)) ?? [])
      dictionaries = new Map([...dictionaries, [header.id(0), [...before, batch]]])
    }
  }
  if (fields === undefined) throw new Error('it has no schema')
  return { fields, batches }
}

interface Message {
  readonly kind: number
  readonly header: FlatTable
  readonly body: number
  readonly bodyLength: number
  readonly next: number
}

/** The message at an offset, undefined at the end mark. */
async function readMessage(file: RangedFile, at: number): Promise<Message | undefined> {
  if (at + 8 > file.size) throw cutOff(file)
  const prefix = new DataView((await file.read(at, 8)).buffer)
  // Before Arrow 0.15 the length came without the mark of four 0xff.
  const marked = prefix.getInt32(0, true) === CONTINUATION
  const length = prefix.getInt32(marked ? 4 : 0, true)
  if (length === 0) return undefined
  const start = at + (marked ? 8 : 4)
  if (length < 0 || length > MAX_METADATA_BYTES) throw new Error(`a message of ${length} bytes at byte ${at}`)
  if (start + length > file.size) throw cutOff(file)
  const message = FlatTable.root(await file.read(start, length))
  const header = message.table(2)
  if (header === undefined) throw new Error(`a message without content at byte ${at}`)
  const body = start + length
  const bodyLength = message.count(3)
  if (body + bodyLength > file.size) throw cutOff(file)
  return { kind: message.int8(1), header, body, bodyLength, next: body + bodyLength }
}

function cutOff({ path, size }: RangedFile): DataError {
  return new DataError(
    `${path}: truncated Arrow file: it ends at byte ${size} without its end mark; copy it again, or write it anew and close the writer`,
  )
}

function readBatch(
  batch: FlatTable,
  body: number,
  bodyLength: number,
  dictionaries: Batch['dictionaries'],
): Batch {
  const buffers = batch.counts(2, 2)
  const beyond = buffers.find(([offset = 0, length = 0]) => offset + length > bodyLength)
  if (beyond !== undefined) throw new Error(`a buffer that ends beyond its batch of ${bodyLength} bytes`)
  const codec = batch.table(3)
  return {
    length: batch.count(0),
    nodes: batch.counts(1, 2),
    buffers,
    variadic: batch.counts(4, 1).map(([count = 0]) => count),
    ...(codec !== undefined && { compression: codec.int8(0) === 0 ? 'lz4' : 'zstd' }),
    body,
    bodyLength,
    dictionaries,
  }
}
