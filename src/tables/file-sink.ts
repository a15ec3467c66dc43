import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { ByteWriter } from 'hyparquet-writer'
import { diskError } from './disk-error.js'

/** Bytes gathered before they go to the file, so that small values don't cost a system call each. */
const BUFFER_BYTES = 1 << 20

/**
 * The Parquet encoder's byte sink on a file descriptor: memory stays at about BUFFER_BYTES whatever the file's size.
 * Throws ResultsError when the disk refuses.
 */
export class FileSink extends ByteWriter {
  private descriptor: number | undefined

  constructor(private readonly path: string) {
    super(BUFFER_BYTES)
    this.descriptor = this.guard(() => openSync(path, 'w'))
  }

  override ensure(size: number): void {
    if (this.index + size > this.buffer.byteLength) this.flush()
    super.ensure(size)
  }

  /** Long runs of bytes (a compressed page) go to the file directly instead of growing the buffer. */
  override appendBytes(value: Uint8Array): void {
    if (value.length < BUFFER_BYTES) {
      super.appendBytes(value)
      return
    }
    this.flush()
    this.write(value)
    this.offset += value.length
  }

  flush(): void {
    this.write(new Uint8Array(this.buffer, 0, this.index))
    this.index = 0
  }

  /** Everything is on the disk, not only in the system's cache, when this returns. */
  override finish(): void {
    this.flush()
    this.guard(() => {
      fsyncSync(this.open())
    })
    this.close()
  }

  close(): void {
    if (this.descriptor === undefined) return
    const descriptor = this.descriptor
    this.descriptor = undefined
    closeSync(descriptor)
  }

  private write(bytes: Uint8Array): void {
    this.guard(() => {
      for (let written = 0; written < bytes.length;) written += writeSync(this.open(), bytes, written)
    })
  }

  private open(): number {
    if (this.descriptor === undefined) throw new Error(`${this.path} is closed`)
    return this.descriptor
  }

  private guard<R>(action: () => R): R {
    try {
      return action()
    } catch (error) {
      throw diskError(this.path, error)
    }
  }
}
