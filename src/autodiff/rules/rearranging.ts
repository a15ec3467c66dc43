import type { Treatments } from '../rule.js'

/** Operators that repeat, pad, cut or reorder elements. */
export const REARRANGING: Treatments = {}
