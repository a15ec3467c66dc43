import { floatAttribute } from '../../onnx/attributes.js'
import type { RewriteContext } from '../rule.js'

/**
 * A BatchNormalization with recorded statistics and the convolution before it as one convolution: with
 * s = scale / sqrt(variance + epsilon) its kernel is W s and its bias (b - mean) s + shift. Undefined where there is no
 * such convolution, or others read its result too.
 *
 * Forward and backward then touch the images no more often than without the normalization: what the derivatives with
 * respect to scale and statistics need is in the gradients of the folded kernel and bias.
 */
export function intoConvolution(c: RewriteContext): string | undefined {
  const { builder } = c
  const convolution = builder.producer(c.x(0))
  if (convolution?.op !== 'Conv' || convolution.domain !== '' || c.readers(c.x(0)) !== 1) return undefined
  const [x, w, b = ''] = convolution.inputs as [string, string, string?]
  const rank = builder.rank(w)
  const { dtype } = builder.info(w)
  const alike = c.node.inputs.every((name) => builder.info(name).dtype === dtype)
  if (rank === undefined || dtype === undefined || !alike) return undefined
  const epsilon = builder.scalar(floatAttribute(c.node, 'epsilon', Math.fround(1e-5)), dtype)
  const s = builder.add('Div', [c.x(1), builder.add('Sqrt', [builder.add('Add', [c.x(4), epsilon])])])
  const axes = Array.from({ length: rank - 1 }, (_, axis) => axis + 1)
  const kernel = builder.mul(w, builder.add('Unsqueeze', [s, builder.integers(axes)]))
  const centre = b === '' ? builder.add('Neg', [c.x(3)]) : builder.add('Sub', [b, c.x(3)])
  const bias = builder.add('Add', [builder.mul(centre, s), c.x(2)])
  return builder.addNode('Conv', [x, kernel, bias], 1, convolution.attributes)[0]
}
