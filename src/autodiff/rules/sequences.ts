import type { Treatments } from '../rule.js'

/** Sequences of tensors, followed where their length is known when the graph is built. */
export const SEQUENCES: Treatments = {}
