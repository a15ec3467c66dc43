import { createInflateRaw, crc32 } from 'node:zlib'
import { Readable } from 'node:stream'
import * as yauzl from 'yauzl'

import { reasonOf } from '../errors.js'
import type { ErrorClass } from './corrupt.js'
import { streamRange, withFile, type RangedFile } from './ranged-file.js'

/** DEFLATE stores at best 258 bytes in two bits: what claims to shrink further is a bomb or corrupt. */
export const MAX_DEFLATE_RATIO = 1032

/** Checkpoints of the largest known models hold some ten thousand entries; more would only fill memory. */
const MAX_ENTRIES = 500_000

/** The end of an archive that is read at once: its directory, for all but the largest. */
const TAIL = 256 * 1024

const LOCAL_HEADER_SIZE = 30
const LOCAL_HEADER_SIGNATURE = 0x04034b50
const METHOD = { stored: 0, deflated: 8 } as const

/** Whether a file starts like a zip archive that is not empty. */
export function looksLikeZip(head: Uint8Array): boolean {
  const view = new DataView(head.buffer, head.byteOffset, head.length)
  return head.length >= 4 && view.getUint32(0, true) === LOCAL_HEADER_SIGNATURE
}

/** The name of the first entry of a zip archive by the file's first bytes; undefined where these are of no archive. */
export function firstZipEntry(head: Uint8Array): string | undefined {
  if (head.length < LOCAL_HEADER_SIZE || !looksLikeZip(head)) return undefined
  const view = new DataView(head.buffer, head.byteOffset, head.length)
  const length = view.getUint16(26, true)
  return new TextDecoder().decode(head.subarray(LOCAL_HEADER_SIZE, LOCAL_HEADER_SIZE + length))
}

/** An entry of a zip archive, as its central directory describes it. Sizes in bytes. */
export interface ZipEntry {
  readonly name: string
  readonly method: 'stored' | 'deflated'
  readonly size: number
  readonly compressedSize: number
  /** Undefined where the archive's writer is known to have written none. */
  readonly crc32: number | undefined
  readonly headerOffset: number
}

/**
 * The entries of a zip archive (zip64 too), by name.
 * @throws Fault when it is no zip archive or truncated, an entry's name repeats or escapes the archive, or an entry
 *   is encrypted, overlaps another, or is larger than its bytes can hold
 */
export async function listZip(file: RangedFile, Fault: ErrorClass): Promise<ReadonlyMap<string, ZipEntry>> {
  const entries = new Map<string, ZipEntry>()
  try {
    const reader = new TailReader(file)
    const zip = await yauzl.fromRandomAccessReaderPromise(reader, file.size, { lazyEntries: true })
    for await (const raw of zip.eachEntry()) {
      const entry = checkEntry(raw, file.size)
      if (entries.has(entry.name)) throw new Error(`two entries are named '${entry.name}'`)
      if (entries.size === MAX_ENTRIES) throw new Error(`more than ${MAX_ENTRIES} entries`)
      entries.set(entry.name, entry)
    }
    refuseOverlaps([...entries.values()])
  } catch (error) {
    throw new Fault(
      `${file.path}: corrupt or truncated zip archive, cut off or still being written: ${reasonOf(error)}`,
    )
  }
  return entries
}

/** The position of an entry's data in the archive: [offset, offset + length). For stored entries these are its bytes. */
export async function zipDataRange(
  file: RangedFile,
  entry: ZipEntry,
  Fault: ErrorClass,
): Promise<{ offset: number; length: number }> {
  const header = await file.read(entry.headerOffset, LOCAL_HEADER_SIZE)
  const view = new DataView(header.buffer)
  if (view.getUint32(0, true) !== LOCAL_HEADER_SIGNATURE) {
    throw new Fault(
      `${file.path}: corrupt zip archive: entry '${entry.name}' is not where the directory says`,
    )
  }
  const names = view.getUint16(26, true) + view.getUint16(28, true)
  return { offset: entry.headerOffset + LOCAL_HEADER_SIZE + names, length: entry.compressedSize }
}

/**
 * An entry's bytes, unpacked, in pieces; size and checksum are checked when the last piece has been taken.
 * @throws Fault when the entry is corrupt
 */
export async function* streamZipEntry(
  path: string,
  entry: ZipEntry,
  Fault: ErrorClass,
): AsyncGenerator<Uint8Array> {
  const { offset, length } = await withFile(path, Fault, (file) => zipDataRange(file, entry, Fault))
  const packed = streamRange(path, offset, length, Fault)
  let size = 0
  let checksum = 0
  for await (const chunk of entry.method === 'stored' ? packed : inflate(path, packed, entry, Fault)) {
    size += chunk.length
    if (size > entry.size) break
    checksum = crc32(chunk, checksum)
    yield chunk
  }
  if (size !== entry.size || (entry.crc32 !== undefined && checksum !== entry.crc32)) {
    throw new Fault(`${path}: corrupt zip archive: entry '${entry.name}' does not match its size or checksum`)
  }
}

