import { BinaryReader, type WireType } from '@bufbuild/protobuf/wire'

/** BundleHeaderProto: what the index says of the checkpoint as a whole. */
export interface BundleHeader {
  readonly shards: number
  readonly bigEndian: boolean
  /** The oldest reader that understands the files. */
  readonly minConsumer: number
}

/** BundleEntryProto: a tensor, and where its bytes lie. */
export interface BundleEntry {
  /** A number of the enum `DataType`. */
  readonly type: number
  readonly shape: readonly number[]
  readonly shard: number
  readonly offset: number
  readonly size: number
  /** Of the tensor's bytes, masked. */
  readonly crc32c: number
  /** Pieces that a partitioned variable is kept in; none for all others. */
  readonly slices: number
}

type Field = (reader: BinaryReader) => void

/**
 * Calls for each field of a message the one that reads it; others are skipped. A reader for the three small messages
 * that are needed keeps memory in bounds: a generated one makes an object of every empty message in a hostile file.
 */
export function readMessage(bytes: Uint8Array, fields: Readonly<Record<number, Field>>): void {
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [field, wireType]: [number, WireType] = reader.tag()
    const read = fields[field]
    if (read === undefined) reader.skip(wireType, field)
    else read(reader)
  }
}

/** Source: tensorflow/core/protobuf/tensor_bundle.proto and framework/versions.proto. */
export function readBundleHeader(bytes: Uint8Array): BundleHeader {
  const header = { shards: 0, bigEndian: false, minConsumer: 0 }
  readMessage(bytes, {
    1: (reader) => (header.shards = reader.int32()),
    2: (reader) => (header.bigEndian = reader.int32() !== 0),
    3: (reader) => {
      readMessage(reader.bytes(), { 2: (version) => (header.minConsumer = version.int32()) })
    },
  })
  return header
}

/** Source: tensorflow/core/protobuf/tensor_bundle.proto. */
export function readBundleEntry(bytes: Uint8Array): BundleEntry {
  const entry = {
    type: 0,
    shape: [] as readonly number[],
    shard: 0,
    offset: 0,
    size: 0,
    crc32c: 0,
    slices: 0,
  }
  readMessage(bytes, {
    1: (reader) => (entry.type = reader.int32()),
    2: (reader) => (entry.shape = readShape(reader.bytes())),
    3: (reader) => (entry.shard = reader.int32()),
    4: (reader) => (entry.offset = wholeNumber(reader)),
    5: (reader) => (entry.size = wholeNumber(reader)),
    6: (reader) => (entry.crc32c = reader.fixed32()),
    7: (reader) => {
      reader.bytes()
      entry.slices++
    },
  })
  return entry
}

/** Source: tensorflow/core/framework/tensor_shape.proto. */
function readShape(bytes: Uint8Array): number[] {
  const sizes: number[] = []
  readMessage(bytes, {
    2: (reader) => {
      let size = 0
      readMessage(reader.bytes(), { 1: (dim) => (size = wholeNumber(dim)) })
      sizes.push(size)
    },
    3: (reader) => {
      if (reader.bool()) throw new Error('a shape of unknown rank')
    },
  })
  return sizes
}

function wholeNumber(reader: BinaryReader): number {
  const value = Number(reader.int64())
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${value} where a size or place must be`)
  return value
}
