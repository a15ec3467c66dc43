import { dtypeOf } from '../../src/onnx/dtypes.js'
import type { DType } from '../../src/tensor.js'
import type { Problem } from './node-tests-graph.js'
import type { Point } from './node-tests-loss.js'
import { Random } from './random.js'

/** A value is scaled and then shifted by a random amount between two bounds. */
export interface Move {
  readonly scale: number
  readonly low: number
  readonly high: number
}

/**
 * How inputs are moved from where a case has them, attempt by attempt: often that is just at a kink (whole numbers,
 * zeros, ties) or at the bound of what an operator takes.
 */
export const MOVES: readonly Move[] = [
  { scale: 1, low: -0.02, high: 0.02 },
  { scale: 1, low: -0.02, high: 0.02 },
  { scale: 1, low: -0.1, high: 0.1 },
  { scale: 0.75, low: -0.05, high: 0.05 },
  { scale: 1, low: 0.02, high: 0.1 },
  { scale: 1, low: -0.3, high: 0.3 },
  { scale: 1, low: -0.005, high: 0.005 },
  { scale: 1, low: 0, high: 0 },
]

/** How many of the moves, the first ones, leave a case much as it is. */
export const NEAR = 3

/** Far enough from a case's inputs that what was equal there is not, and is told apart by float32. */
export const ELSEWHERE: Move = { scale: 1, low: -0.3, high: 0.3 }

/** The point moved, but for some inputs, and rounded to each input's type so that all types compute at the same. */
export function movedPoint(
  point: Point,
  own: Problem,
  { scale, low, high }: Move,
  seed: string,
  fixed: ReadonlySet<string> = new Set(),
): Point {
  return new Map(
    [...point].map(([name, values]) => {
      if (fixed.has(name)) return [name, values]
      const shift = new Random(`${seed} ${name}`).uniform(values.length, low, high)
      const dtype = dtypeOf(own.leaves.find((leaf) => leaf.name === name)!.tensor.code)!
      return [name, values.map((value, i) => rounded(value * scale + shift[i]!, dtype))]
    }),
  )
}

/** Bits of the fraction, with the one that is not stored. */
const FRACTION: Readonly<Partial<Record<DType, number>>> = { float16: 11, bfloat16: 8 }

function rounded(value: number, dtype: DType): number {
  const bits = FRACTION[dtype]
  if (dtype === 'float64') return value
  if (bits === undefined || value === 0 || !Number.isFinite(value)) return Math.fround(value)
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(value))) + 1 - bits)
  return Math.round(value / unit) * unit
}
