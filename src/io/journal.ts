import { closeSync, fdatasyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { crc32c } from './crc32c.js'

/** A line is the CRC-32C of its JSON in hexadecimal, a space, and the JSON. */
const CHECKSUM_DIGITS = 8

/**
 * An append-only list of JSON values in a file that survives being cut off at any byte: a line counts when it is whole
 * and its checksum fits, and what stands behind the first that does not is cut off when the journal is opened.
 * Methods throw the operating system's errors.
 */
export class Journal {
  private closed = false

  private constructor(
    private readonly descriptor: number,
    private length: number,
  ) {}

  /** Opens the journal, making an empty one where there is none; returns it with its records in order. */
  static open(path: string): { journal: Journal; records: unknown[] } {
    const descriptor = openSync(path, 'a+')
    const { records, length } = readLines(readFileSync(path))
    ftruncateSync(descriptor, length)
    return { journal: new Journal(descriptor, length), records }
  }

  /** Adds a record. Where the disk refuses, the record is taken back, so that later ones don't stand behind half a line. */
  append(record: unknown): void {
    // the number of a closed file may be another file's by now
    if (this.closed) throw new Error('the journal is closed')
    const json = JSON.stringify(record)
    const line = Buffer.from(`${checksum(Buffer.from(json))} ${json}\n`)
    try {
      for (let written = 0; written < line.length;)
        written += writeSync(this.descriptor, line, written, line.length - written)
    } catch (error) {
      ftruncateSync(this.descriptor, this.length)
      throw error
    }
    this.length += line.length
  }

  /** Everything appended is on the disk, not only in the system's cache, when this returns. */
  sync(): void {
    fdatasyncSync(this.descriptor)
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    closeSync(this.descriptor)
  }
}

/** The records up to the first damaged line, and the number of bytes that they take. */
function readLines(bytes: Buffer): { records: unknown[]; length: number } {
  const records: unknown[] = []
  let length = 0
  for (;;) {
    const end = bytes.indexOf(0x0a, length)
    if (end === -1) return { records, length }
    const json = bytes.subarray(length + CHECKSUM_DIGITS + 1, end)
    if (bytes.toString('latin1', length, length + CHECKSUM_DIGITS + 1) !== `${checksum(json)} `)
      return { records, length }
    records.push(JSON.parse(json.toString('utf8')))
    length = end + 1
  }
}

function checksum(bytes: Uint8Array): string {
  return crc32c(bytes).toString(16).padStart(CHECKSUM_DIGITS, '0')
}
