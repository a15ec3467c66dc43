import type { Shape } from '../../../src/onnx/graph.js'
import { constant, real } from '../operator-case.js'
import type { Operand, OperatorCase } from '../operator-case.js'

function einsum(title: string, equation: string, ...inputs: readonly Operand[]): OperatorCase {
  return { title: `${title} (${equation})`, op: 'Einsum', inputs, attributes: { equation } }
}

const named = (shape: readonly number[], as: Shape): Operand => real(shape, { as })

const EINSUMS: readonly OperatorCase[] = [
  einsum('of matrices', 'ij,jk->ik', real([3, 4]), real([4, 5])),
  einsum('of matrices with spaces', ' ij , jk -> ik ', real([3, 4]), real([4, 5])),
  einsum('of matrices, transposed', 'ij,kj->ki', real([3, 4]), real([5, 4])),
  einsum('of an axis that is repeated and summed', 'ab,ab->b', real([5, 3]), real([1, 3])),
  einsum('of a batch', 'bij,bjk->bik', real([2, 3, 4]), real([2, 4, 5])),
  einsum('of a symbolic batch', 'bij,bjk->bik', named([2, 3, 4], ['N', 3, 4]), named([2, 4, 5], ['N', 4, 5])),
  einsum(
    'of symbolic sizes',
    'bqhd,bkhd->bhqk',
    named([2, 3, 2, 4], ['N', 'Q', 2, 'D']),
    named([2, 5, 2, 4], ['N', 'K', 2, 'D']),
  ),
  einsum('of three', 'nh,nk,khc->nc', real([3, 4]), real([3, 2]), real([2, 4, 5])),
  einsum(
    'of three with a symbolic batch',
    'nh,nk,khc->nc',
    named([3, 4], ['N', 4]),
    named([3, 2], ['N', 2]),
    real([2, 4, 5]),
  ),
  einsum('without a result', 'ij,jk', real([3, 4]), real([4, 5])),
  einsum('without a result, in alphabetical order', 'ba,ca', real([3, 4]), real([2, 4])),
  einsum('as a transposition', 'ijk->kij', real([2, 3, 4])),
  einsum('as the identity', 'ij->ij', real([2, 3])),
  einsum('as a sum', 'ijk->j', real([2, 3, 4])),
  einsum('as a sum of all', 'ij->', real([2, 3])),
  einsum('as a symbolic sum', 'ijk->j', named([2, 3, 4], ['N', 'T', 'C'])),
  einsum('as a product of elements', 'ij,ij->ij', real([2, 3]), real([2, 3])),
  einsum('as an inner product', 'ij,ij->', real([2, 3]), real([2, 3])),
  einsum('as an outer product', 'i,j->ij', real([3]), real([4])),
  einsum('with a letter summed in one operand', 'ij,jk->k', real([3, 4]), real([4, 5])),
  einsum('with a letter that only one operand has', 'ij,k->ik', real([3, 4]), real([5])),
  einsum('as a trace', 'ii->', real([4, 4])),
  einsum('as a diagonal', 'ii->i', real([4, 4])),
  einsum('as a diagonal of a batch', 'bii->bi', real([2, 3, 3])),
  einsum('as a symbolic diagonal', 'bii->bi', named([2, 3, 3], ['N', 'T', 'T'])),
  einsum('with an ellipsis', '...ij,...jk->...ik', real([2, 3, 4]), real([2, 4, 5])),
  einsum('with an ellipsis that is missing on the right', '...ij,jk->...ik', real([2, 3, 4]), real([4, 5])),
  einsum('with an ellipsis that is broadcast', '...ij,...jk->...ik', real([2, 3, 4]), real([1, 4, 5])),
  einsum('with a symbolic ellipsis', '...i,ij->...j', named([2, 3, 4], ['N', 'T', 4]), real([4, 5])),
  einsum('with an ellipsis and no result', '...ij,...jk', real([2, 3, 4]), real([2, 4, 5])),
  einsum('of a constant', 'ij,jk->ik', constant([1, 2, 3, 4, 5, 6], [2, 3]), real([3, 4])),
]

/** ONNX Runtime computes determinants in float32. */
function det(title: string, ...input: Parameters<typeof real>): OperatorCase {
  return { title, op: 'Det', inputs: [real(...input)], dtype: 'float32' }
}

const SINGULAR: Operand = {
  kind: 'parameter',
  shape: [3, 3],
  values: () => [1, 2, 3, 2, 4, 6, 0.5, -1, 1],
}

const DETS: readonly OperatorCase[] = [
  det('of one number', [1, 1]),
  det('of 2 x 2', [2, 2]),
  det('of 3 x 3', [3, 3]),
  det('of 4 x 4', [4, 4], { low: -1, high: 1 }),
  det('of a batch', [2, 3, 3]),
  det('of two batch axes', [2, 2, 2, 2]),
  det('of a symbolic batch', [2, 3, 3], { as: ['N', 3, 3] }),
  det('of symbolic sizes', [2, 3, 3], { as: ['N', 'K', 'K'] }),
  det('of one symbolic size', [3, 3], { as: ['K', 'K'] }),
  { title: 'of a singular matrix', op: 'Det', inputs: [SINGULAR], dtype: 'float32' },
]

export const CONTRACTION_CASES: readonly OperatorCase[] = [...EINSUMS, ...DETS]
