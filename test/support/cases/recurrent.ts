import type { OperatorCase } from '../operator-case.js'
import { BRANCH_CASES } from './branch.js'
import { LAYER_CASES } from './layers.js'
import { LOOP_CASES } from './loop.js'
import { SCAN_CASES } from './scan.js'

/** Operators that carry graphs changed nothing but their types; of each its first case in other versions. */
const VERSIONS = [16, 19, 21, 23, 24, 25, 26].flatMap((opset) =>
  [SCAN_CASES[0]!, LOOP_CASES[0]!, BRANCH_CASES[0]!].map((test): OperatorCase => ({
    ...test,
    title: `${test.title}, opset ${opset}`,
    opset,
  })),
)

export const RECURRENT_CASES: readonly OperatorCase[] = [
  ...SCAN_CASES,
  ...LOOP_CASES,
  ...BRANCH_CASES,
  ...VERSIONS,
  ...LAYER_CASES,
]
