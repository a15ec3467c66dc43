import type { Treatments } from '../rule.js'

/** Losses that are operators of their own. */
export const LOSS_OPERATORS: Treatments = {}
