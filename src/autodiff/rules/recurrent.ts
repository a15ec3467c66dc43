import type { Treatments } from '../rule.js'

/** Recurrent networks, by Scan. */
export const RECURRENT: Treatments = {}
