import type { OperatorCase } from '../operator-case.js'

export const CONTRACTION_CASES: readonly OperatorCase[] = []
