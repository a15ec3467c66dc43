import type { Treatments } from '../rule.js'

/** Operators that pick elements by index, or put them there. */
export const INDEXING: Treatments = {}
