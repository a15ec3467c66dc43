import type { OperatorCase } from '../operator-case.js'

export const SIGNAL_CASES: readonly OperatorCase[] = []
