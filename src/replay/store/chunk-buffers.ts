import { CHUNK } from './layout.js'
import type { WeightElements } from './store.js'

const BYTES = CHUNK * Float64Array.BYTES_PER_ELEMENT

/** Memory that is not in use. What is new costs more than what is computed in it: the system clears it page by page. */
const free: ArrayBuffer[] = []

/** Arrays for the elements of a chunk, whose content is whatever was in them before. */
export class ChunkBuffers {
  private readonly taken: ArrayBuffer[] = []

  float64(count: number): Float64Array {
    return new Float64Array(this.take(), 0, count)
  }

  of(elements: WeightElements, count: number): Float32Array | Float64Array {
    return elements === 'float64' ? this.float64(count) : new Float32Array(this.take(), 0, count)
  }

  giveBack(): void {
    free.push(...this.taken.splice(0))
  }

  private take(): ArrayBuffer {
    const buffer = free.pop() ?? new ArrayBuffer(BYTES)
    this.taken.push(buffer)
    return buffer
  }
}

/** Lends arrays for as long as `use` takes, which must not keep them. */
export function withBuffers<R>(use: (buffers: ChunkBuffers) => R): R {
  const buffers = new ChunkBuffers()
  try {
    return use(buffers)
  } finally {
    buffers.giveBack()
  }
}
