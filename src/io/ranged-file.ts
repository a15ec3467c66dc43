import { constants } from 'node:buffer'
import { createReadStream } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'

import { reasonOf } from '../errors.js'
import type { ErrorClass } from './corrupt.js'

/** One call of the system reads at most 2^31 - 1 bytes; larger ranges are read in pieces. */
const MAX_READ = 2 ** 30

/** A file of which exact byte ranges are read. Every range is checked against the file's size before memory is taken. */
export class RangedFile {
  private constructor(
    readonly path: string,
    readonly size: number,
    private readonly handle: FileHandle,
    private readonly Fault: ErrorClass,
  ) {}

  static async open(path: string, Fault: ErrorClass): Promise<RangedFile> {
    let handle: FileHandle
    try {
      handle = await open(path, 'r')
    } catch (error) {
      throw new Fault(`${path}: cannot be opened: ${reasonOf(error)}`)
    }
    const { size } = await handle.stat()
    return new RangedFile(path, size, handle, Fault)
  }

  /**
   * The bytes [offset, offset + length).
   * @throws Fault when the file ends before, or when the range is larger than one array can be
   */
  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    this.check(offset, length)
    const bytes = new Uint8Array(length)
    await this.readInto(bytes, offset)
    return bytes
  }

  /**
   * Fills `bytes` with those from `offset` on.
   * @throws Fault when the file ends before
   */
  async readInto(bytes: Uint8Array, offset: number): Promise<void> {
    const { length } = bytes
    this.check(offset, length)
    let done = 0
    while (done < length) {
      const wanted = Math.min(MAX_READ, length - done)
      const { bytesRead } = await this.handle.read(bytes, done, wanted, offset + done)
      if (bytesRead === 0) throw this.truncated(offset, length)
      done += bytesRead
    }
  }

  async close(): Promise<void> {
    await this.handle.close()
  }

  private check(offset: number, length: number): void {
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) {
      throw new this.Fault(`${this.path}: corrupt: asks for ${length} bytes at ${offset}`)
    }
    if (offset + length > this.size) throw this.truncated(offset, length)
    if (length > constants.MAX_LENGTH) {
      throw new this.Fault(
        `${this.path}: one array of ${length} bytes is more than this version of Node.js holds (${constants.MAX_LENGTH})`,
      )
    }
  }

  private truncated(offset: number, length: number): Error {
    return new this.Fault(
      `${this.path}: truncated: bytes ${offset} to ${offset + length} are needed, but the file has ${this.size}`,
    )
  }
}

/** Opens a file, hands it to `use`, and closes it whatever happens: no handle outlives the call. */
export async function withFile<T>(
  path: string,
  Fault: ErrorClass,
  use: (file: RangedFile) => Promise<T>,
): Promise<T> {
  const file = await RangedFile.open(path, Fault)
  try {
    return await use(file)
  } finally {
    await file.close()
  }
}

/** The bytes [offset, offset + length) in pieces as the system delivers them. */
export async function* streamRange(
  path: string,
  offset: number,
  length: number,
  Fault: ErrorClass,
): AsyncGenerator<Uint8Array> {
  if (length === 0) return
  const stream = createReadStream(path, { start: offset, end: offset + length - 1, highWaterMark: 1 << 20 })
  let done = 0
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      done += chunk.length
      yield chunk
    }
  } catch (error) {
    throw new Fault(`${path}: cannot be read: ${reasonOf(error)}`)
  }
  if (done < length) {
    throw new Fault(`${path}: truncated: ${length} bytes at ${offset} are needed, but only ${done} are there`)
  }
}
