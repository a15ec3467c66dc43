import type { Treatments } from '../rule.js'

/** Operators that are refused between the parameters and the loss, each with its reason. */
export const UNSUPPORTED: Treatments = {}
