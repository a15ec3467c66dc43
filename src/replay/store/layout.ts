import type { LcaTensor } from '../tensors.js'

/** Elements that are read, computed and written at a time: a few arrays of them fit the processor's cache. */
export const CHUNK = 1 << 16

/** The part of a chunk that belongs to one tensor. */
export interface Piece {
  /** Index of the tensor. */
  readonly tensor: number
  /** Position of its first element in the tensor. */
  readonly start: number
  /** Where it lies in the chunk. */
  readonly from: number
  readonly to: number
}

/** A run of elements of all tensors, one behind the other. */
export interface Chunk {
  readonly offset: number
  readonly count: number
  readonly pieces: readonly Piece[]
}

/** How the parameters lie in a file: tensors in their order, each row-major, without gaps. */
export class Layout {
  readonly offsets: readonly number[]
  /** Number of elements of all tensors. */
  readonly size: number

  constructor(readonly tensors: readonly Pick<LcaTensor, 'name' | 'size'>[]) {
    let size = 0
    this.offsets = tensors.map((tensor) => {
      const offset = size
      size += tensor.size
      return offset
    })
    this.size = size
  }

  /** All elements in order, at most CHUNK at a time. */
  *chunks(): Generator<Chunk> {
    for (let offset = 0; offset < this.size; offset += CHUNK) {
      const count = Math.min(CHUNK, this.size - offset)
      yield { offset, count, pieces: this.pieces(offset, count) }
    }
  }

  /** The last tensor that begins at an element or before it. */
  tensorAt(element: number): number {
    let [low, high] = [0, this.offsets.length - 1]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (this.offsets[middle]! <= element) low = middle
      else high = middle - 1
    }
    return low
  }

  private pieces(offset: number, count: number): Piece[] {
    const pieces: Piece[] = []
    for (
      let tensor = this.tensorAt(offset);
      tensor < this.tensors.length && this.offsets[tensor]! < offset + count;
      tensor += 1
    ) {
      const [begin, end] = [this.offsets[tensor]!, this.end(tensor)]
      if (end === begin) continue
      const from = Math.max(0, begin - offset)
      pieces.push({ tensor, start: Math.max(0, offset - begin), from, to: Math.min(count, end - offset) })
    }
    return pieces
  }

  private end(tensor: number): number {
    return this.offsets[tensor]! + this.tensors[tensor]!.size
  }
}
