import { ResultsError } from '../errors.js'
import type { FineDistance } from './model.js'
import type { FineValues } from './stored.js'

export type FineTable = 'units' | 'parameters'

/**
 * How far the values of single units or parameters are apart, over all tensors.
 * @param names of the tensors in the recomputation, by their names in the results
 * @throws ResultsError where a tensor has no rows in the results, or fewer values than there are
 */
export function fineDistance(
  stored: FineValues,
  recomputed: FineValues,
  names: ReadonlyMap<string, string>,
  where: string,
): FineDistance {
  const sums = new PairSums()
  for (const [tensor, name] of names) {
    const [a, b] = [stored.get(tensor), recomputed.get(name)!]
    if ((a?.length ?? 0) !== b.length)
      throw new ResultsError(
        `${where}: there are ${a?.length ?? 0} values of ${tensor} instead of ${b.length}; the table is damaged`,
      )
    for (let index = 0; index < b.length; index += 1) sums.add(a![index] ?? NaN, b[index]!, tensor, index)
  }
  return sums.read()
}

/** How far sums of the numbers that a table holds may be off, as a share of the sum of their absolute values. */
const ROUNDING: Readonly<Record<FineTable, number>> = { units: 1e-9, parameters: 1e-6 }

/** Below it float32 holds nothing, or not all digits. */
const LEAST = 1e-30

/**
 * The tensors whose LCA is not the sum over their units or parameters.
 * @param values of the table
 * @param sums LCA by tensor
 */
export function badSums(table: FineTable, values: FineValues, sums: ReadonlyMap<string, number>): string[] {
  return [...values].flatMap(([tensor, parts]) => {
    let [sum, size] = [0, 0]
    for (let i = 0; i < parts.length; i += 1) {
      sum += parts[i]!
      size += Math.abs(parts[i]!)
    }
    const gap = Math.abs(sum - (sums.get(tensor) ?? NaN))
    return gap <= ROUNDING[table] * size + LEAST ? [] : [tensor]
  })
}

/** Sums over pairs of values, from which their correlation follows (Welford's recurrence, which subtracts no large sums). */
class PairSums {
  private count = 0
  private meanA = 0
  private meanB = 0
  private squaresA = 0
  private squaresB = 0
  private products = 0
  private difference = 0
  private largest: FineDistance['largest']

  add(a: number, b: number, tensor: string, index: number): void {
    this.count += 1
    const [fromA, fromB] = [a - this.meanA, b - this.meanB]
    this.meanA += fromA / this.count
    this.meanB += fromB / this.count
    this.squaresA += fromA * (a - this.meanA)
    this.squaresB += fromB * (b - this.meanB)
    this.products += fromA * (b - this.meanB)
    const difference = Math.abs(a - b)
    if (difference <= this.difference) return
    this.difference = Number.isNaN(difference) ? Infinity : difference
    this.largest = { tensor, index, stored: a, recomputed: b }
  }

  read(): FineDistance {
    const spread = Math.sqrt(this.squaresA) * Math.sqrt(this.squaresB)
    return {
      values: this.count,
      correlation: spread > 0 ? this.products / spread : NaN,
      ...(this.largest && { largest: this.largest }),
    }
  }
}
