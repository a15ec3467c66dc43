import { zero } from '../rule.js'
import type { Treatments } from '../rule.js'

/** Operators whose result does not change with small changes of their inputs, or is no real number, by why that is. */
export const CONSTANT_BECAUSE: Readonly<Record<string, string>> = {
  'its result is a truth value':
    'And Or Xor Not Equal Greater GreaterOrEqual Less LessOrEqual IsNaN IsInf RegexFullMatch',
  'its result is a size': 'Shape Size',
  'its result is an index': 'ArgMax ArgMin NonZero NonMaxSuppression',
  'its result is made of whole numbers':
    'BitwiseAnd BitwiseOr BitwiseXor BitwiseNot BitShift ConvInteger MatMulInteger ImageDecoder',
  'its result is text': 'StringConcat StringNormalizer StringSplit',
  'it counts words': 'TfIdfVectorizer',
  'its result is constant between the places where it jumps': 'Floor Ceil Round Sign Hardmax',
  // scales too: a quantised result jumps from one whole number to the next as they change
  'its result is rounded to whole numbers': 'QLinearConv QLinearMatMul',
  // edges of the bands are rounded to whole bins
  'its result follows from sizes and rounded frequencies': 'MelWeightMatrix',
  'its result follows from sizes and attributes':
    'Constant ConstantOfShape EyeLike HannWindow HammingWindow BlackmanWindow',
  'its result is drawn at random, and of the input only the shape counts':
    'RandomNormal RandomUniform RandomNormalLike RandomUniformLike',
  // the input moves the odds, and a draw is what it is: PyTorch's bernoulli has gradient 0 too
  'its result is drawn at random, and a draw is 0 or 1 or an index': 'Bernoulli Multinomial',
}

/** No cotangent goes through these. */
export const WITHOUT_DERIVATIVE: Treatments = Object.fromEntries(
  Object.values(CONSTANT_BECAUSE).flatMap((operators) => operators.split(' ').map((op) => [op, zero])),
)
