import { crc32, deflateRawSync } from 'node:zlib'

/** One entry of a zip archive to be written; sizes and checksum may be given wrong on purpose. */
export interface EntryToWrite {
  readonly name: string
  readonly data: Uint8Array
  readonly deflate?: boolean
  readonly claimedSize?: number
  readonly claimedCrc?: number
  readonly flags?: number
}

/** A zip archive as bytes (PKWARE APPNOTE 4.3): entries, central directory, end record. */
export function writeZip(entries: readonly EntryToWrite[]): Buffer {
  const locals: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const entry of entries) {
    const packed = entry.deflate === true ? deflateRawSync(entry.data) : Buffer.from(entry.data)
    const fields = commonFields(entry, packed)
    const name = Buffer.from(entry.name)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, name, packed])
    const position = Buffer.alloc(4)
    position.writeUInt32LE(offset)
    directory.push(
      Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), fields, Buffer.alloc(10), position, name]),
    )
    locals.push(local)
    offset += local.length
  }
  return Buffer.concat([
    ...locals,
    ...directory,
    endRecord(entries.length, Buffer.concat(directory).length, offset),
  ])
}

/** The 26 bytes that a local header and a directory entry share: version to length of the extra field. */
function commonFields(entry: EntryToWrite, packed: Buffer): Buffer {
  const fields = Buffer.alloc(26)
  fields.writeUInt16LE(20, 0)
  fields.writeUInt16LE(entry.flags ?? 0, 2)
  fields.writeUInt16LE(entry.deflate === true ? 8 : 0, 4)
  fields.writeUInt32LE(entry.claimedCrc ?? crc32(entry.data), 10)
  fields.writeUInt32LE(packed.length, 14)
  fields.writeUInt32LE(entry.claimedSize ?? entry.data.length, 18)
  fields.writeUInt16LE(Buffer.byteLength(entry.name), 22)
  return fields
}

function endRecord(count: number, directorySize: number, directoryOffset: number): Buffer {
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(count, 8)
  end.writeUInt16LE(count, 10)
  end.writeUInt32LE(directorySize, 12)
  end.writeUInt32LE(directoryOffset, 16)
  return end
}
