import { elementCount } from '../tensor.js'
import type { Graph, Initializer } from './graph.js'

/** A constant that holds the same numbers as a weight, in the same layout or another. */
export interface Copy {
  readonly constant: string
  readonly weight: string
}

/** Arrays with fewer different values (zeros, ones, small tables) are equal by chance. */
const FEWEST_DISTINCT = 8

/**
 * Finds constants that repeat a weight: exporters fold the transposition of a weight into a constant of its own, and
 * where the weight has another use besides, its name stays. Compares the numbers that the model file holds, sorted.
 *
 * @param weights initializers that vary along a trajectory
 * @param constants initializers that don't; those that no node reads are passed over
 */
export function findCopies(graph: Graph, weights: readonly string[], constants: readonly string[]): Copy[] {
  const read = new Set(graph.nodes.flatMap(({ inputs }) => inputs))
  return constants
    .filter((name) => read.has(name))
    .flatMap((constant) => {
      const own = graph.initializers.get(constant)!
      const alike = weights.filter((name) => sameSize(own, graph.initializers.get(name)!))
      if (alike.length === 0) return []
      const numbers = sortedNumbers(own)
      if (numbers === undefined || new Set(numbers).size < FEWEST_DISTINCT) return []
      const weight = alike.find((name) => sameNumbers(numbers, sortedNumbers(graph.initializers.get(name)!)))
      return weight === undefined ? [] : [{ constant, weight }]
    })
}

function sameSize(a: Initializer, b: Initializer): boolean {
  return a.dtype === b.dtype && elementCount(a.shape) === elementCount(b.shape)
}

function sortedNumbers({ dtype, read }: Initializer): Float32Array | Float64Array | undefined {
  if (dtype !== 'float32' && dtype !== 'float64') return undefined
  const { buffer } = new Uint8Array(read())
  return (dtype === 'float64' ? new Float64Array(buffer) : new Float32Array(buffer)).sort()
}

function sameNumbers(a: ArrayLike<number>, b: ArrayLike<number> | undefined): boolean {
  return b !== undefined && Array.prototype.every.call(a, (value: number, i) => Object.is(value, b[i]))
}
