import type { Treatments } from '../rule.js'

/** Products of matrices and tensors beyond MatMul. */
export const CONTRACTION: Treatments = {}
