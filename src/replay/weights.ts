import type { Engine } from '../engines/engine.js'
import type { FloatArray } from '../tensor.js'
import type { Checkpoint } from '../trajectory/checkpoint.js'
import { checkFinite } from '../trajectory/finite.js'
import { interpolate } from './quadrature.js'
import type { LcaTensor } from './tensors.js'

/** A network's weights at one checkpoint, by the network's names. */
export type Weights = ReadonlyMap<string, FloatArray>

/** Reads the bound tensors of a checkpoint, one after another. Throws CheckpointError where one holds NaN or infinity. */
export async function readWeights(checkpoint: Checkpoint, tensors: readonly LcaTensor[]): Promise<Weights> {
  const weights = new Map<string, FloatArray>()
  for (const { name, checkpointName } of tensors) {
    const tensor = await checkpoint.read(checkpointName)
    checkFinite(tensor, checkpoint, checkpointName)
    weights.set(name, tensor.data)
  }
  return weights
}

/** A reusable point of parameter space, in the engine's precision. */
export class Point {
  readonly weights: ReadonlyMap<string, FloatArray>

  constructor(tensors: readonly LcaTensor[], precision: Engine['precision']) {
    const Numbers = precision === 'float64' ? Float64Array : Float32Array
    this.weights = new Map(tensors.map(({ name, size }) => [name, new Numbers(size)]))
  }

  /** Moves to from + a (to - from). */
  moveTo(from: Weights, to: Weights, a: number): this {
    for (const [name, values] of this.weights) interpolate(values, from.get(name)!, to.get(name)!, a)
    return this
  }
}
