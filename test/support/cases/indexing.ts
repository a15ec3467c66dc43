import type { OperatorCase } from '../operator-case.js'

export const INDEXING_CASES: readonly OperatorCase[] = []
