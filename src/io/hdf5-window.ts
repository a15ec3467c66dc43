import { closeSync, openSync, readSync } from 'node:fs'

import { PROGRESS, type Hdf5Source } from './hdf5-protocol.js'

/**
 * A request on a file reads some of its bytes more than once (the library's caches are small), but not endlessly: a
 * cycle in a corrupt file would.
 */
const MAX_REREADS = 16
const SPARE_BYTES = 16 * 2 ** 20
/** Headers are read some hundred bytes at a time; pages of the file that hold many are kept. */
const PAGE = 2 ** 16
const MAX_PAGES = 64

/**
 * What a read is counted for at least: many tiny ones are a cycle as well, and each takes some microseconds. A sound
 * file's headers are read some 300 bytes at a time.
 */
const LEAST_READ = 512

/**
 * The bytes of an HDF5 file as the library gets to see them: a window on the real file. The library runs on a file
 * system of its own, in memory, where nothing else lies, so that nothing in a file leads to another one.
 */
export class Hdf5Window {
  readonly length: number
  private readonly descriptor: number | undefined
  private budget = 0
  private readonly pages = new Map<number, Uint8Array>()

  constructor(
    private readonly source: Hdf5Source,
    private readonly progress: Int32Array,
  ) {
    this.length = 'bytes' in source ? source.bytes.length : source.length
    this.descriptor = 'bytes' in source ? undefined : openSync(source.path, 'r')
  }

  /** Tells the one who waits that the library gets on. */
  moved(): void {
    Atomics.add(this.progress, PROGRESS.moves, 1)
  }

  /** Starts a new request that may make the library hand out `bytes`. */
  allow(bytes: number): void {
    this.budget = this.length * MAX_REREADS + bytes + SPARE_BYTES
  }

  /** Copies bytes of the window to `target`; returns how many there were. */
  read(target: Uint8Array, position: number): number {
    this.moved()
    const length = Math.max(0, Math.min(target.length, this.length - position))
    this.budget -= Math.max(length, LEAST_READ)
    if (this.budget < 0) throw new Error('corrupt: reading it goes round in circles')
    if ('bytes' in this.source) {
      target.set(this.source.bytes.subarray(position, position + length))
      return length
    }
    const page = Math.floor(position / PAGE)
    if (position + length > (page + 1) * PAGE) return this.load(target.subarray(0, length), position)
    const at = position - page * PAGE
    const held = this.page(page).subarray(at, at + length)
    target.set(held)
    return held.length
  }

  private page(index: number): Uint8Array {
    const held = this.pages.get(index)
    if (held !== undefined) return held
    const page = new Uint8Array(Math.min(PAGE, this.length - index * PAGE))
    const loaded = page.subarray(0, this.load(page, index * PAGE))
    if (this.pages.size === MAX_PAGES) this.pages.clear()
    this.pages.set(index, loaded)
    return loaded
  }

  private load(target: Uint8Array, position: number): number {
    const { offset } = this.source as { offset: number }
    Atomics.store(this.progress, PROGRESS.isReading, 1)
    try {
      return readSync(this.descriptor!, target, 0, target.length, offset + position)
    } finally {
      Atomics.store(this.progress, PROGRESS.isReading, 0)
      this.moved()
    }
  }

  close(): void {
    if (this.descriptor !== undefined) closeSync(this.descriptor)
  }
}
