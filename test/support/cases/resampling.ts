import type { OperatorCase } from '../operator-case.js'

export const RESAMPLING_CASES: readonly OperatorCase[] = []
