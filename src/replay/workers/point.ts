import type { FloatArray } from '../../tensor.js'
import { ArrayFile } from '../store/array-file.js'
import { CHUNK, Layout } from '../store/layout.js'
import { fileNames } from '../store/store.js'
import type { ReplayStore, WeightElements } from '../store/store.js'
import type { ParameterFacts } from './messages.js'

/** Element types of weights as arrays. */
export const WEIGHT_ARRAYS = { float32: Float32Array, float64: Float64Array } as const

/** The point of parameter space that an engine computes at, in the engine's precision. */
export class Point {
  readonly weights: ReadonlyMap<string, FloatArray>
  private readonly values: FloatArray
  private readonly layout: Layout
  private at = ''

  constructor(
    private readonly store: ReplayStore,
    private readonly facts: ParameterFacts,
    precision: WeightElements,
  ) {
    this.layout = new Layout(facts.tensors)
    const values = new WEIGHT_ARRAYS[precision](this.layout.size)
    this.values = values
    this.weights = new Map(
      facts.tensors.map(({ name, size }, i) => {
        const offset = this.layout.offsets[i]!
        return [name, values.subarray(offset, offset + size)]
      }),
    )
  }

  /** Moves to from + a (to - from), formed in float64 and rounded to the engine's precision. */
  moveTo(from: number, to: number, a: number): this {
    const at = `${from} ${to} ${a}`
    if (at === this.at) return this
    this.at = ''
    if (a === 0) this.load(from)
    else if (a === 1) this.load(to)
    else this.interpolate(from, to, a)
    this.at = at
    return this
  }

  private load(checkpoint: number): void {
    const file = this.open(checkpoint)
    try {
      if (this.facts.weightElements === 'float32' && this.values instanceof Float32Array)
        file.read(this.values, 0)
      else
        this.eachChunk(file, (chunk, out) => {
          out.set(chunk)
        })
    } finally {
      file.close()
    }
  }

  private interpolate(from: number, to: number, a: number): void {
    const [start, end] = [this.open(from), this.open(to)]
    const ends = this.buffer()
    try {
      this.eachChunk(start, (x, out, position) => {
        const y = end.read(ends.subarray(0, x.length), position)
        for (let i = 0; i < out.length; i += 1) out[i] = x[i]! + a * (y[i]! - x[i]!)
      })
    } finally {
      start.close()
      end.close()
    }
  }

  private eachChunk(
    file: ArrayFile,
    use: (chunk: FloatArray, out: FloatArray, position: number) => void,
  ): void {
    const buffer = this.buffer()
    for (let offset = 0; offset < this.values.length; offset += CHUNK) {
      const count = Math.min(CHUNK, this.values.length - offset)
      const position = offset * buffer.BYTES_PER_ELEMENT
      use(
        file.read(buffer.subarray(0, count), position),
        this.values.subarray(offset, offset + count),
        position,
      )
    }
  }

  private open(checkpoint: number): ArrayFile {
    return ArrayFile.open(this.store.path(fileNames.weights(checkpoint)))
  }

  private buffer(): FloatArray {
    return new WEIGHT_ARRAYS[this.facts.weightElements](Math.min(CHUNK, this.values.length))
  }
}
