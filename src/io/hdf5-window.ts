import { closeSync, openSync, readSync } from 'node:fs'

import type { Hdf5Source } from './hdf5-protocol.js'

/**
 * A request on a file reads some of its bytes more than once (the library's caches are small), but not endlessly: a
 * cycle in a corrupt file would.
 */
const MAX_REREADS = 16
const SPARE_BYTES = 16 * 2 ** 20
/** The shortest read that is counted: many tiny ones are a cycle as well. */
const LEAST_READ = 64

/**
 * The bytes of an HDF5 file as the library gets to see them: a window on the real file. The library runs on a file
 * system of its own, in memory, where nothing else lies, so that nothing in a file leads to another one.
 */
export class Hdf5Window {
  readonly length: number
  private readonly descriptor: number | undefined
  private budget = 0

  constructor(
    private readonly source: Hdf5Source,
    private readonly progress: () => void,
  ) {
    this.length = 'bytes' in source ? source.bytes.length : source.length
    this.descriptor = 'bytes' in source ? undefined : openSync(source.path, 'r')
  }

  /** Starts a new request that may make the library hand out `bytes`. */
  allow(bytes: number): void {
    this.budget = this.length * MAX_REREADS + bytes + SPARE_BYTES
  }

  /** Copies bytes of the window to `target`; returns how many there were. */
  read(target: Uint8Array, position: number): number {
    this.progress()
    const length = Math.max(0, Math.min(target.length, this.length - position))
    this.budget -= Math.max(length, LEAST_READ)
    if (this.budget < 0) throw new Error('corrupt: reading it goes round in circles')
    if ('bytes' in this.source) {
      target.set(this.source.bytes.subarray(position, position + length))
      return length
    }
    return readSync(this.descriptor!, target, 0, length, this.source.offset + position)
  }

  close(): void {
    if (this.descriptor !== undefined) closeSync(this.descriptor)
  }
}
