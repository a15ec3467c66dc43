import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'

import { crc32c, maskedCrc32c } from '../../src/io/crc32c.js'

/** A sorted table of one block (LevelDB, table_format.md); `more` are records after the entries. */
export function tableFile(
  entries: readonly (readonly [key: string, value: Uint8Array])[],
  options: { packing?: number; more?: readonly Uint8Array[] } = {},
): Buffer {
  const data = block(
    [...entries.map(([key, value]) => record(0, Buffer.from(key), value)), ...(options.more ?? [])],
    options.packing,
  )
  const empty = block([])
  const handle = (offset: number, framed: Buffer): Buffer =>
    Buffer.concat([varint(offset), varint(framed.length - 5)])
  const index = block([record(0, Buffer.from('~'), handle(0, data))])
  const handles = Buffer.concat([handle(data.length, empty), handle(data.length + empty.length, index)])
  const footer = Buffer.concat([handles, Buffer.alloc(40 - handles.length), Buffer.alloc(8)])
  footer.writeBigUInt64LE(0xdb4775248b80fb57n, 40)
  return Buffer.concat([data, empty, index, footer])
}

/** A record of a block: how much of the key before it keeps, what it adds, the value. */
export function record(shared: number, added: Uint8Array, value: Uint8Array): Buffer {
  return Buffer.concat([varint(shared), varint(added.length), varint(value.length), added, value])
}

/** Records and one restart point, and the trailer with the checksum. */
function block(records: readonly Uint8Array[], packing = 0): Buffer {
  const restarts = Buffer.from([0, 0, 0, 0, 1, 0, 0, 0])
  const covered = Buffer.concat([...records, restarts, Buffer.from([packing])])
  const checksum = Buffer.alloc(4)
  checksum.writeUInt32LE(maskedCrc32c(crc32c(covered)))
  return Buffer.concat([covered, checksum])
}

function varint(value: number): Buffer {
  return Buffer.from(new BinaryWriter().uint32(value).finish())
}

/** The header of a TensorFlow checkpoint's index. */
export function bundleHeader(shards = 1, endianness = 0, minConsumer = 0): Uint8Array {
  const version = new BinaryWriter()
    .tag(1, WireType.Varint)
    .int32(1)
    .tag(2, WireType.Varint)
    .int32(minConsumer)
  return new BinaryWriter()
    .tag(1, WireType.Varint)
    .int32(shards)
    .tag(2, WireType.Varint)
    .int32(endianness)
    .tag(3, WireType.LengthDelimited)
    .bytes(version.finish())
    .finish()
}

/** A float32 tensor of an index, whose values are the given bytes of the first data file. */
export function bundleEntry(
  shape: readonly number[],
  values: Float32Array,
  place: { shard?: number; offset?: number; size?: number } = {},
): Uint8Array {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  const dims = new BinaryWriter()
  for (const size of shape)
    dims
      .tag(2, WireType.LengthDelimited)
      .bytes(new BinaryWriter().tag(1, WireType.Varint).int64(size).finish())
  return new BinaryWriter()
    .tag(1, WireType.Varint)
    .int32(1)
    .tag(2, WireType.LengthDelimited)
    .bytes(dims.finish())
    .tag(3, WireType.Varint)
    .int32(place.shard ?? 0)
    .tag(4, WireType.Varint)
    .int64(place.offset ?? 0)
    .tag(5, WireType.Varint)
    .int64(place.size ?? bytes.length)
    .tag(6, WireType.Bit32)
    .fixed32(maskedCrc32c(crc32c(bytes)))
    .finish()
}
