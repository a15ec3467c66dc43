import { real } from '../operator-case.js'
import type { OperatorCase } from '../operator-case.js'

/** Quotients of these stay away from whole numbers, where the remainder jumps. */
function remainder(
  title: string,
  a: OperatorCase['inputs'][number],
  b: OperatorCase['inputs'][number],
): OperatorCase {
  return { title, op: 'Mod', inputs: [a, b], attributes: { fmod: 1 } }
}

const divisor = { low: 0.9, high: 1 }

export const REMAINDER_CASES: readonly OperatorCase[] = [
  remainder('of equal shapes', real([3, 4], { low: 2.1, high: 2.6 }), real([3, 4], divisor)),
  remainder('of negative numbers', real([3, 4], { low: -3.5, high: -3.1 }), real([3, 4], divisor)),
  remainder(
    'by negative numbers',
    real([3, 4], { low: 4.1, high: 4.4 }),
    real([3, 4], { low: -1, high: -0.9 }),
  ),
  remainder(
    'with a row that lacks the leading axis',
    real([2, 3, 4], { low: 2.1, high: 2.6 }),
    real([4], divisor),
  ),
  remainder('with a number on the left', real([], { low: 2.1, high: 2.6 }), real([3, 4], divisor)),
  remainder(
    'with symbolic sizes',
    real([3, 4], { low: 2.1, high: 2.6, as: ['N', 'M'] }),
    real([1, 4], { ...divisor, as: ['K', 'M'] }),
  ),
]
