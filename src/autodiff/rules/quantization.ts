import type { Treatments } from '../rule.js'

/** Quantised numbers: rounding has no derivative, scales have. */
export const QUANTIZATION: Treatments = {}
