import type { OperatorCase } from '../operator-case.js'

export const RECURRENT_CASES: readonly OperatorCase[] = []
