import type { OperatorCase } from '../operator-case.js'

export const ACTIVATION_CASES: readonly OperatorCase[] = []
