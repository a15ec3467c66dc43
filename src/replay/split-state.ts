import type { SplitData } from '../engines/engine.js'
import { addTo } from '../tensor.js'
import type { LcaTensor } from './tensors.js'
import type { SimpsonSums } from './quadrature.js'

/** A gradient per tensor, float64. */
export type GradientSet = Map<string, Float64Array>

export function gradientSet(tensors: readonly LcaTensor[]): GradientSet {
  return new Map(tensors.map(({ name, size }) => [name, new Float64Array(size)]))
}

/** The loss and its gradient at one checkpoint. */
export interface Endpoint {
  loss: number
  readonly gradient: GradientSet
}

/**
 * What is kept of a split while the replay goes along the trajectory: five gradients, whatever the number of
 * intervals and of points within one.
 */
export class SplitState {
  /** The start of the interval before; its loss is NaN in the first interval. */
  previous: Endpoint
  start: Endpoint
  end: Endpoint
  readonly odd: GradientSet
  readonly even: GradientSet
  /** Gradients computed for the interval. */
  evaluations = 0

  constructor(
    readonly name: string,
    readonly data: SplitData,
    tensors: readonly LcaTensor[],
  ) {
    const endpoint = (): Endpoint => ({ loss: NaN, gradient: gradientSet(tensors) })
    this.previous = endpoint()
    this.start = endpoint()
    this.end = endpoint()
    this.odd = gradientSet(tensors)
    this.even = gradientSet(tensors)
  }

  sums(tensor: string): SimpsonSums {
    return {
      start: this.start.gradient.get(tensor)!,
      end: this.end.gradient.get(tensor)!,
      odd: this.odd.get(tensor)!,
      even: this.even.get(tensor)!,
    }
  }

  /** The inner points so far become even ones; the odd ones are still to come. */
  doubleSplits(): void {
    for (const [name, odd] of this.odd) {
      addTo(this.even.get(name)!, odd)
      odd.fill(0)
    }
  }

  /** The next interval starts where this one ended. */
  advance(): void {
    const spare = this.previous
    this.previous = this.start
    this.start = this.end
    this.end = spare
    for (const set of [this.odd, this.even]) for (const values of set.values()) values.fill(0)
    this.evaluations = 0
  }
}
