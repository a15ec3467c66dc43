import type { OperatorCase } from '../operator-case.js'
import { BROADCASTING_CASES } from './broadcasting.js'
import { CONVOLUTION_CASES } from './convolution.js'
import { ELEMENTWISE_CASES } from './elementwise.js'
import { LAYOUT_CASES } from './layout.js'
import { LINEAR_CASES } from './linear.js'
import { POOLING_CASES } from './pooling.js'
import { REDUCTION_CASES } from './reduction.js'

/** At least one case for every operator that has a derivative rule, and one for every form that a rule treats apart. */
import { NORMALIZATION_CASES } from './normalization.js'
import { ACTIVATION_CASES } from './activation.js'
import { ACCUMULATION_CASES } from './accumulation.js'
import { LOSS_OPERATOR_CASES } from './loss-operators.js'
import { QUANTIZATION_CASES } from './quantization.js'
import { INDEXING_CASES } from './indexing.js'
import { REARRANGING_CASES } from './rearranging.js'
import { SEQUENCE_CASES } from './sequences.js'
import { REMAINDER_CASES } from './remainder.js'
import { RESAMPLING_CASES } from './resampling.js'
import { CONTRACTION_CASES } from './contraction.js'
import { ATTENTION_CASES } from './attention.js'
import { SIGNAL_CASES } from './signal.js'
import { RECURRENT_CASES } from './recurrent.js'

export const OPERATOR_CASES: readonly OperatorCase[] = [
  ...ELEMENTWISE_CASES,
  ...BROADCASTING_CASES,
  ...LINEAR_CASES,
  ...CONVOLUTION_CASES,
  ...POOLING_CASES,
  ...LAYOUT_CASES,
  ...REDUCTION_CASES,
  ...NORMALIZATION_CASES,
  ...ACTIVATION_CASES,
  ...ACCUMULATION_CASES,
  ...LOSS_OPERATOR_CASES,
  ...QUANTIZATION_CASES,
  ...INDEXING_CASES,
  ...REARRANGING_CASES,
  ...SEQUENCE_CASES,
  ...REMAINDER_CASES,
  ...RESAMPLING_CASES,
  ...CONTRACTION_CASES,
  ...ATTENTION_CASES,
  ...SIGNAL_CASES,
  ...RECURRENT_CASES,
]
