import type { Treatments } from '../rule.js'

/** Normalizations: means, variances and norms taken out. */
export const NORMALIZATION: Treatments = {}
