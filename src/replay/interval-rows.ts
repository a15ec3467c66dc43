import type { Granularity } from '../tables/schema.js'
import { MovementReader } from './allocation.js'
import type { Arrays } from './allocation.js'
import { parameterRow, stepRow, tensorRow, unitRows } from './rows.js'
import type { IntervalFacts, TableSink } from './rows.js'
import { TensorSums, UnitSums } from './statistics.js'
import type { IntervalElements, TensorStatistics } from './statistics.js'
import { withFiles } from './store/array-file.js'
import type { Chunk, Piece } from './store/layout.js'
import { fileNames } from './store/store.js'
import type { LcaTensor } from './tensors.js'

/** What is gathered of a tensor until its last element was read. */
interface Gathered {
  readonly sums: TensorSums
  readonly units: UnitSums | undefined
  readonly parameters: Float32Array | undefined
}

/** Writes the rows of one interval on one split, from its arrays in the store. */
export class IntervalRows {
  private readonly statistics: [LcaTensor, TensorStatistics][] = []

  constructor(
    private readonly arrays: Arrays,
    private readonly tensors: readonly LcaTensor[],
    private readonly granularity: Granularity,
    private readonly sink: TableSink,
    private readonly facts: IntervalFacts,
    private readonly split: number,
  ) {}

  /** @param hasPrevious whether weights and gradient at the start of the interval before are there */
  write(hasPrevious: boolean): void {
    const { interval } = this.facts
    const before = hasPrevious ? [interval - 1] : []
    const weights = [interval, interval + 1, ...before].map((checkpoint) => fileNames.weights(checkpoint))
    const names = [
      fileNames.lca(interval, this.split),
      ...[interval, ...before].map((checkpoint) => fileNames.gradient(checkpoint, this.split)),
    ]
    withFiles(
      [...weights, ...names].map((name) => this.arrays.store.path(name)),
      (opened) => {
        const movement = new MovementReader(this.arrays, opened.slice(0, weights.length))
        const files = opened.slice(weights.length)
        const buffers = this.arrays.buffers.take(files.length)
        for (const chunk of this.arrays.layout.chunks()) {
          const { offset, count } = chunk
          const [lca, start, previous] = files.map((file, i) =>
            file.read(buffers[i]!.subarray(0, count), offset * Float64Array.BYTES_PER_ELEMENT),
          )
          this.addChunk(chunk, { ...movement.read(offset, count), lca: lca!, start: start!, previous })
        }
      },
    )
    this.finishEmpty(this.tensors.length)
    this.sink.append('steps', 1, stepRow(this.facts, this.statistics))
  }

  private open: Gathered | undefined

  private addChunk({ pieces }: Chunk, elements: IntervalElements): void {
    for (const piece of pieces) {
      this.finishEmpty(piece.tensor)
      const tensor = this.tensors[piece.tensor]!
      this.open ??= this.begin(tensor)
      this.addPiece(this.open, piece, elements)
      if (piece.start + piece.to - piece.from < tensor.size) continue
      this.finish(tensor, this.open)
      this.open = undefined
    }
  }

  private addPiece({ sums, units, parameters }: Gathered, piece: Piece, elements: IntervalElements): void {
    const { from, to, start } = piece
    sums.add(elements, from, to)
    units?.add(elements, from, to, start)
    parameters?.set(elements.lca.subarray(from, to), start)
  }

  private begin({ units, size }: LcaTensor): Gathered {
    return {
      sums: new TensorSums(),
      units: this.granularity === 'tensor' ? undefined : new UnitSums(units),
      parameters: this.granularity === 'parameter' ? new Float32Array(size) : undefined,
    }
  }

  /** Tensors without elements have no piece of any chunk, but rows of their own. */
  private finishEmpty(before: number): void {
    while (this.statistics.length < before && this.tensors[this.statistics.length]!.size === 0) {
      const tensor = this.tensors[this.statistics.length]!
      this.finish(tensor, this.begin(tensor))
    }
  }

  private finish(tensor: LcaTensor, { sums, units, parameters }: Gathered): void {
    const error = this.facts.standardErrors?.tensors[this.statistics.length]
    const statistics = sums.read()
    this.statistics.push([tensor, statistics])
    this.sink.append('tensors', 1, tensorRow(this.facts, tensor, statistics, error))
    if (units !== undefined)
      this.sink.append('units', tensor.units.count, unitRows(this.facts, tensor, units))
    if (parameters !== undefined)
      this.sink.append('parameters', 1, parameterRow(this.facts, tensor, parameters))
  }
}
