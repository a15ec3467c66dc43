import type { ErrorClass } from './corrupt.js'
import { crc32c, maskedCrc32c } from './crc32c.js'
import type { RangedFile } from './ranged-file.js'

/** The last eight bytes of a table, little endian. */
const MAGIC = 0xdb4775248b80fb57n

/** Two block handles of at most 20 bytes each, then the magic number. */
const FOOTER_BYTES = 48

/** After every block: how it is packed, and the checksum of both. */
const TRAILER_BYTES = 5
const UNPACKED = 0

/** Tables of names take some 100 bytes a name; longer tables, longer names or more of them would only fill memory. */
const MAX_TABLE_BYTES = 128 * 2 ** 20
const MAX_KEY_BYTES = 4096
const MAX_KEYS = 100_000
/** Keys share their beginnings, so that a small table can hold long ones without end. */
const MAX_BYTES_OF_KEYS = 64 * 2 ** 20

/** Views of the table's bytes. */
export interface TableEntry {
  readonly key: Buffer
  readonly value: Buffer
}

/** Where a block lies in the table. */
interface BlockHandle {
  readonly offset: number
  readonly size: number
}

/**
 * The entries of a sorted table as LevelDB writes it, and TensorFlow for its indices
 * (https://github.com/google/leveldb/blob/main/doc/table_format.md): every block is checked against its checksum, and
 * keys must ascend.
 * @throws Fault when it is no such table, corrupt, truncated, or packed
 */
export async function readSortedTable(file: RangedFile, Fault: ErrorClass): Promise<readonly TableEntry[]> {
  const { path, size } = file
  if (size < FOOTER_BYTES) throw new Fault(`${path}: truncated: ${size} bytes are too few for a table`)
  if (size > MAX_TABLE_BYTES)
    throw new Fault(`${path}: a table of ${size} bytes; at most ${MAX_TABLE_BYTES} are read`)
  return new TableReader(Buffer.from((await file.read(0, size)).buffer), path, Fault).entries()
}

class TableReader {
  private bytesOfKeys = 0

  constructor(
    private readonly bytes: Buffer,
    private readonly path: string,
    private readonly Fault: ErrorClass,
  ) {}

  entries(): readonly TableEntry[] {
    const footer = this.bytes.subarray(this.bytes.length - FOOTER_BYTES)
    if (footer.readBigUInt64LE(FOOTER_BYTES - 8) !== MAGIC)
      throw this.corrupt('its last bytes are not those of a table: truncated, or not a table at all')
    const [, afterMeta] = this.handle(footer, 0)
    const [index] = this.handle(footer, afterMeta)
    const found: TableEntry[] = []
    for (const { value } of this.block(index)) {
      for (const entry of this.block(this.handle(value, 0)[0])) {
        const last = found.at(-1)
        if (last !== undefined && Buffer.compare(last.key, entry.key) >= 0)
          throw this.corrupt('its keys do not ascend')
        if (found.length === MAX_KEYS) throw this.corrupt(`more than ${MAX_KEYS} keys`)
        found.push(entry)
      }
    }
    return found
  }

  /** The entries of a block: keys are written as what they add to the key before; restart points are not needed. */
  private *block(handle: BlockHandle): Generator<TableEntry> {
    const content = this.checkedBlock(handle)
    const end = this.endOfEntries(content)
    let key = Buffer.alloc(0)
    let at = 0
    while (at < end) {
      const [shared, afterShared] = this.varint(content, at)
      const [added, afterAdded] = this.varint(content, afterShared)
      const [length, start] = this.varint(content, afterAdded)
      if (shared > key.length || start + added + length > end) throw this.corrupt('an entry leaves its block')
      if (shared + added > MAX_KEY_BYTES) throw this.corrupt(`a key of ${shared + added} bytes`)
      this.bytesOfKeys += shared + added
      if (this.bytesOfKeys > MAX_BYTES_OF_KEYS) throw this.corrupt(`keys of ${this.bytesOfKeys} bytes`)
      key = Buffer.concat([key.subarray(0, shared), content.subarray(start, start + added)])
      at = start + added + length
      yield { key, value: content.subarray(at - length, at) }
    }
  }

  private checkedBlock({ offset, size }: BlockHandle): Buffer {
    if (offset + size + TRAILER_BYTES > this.bytes.length - FOOTER_BYTES)
      throw this.corrupt(`truncated: a block of ${size} bytes at ${offset} leaves the file`)
    const covered = this.bytes.subarray(offset, offset + size + 1)
    const stored = this.bytes.readUInt32LE(offset + size + 1)
    if (maskedCrc32c(crc32c(covered)) !== stored)
      throw this.corrupt(`the block at ${offset} does not match its checksum; copy the file again`)
    if (covered[size] !== UNPACKED)
      throw this.corrupt(`the block at ${offset} is packed (kind ${covered[size]!}), which is not read`)
    return covered.subarray(0, size)
  }

  /** A block ends with the offsets of its restart points and their number. */
  private endOfEntries(content: Buffer): number {
    const restarts = content.length < 4 ? Infinity : content.readUInt32LE(content.length - 4)
    const end = content.length - 4 * (restarts + 1)
    if (end < 0) throw this.corrupt(`a block of ${content.length} bytes with ${restarts} restart points`)
    return end
  }

  private handle(bytes: Buffer, at: number): [BlockHandle, number] {
    const [offset, afterOffset] = this.varint(bytes, at)
    const [size, end] = this.varint(bytes, afterOffset)
    return [{ offset, size }, end]
  }

  /** An unsigned number in base 128, lowest digits first, and where it ends. */
  private varint(bytes: Buffer, start: number): [number, number] {
    let value = 0
    for (let at = start; at < bytes.length && at < start + 8; at++) {
      const byte = bytes[at]!
      value += (byte & 0x7f) * 2 ** (7 * (at - start))
      if (byte < 0x80 && value <= Number.MAX_SAFE_INTEGER) return [value, at + 1]
    }
    throw this.corrupt('a length that never ends')
  }

  private corrupt(what: string): Error {
    return new this.Fault(`${this.path}: corrupt: ${what}`)
  }
}
