import type { Treatments } from '../rule.js'

/** Fourier transforms. */
export const SIGNAL: Treatments = {}
