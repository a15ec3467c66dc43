import { real } from '../operator-case.js'
import type { OperatorCase } from '../operator-case.js'

/** What reads no sequence; the others stand in graphs of several nodes (test/autodiff/sequences.test.ts). */
export const SEQUENCE_CASES: readonly OperatorCase[] = [
  { title: 'of a tensor', op: 'OptionalGetElement', inputs: [real([2, 3], { as: ['N', 'M'] })] },
]
