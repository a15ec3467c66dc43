import type { OperatorCase } from '../operator-case.js'

export const ATTENTION_CASES: readonly OperatorCase[] = []
