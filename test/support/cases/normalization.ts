import type { OperatorCase } from '../operator-case.js'

export const NORMALIZATION_CASES: readonly OperatorCase[] = []
