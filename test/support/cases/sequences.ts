import type { OperatorCase } from '../operator-case.js'

export const SEQUENCE_CASES: readonly OperatorCase[] = []
