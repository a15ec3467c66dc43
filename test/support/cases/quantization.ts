import type { OperatorCase } from '../operator-case.js'

export const QUANTIZATION_CASES: readonly OperatorCase[] = []
