import { intAttribute } from '../../onnx/attributes.js'
import type { Vjp } from '../rule.js'
import { RuleRefusal } from '../rule.js'
import { CONVOLUTION } from './convolution.js'
import { BROADCASTING, ELEMENTWISE } from './elementwise.js'
import { LAYOUT } from './layout.js'
import { LINEAR } from './linear.js'
import { POOLING } from './pooling.js'
import { REDUCTION } from './reduction.js'

/** How an operator is differentiated. */
export type Treatment =
  | { readonly state: 'rule'; readonly vjp: Vjp; readonly broadcasts: boolean }
  /** Constant almost everywhere, or not a number: no cotangent goes further. */
  | { readonly state: 'zero' }

/** Operators whose result does not change with small changes of their inputs, or is a shape, an index or a truth value. */
const ZERO =
  'And Or Xor Not Equal Greater GreaterOrEqual Less LessOrEqual IsNaN IsInf BitwiseAnd BitwiseOr BitwiseXor BitwiseNot ' +
  'BitShift Floor Ceil Round Sign Shape Size ArgMax ArgMin NonZero Range ConstantOfShape EyeLike Constant Hardmax ' +
  'RandomNormalLike RandomUniformLike RandomNormal RandomUniform Bernoulli Multinomial'

const CASTS = {
  // between real types the cotangent is cast back; integers carry none
  Cast: (c) => [c.builder.cast(c.g, c.builder.dtype(c.x(0)))],
  CastLike: (c) => [c.builder.cast(c.g, c.builder.dtype(c.x(0))), undefined],
} as const satisfies Record<string, Vjp>

/** In inference the identity (Dropout 13); a graph that asks for training mode would draw random numbers. */
const dropout: Vjp = (c) => {
  if (c.x(2) !== '' || intAttribute(c.node, 'training_mode', 0) === 1)
    throw new RuleRefusal('Dropout with a training_mode input is random; export the model in evaluation mode')
  return [c.g]
}

const RULES = {
  ...ELEMENTWISE,
  ...CONVOLUTION,
  ...LAYOUT,
  ...LINEAR,
  ...POOLING,
  ...REDUCTION,
  ...CASTS,
  Dropout: dropout,
} as const satisfies Record<string, Vjp>

/** Every ai.onnx operator that can stand between the parameters and the loss, with its treatment. */
export const TREATMENTS: ReadonlyMap<string, Treatment> = new Map<string, Treatment>([
  ...Object.entries<Vjp>(RULES).map(([op, vjp]): [string, Treatment] => [
    op,
    { state: 'rule', vjp, broadcasts: false },
  ]),
  ...Object.entries<Vjp>(BROADCASTING).map(([op, vjp]): [string, Treatment] => [
    op,
    { state: 'rule', vjp, broadcasts: true },
  ]),
  ...ZERO.split(' ').map((op): [string, Treatment] => [op, { state: 'zero' }]),
])
