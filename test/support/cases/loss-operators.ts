import type { OperatorCase } from '../operator-case.js'

export const LOSS_OPERATOR_CASES: readonly OperatorCase[] = []
