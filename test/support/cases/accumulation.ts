import type { OperatorCase } from '../operator-case.js'

export const ACCUMULATION_CASES: readonly OperatorCase[] = []
