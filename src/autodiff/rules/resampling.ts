import type { Treatments } from '../rule.js'

/** Images sampled at other places. */
export const RESAMPLING: Treatments = {}
