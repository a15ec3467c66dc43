import { rules } from '../rule.js'
import type { Treatments } from '../rule.js'
import { determinantCotangent } from './determinant.js'
import { einsumCotangents } from './einsum.js'

/** Products of matrices and tensors beyond MatMul. */
export const CONTRACTION: Treatments = rules({
  Einsum: einsumCotangents,
  Det: (c) => [determinantCotangent(c)],
})
