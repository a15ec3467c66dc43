import type { Treatments } from '../rule.js'

/** Attention and rotary embeddings, by the operators that define them. */
export const ATTENTION: Treatments = {}
