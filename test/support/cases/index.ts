import type { OperatorCase } from '../operator-case.js'
import { BROADCASTING_CASES } from './broadcasting.js'
import { CONVOLUTION_CASES } from './convolution.js'
import { ELEMENTWISE_CASES } from './elementwise.js'
import { LAYOUT_CASES } from './layout.js'
import { LINEAR_CASES } from './linear.js'
import { POOLING_CASES } from './pooling.js'
import { REDUCTION_CASES } from './reduction.js'

/** At least one case for every operator that has a derivative rule, and one for every form that a rule treats apart. */
export const OPERATOR_CASES: readonly OperatorCase[] = [
  ...ELEMENTWISE_CASES,
  ...BROADCASTING_CASES,
  ...LINEAR_CASES,
  ...CONVOLUTION_CASES,
  ...POOLING_CASES,
  ...LAYOUT_CASES,
  ...REDUCTION_CASES,
]