/**
 * All bytes of an entry, unpacked.
 * @param limit the most bytes that such an entry can honestly have
 */
export async function readZipEntry(
  path: string,
  entry: ZipEntry,
  limit: number,
  Fault: ErrorClass,
): Promise<Uint8Array<ArrayBuffer>> {
  if (entry.size > limit) {
    throw new Fault(`${path}: entry '${entry.name}' has ${entry.size} bytes; at most ${limit} are read`)
  }
  const bytes = new Uint8Array(entry.size)
  let at = 0
  for await (const chunk of streamZipEntry(path, entry, Fault)) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

async function* inflate(
  path: string,
  packed: AsyncIterable<Uint8Array>,
  entry: ZipEntry,
  Fault: ErrorClass,
): AsyncGenerator<Uint8Array> {
  const source = Readable.from(packed)
  const inflated = createInflateRaw()
  source.on('error', (error) => inflated.destroy(error))
  try {
    for await (const chunk of source.pipe(inflated) as AsyncIterable<Uint8Array>) yield chunk
  } catch (error) {
    if (error instanceof Fault) throw error
    throw new Fault(`${path}: corrupt zip archive: entry '${entry.name}': ${reasonOf(error)}`)
  } finally {
    source.destroy()
    inflated.destroy()
  }
}

function checkEntry(raw: yauzl.Entry, fileSize: number): ZipEntry {
  const { fileName: name, uncompressedSize: size, compressedSize, compressionMethod } = raw
  if (raw.isEncrypted()) throw new Error(`entry '${name}' is encrypted`)
  const method = compressionMethod === METHOD.stored ? 'stored' : 'deflated'
  if (compressionMethod !== METHOD.stored && compressionMethod !== METHOD.deflated) {
    throw new Error(`entry '${name}' is packed by method ${compressionMethod}, neither stored nor deflated`)
  }
  if (raw.relativeOffsetOfLocalHeader + LOCAL_HEADER_SIZE + compressedSize > fileSize) {
    throw new Error(`entry '${name}' ends beyond the file's ${fileSize} bytes`)
  }
  const most = method === 'stored' ? compressedSize : compressedSize * MAX_DEFLATE_RATIO
  if (size > most) throw new Error(`entry '${name}' claims ${size} bytes, but holds at most ${most}`)
  return {
    name,
    method,
    size,
    compressedSize,
    crc32: raw.crc32,
    headerOffset: raw.relativeOffsetOfLocalHeader,
  }
}

/** Every entry has bytes of its own: entries that share them unpack to any size (D. Fifield, "A better zip bomb", 2019). */
function refuseOverlaps(entries: readonly ZipEntry[]): void {
  const placed = [...entries].sort((a, b) => a.headerOffset - b.headerOffset)
  for (const [i, { name, headerOffset }] of placed.entries()) {
    const before = placed[i - 1]
    if (before === undefined) continue
    const end = before.headerOffset + LOCAL_HEADER_SIZE + before.compressedSize
    if (headerOffset < end) throw new Error(`entry '${name}' overlaps entry '${before.name}'`)
  }
}

/** Reads an archive's directory through one block of memory, since yauzl asks for it in pieces of some 50 bytes. */
class TailReader extends yauzl.RandomAccessReader {
  private start = 0
  private block = new Uint8Array()

  constructor(private readonly file: RangedFile) {
    super()
  }

  override _readStreamForRange(): Readable {
    throw new Error('entries are read by position, not through yauzl')
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    this.fill(buffer, offset, length, position).then(
      () => {
        callback(null)
      },
      (error: unknown) => {
        callback(error instanceof Error ? error : new Error(String(error)))
      },
    )
  }

  override close(callback: (error: Error | null) => void): void {
    callback(null)
  }

  private async fill(buffer: Buffer, offset: number, length: number, position: number): Promise<void> {
    if (position < this.start || position + length > this.start + this.block.length) {
      const end = Math.min(this.file.size, Math.max(position + length, position + TAIL))
      this.start = Math.max(0, Math.min(position, end - TAIL))
      this.block = await this.file.read(
        this.start,
        Math.max(end - this.start, position + length - this.start),
      )
    }
    buffer.set(this.block.subarray(position - this.start, position - this.start + length), offset)
  }
}
