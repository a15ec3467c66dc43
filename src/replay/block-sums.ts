import type { Arrays } from './allocation.js'
import { ChunkSums } from './chunk-sums.js'
import type { Chunk } from './store/layout.js'
import { SumsFile } from './totals.js'

/** The open block's sums are kept in memory up to this size; beyond, they are formed chunk by chunk at its end. */
const KEPT_BYTES = 32 * 2 ** 20

/** Bytes of a ChunkSums for each element: of each split, and of the movement. */
const SPLIT_BYTES = 48
const MOVEMENT_BYTES = 28

/**
 * The sums of the open block. Where the network is small, intervals are added as soon as they are finished, while
 * engines compute the next ones; else one chunk after another, when a step of intervals is finished.
 */
export class BlockSums {
  private open: readonly ChunkSums[] | undefined

  constructor(
    private readonly arrays: Arrays,
    private readonly splits: number,
  ) {}

  /** Adds an interval if there is memory for it. @param before file of the sums before the step it belongs to */
  addEarly(interval: number, before: () => string | undefined): void {
    const { layout } = this.arrays
    if (layout.size * (SPLIT_BYTES * this.splits + MOVEMENT_BYTES) > KEPT_BYTES) return
    this.open ??= this.read(before(), (file) =>
      [...layout.chunks()].map((chunk) => this.begin(chunk, file, interval)),
    )
    for (const sums of this.open) sums.add(interval)
  }

  /**
   * Writes the sums with intervals `from` to `to` added.
   * @param before file of the sums before; undefined where the block begins
   */
  write(
    { from, to }: { readonly from: number; readonly to: number },
    { before, after }: { readonly before: string | undefined; readonly after: string },
  ): void {
    const out = SumsFile.create(after, this.arrays, this.splits)
    try {
      if (this.open !== undefined) for (const sums of this.open) sums.write(out)
      else
        this.read(before, (file) => {
          for (const chunk of this.arrays.layout.chunks()) {
            const sums = this.begin(chunk, file, from)
            for (let interval = from; interval < to; interval += 1) sums.add(interval)
            sums.write(out)
          }
        })
    } finally {
      out.close()
    }
    this.open = undefined
  }

  private begin(chunk: Chunk, before: SumsFile, first: number): ChunkSums {
    return new ChunkSums(this.arrays, chunk, this.splits, before, first)
  }

  private read<R>(path: string | undefined, use: (file: SumsFile) => R): R {
    const file = SumsFile.read(path, this.arrays, this.splits)
    try {
      return use(file)
    } finally {
      file.close()
    }
  }
}
