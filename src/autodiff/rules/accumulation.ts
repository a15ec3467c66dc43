import type { Treatments } from '../rule.js'

/** Further reductions and running sums. */
export const ACCUMULATION: Treatments = {}
