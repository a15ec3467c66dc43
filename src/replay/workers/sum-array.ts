import { addTo } from '../../tensor.js'
import type { FloatArray } from '../../tensor.js'
import { ScratchFile } from '../store/scratch-file.js'
import { CHUNK } from '../store/layout.js'

/** Numbers in float64, as many as there are parameters, to which others are added. */
export interface SumArray {
  clear(): void
  /** @param offset of the first element that is added to */
  add(values: FloatArray, offset: number): void
  /** Elements from `offset` on, as many as `into` has. */
  read(into: Float64Array, offset: number): void
}

export class SumInMemory implements SumArray {
  private readonly values: Float64Array

  constructor(size: number) {
    this.values = new Float64Array(size)
  }

  clear(): void {
    this.values.fill(0)
  }

  add(values: FloatArray, offset: number): void {
    addTo(this.values.subarray(offset, offset + values.length), values)
  }

  read(into: Float64Array, offset: number): void {
    into.set(this.values.subarray(offset, offset + into.length))
  }
}

/** Lies in a file, for networks that memory is to hold no more copies of than it must. */
export class SumInFile implements SumArray {
  private readonly file: ScratchFile
  private readonly buffer = new Float64Array(CHUNK)

  constructor(path: string, size: number) {
    this.file = new ScratchFile(path, size * Float64Array.BYTES_PER_ELEMENT)
  }

  clear(): void {
    this.file.clear()
  }

  add(values: FloatArray, offset: number): void {
    for (let from = 0; from < values.length; from += CHUNK) {
      const part = values.subarray(from, from + CHUNK)
      const sum = this.buffer.subarray(0, part.length)
      this.read(sum, offset + from)
      addTo(sum, part)
      this.file.write(sum, (offset + from) * sum.BYTES_PER_ELEMENT)
    }
  }

  read(into: Float64Array, offset: number): void {
    this.file.read(into, offset * into.BYTES_PER_ELEMENT)
  }
}
