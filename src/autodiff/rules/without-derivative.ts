import { zero } from '../rule.js'
import type { Treatments } from '../rule.js'

const OPERATORS =
  'And Or Xor Not Equal Greater GreaterOrEqual Less LessOrEqual IsNaN IsInf BitwiseAnd BitwiseOr BitwiseXor BitwiseNot ' +
  'BitShift Floor Ceil Round Sign Shape Size ArgMax ArgMin NonZero Range ConstantOfShape EyeLike Constant Hardmax ' +
  'RandomNormalLike RandomUniformLike RandomNormal RandomUniform Bernoulli Multinomial'

/** Operators whose result does not change with small changes of their inputs, or is a shape, an index or a truth value. */
export const WITHOUT_DERIVATIVE: Treatments = Object.fromEntries(OPERATORS.split(' ').map((op) => [op, zero]))
