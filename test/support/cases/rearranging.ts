import type { OperatorCase } from '../operator-case.js'

export const REARRANGING_CASES: readonly OperatorCase[] = []
