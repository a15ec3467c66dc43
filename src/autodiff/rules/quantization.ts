import { intAttribute } from '../../onnx/attributes.js'
import { normalizeAxis } from '../../onnx/shapes/dims.js'
import { Formula } from '../formula.js'
import { Integers } from '../integers.js'
import { RuleRefusal, rule, zero } from '../rule.js'
import type { Treatments, VjpContext } from '../rule.js'

/** Quantised numbers: rounding has no derivative, scales have. */
export const QUANTIZATION: Treatments = {
  // y = (x - zero point) scale: the scale's cotangent is that of y times x less the zero point (DequantizeLinear 13, 21)
  DequantizeLinear: rule((c) => {
    if (c.needs(0)) throw new RuleRefusal('the numbers that it scales are kept in a type of few bits')
    return [undefined, c.needs(1) ? scaleGradient(c) : undefined]
  }),
  // constant between the places where it jumps from one whole number to the next
  QuantizeLinear: zero,
  // the whole numbers jump, but their scale follows the extremes of x: (max(x, 0) - min(x, 0)) / 255
  DynamicQuantizeLinear: rule((c) => {
    const scale = c.cotangent(1)
    return [scale && rangeGradient(c, scale)]
  }),
}

/** The node itself with scales of 1 gives x less the zero point, whatever types and blocks there are. */
function scaleGradient(c: VjpContext): string {
  const { builder } = c
  const one = builder.scalar(1, builder.dtype(c.x(1)))
  const ones = builder.rank(c.x(1)) === 0 ? one : builder.add('Expand', [one, builder.shape(c.x(1))])
  const [plain] = builder.addNode('DequantizeLinear', c.node.inputs.with(1, ones), 1, c.node.attributes)
  builder.declareLike(plain!, c.y())
  const terms = builder.cast(builder.mul(c.g, plain!), builder.dtype(c.x(1)))
  return summedToScale(c, terms)
}

/** Sums over what shares a scale: everything, an entry of an axis, or a block of an axis. */
function summedToScale(c: VjpContext, terms: string): string {
  const { builder } = c
  const rank = c.shape(0).length
  const all = Array.from({ length: rank }, (_, axis) => axis)
  const own = c.shape(1)
  const perTensor = own.length === 0 || (own.length === 1 && own[0] === 1)
  if (perTensor) return builder.reshapeLike(builder.sum(terms, all, false), c.x(1))
  const axis = normalizeAxis(intAttribute(c.node, 'axis', 1), rank)
  const block = intAttribute(c.node, 'block_size', 0)
  if (block > 0) return summedBlocks(c, terms, axis, block)
  return builder.sum(
    terms,
    all.filter((other) => other !== axis),
    false,
  )
}

/** The axis is filled up with zeros to whole blocks and cut into two, of which the second is summed. */
function summedBlocks(c: VjpContext, terms: string, axis: number, block: number): string {
  const { builder } = c
  const count = new Integers(builder)
  const blocks = count.size(c.x(1), axis)
  const missing = count.sub(count.mul(blocks, block), count.size(c.x(0), axis))
  const full =
    missing === 0
      ? terms
      : builder.add('Pad', [terms, count.vector([0, missing]), '', builder.integers([axis])])
  const sizes = c.shape(0).map((_, at) => (at === axis ? blocks : count.size(c.x(0), at)))
  const cut = builder.reshapeTo(full, count.vector(sizes.toSpliced(axis + 1, 0, block)))
  return builder.sum(cut, [axis + 1], false)
}

/** Equal extremes share; an extreme on the other side of 0 does not count, for the range always holds 0. */
function rangeGradient(c: VjpContext, scale: string): string {
  const f = new Formula(c.builder, c.x(0))
  const share = (extreme: string, beyond: string): string => {
    const attains = f.mask('Equal', c.x(0), extreme)
    const count = c.builder.add('ReduceSum', [attains], { keepdims: 0 })
    return f.mul(attains, f.div(f.mask(beyond, extreme, 0), count))
  }
  const extreme = (op: string): string => c.builder.add(op, [c.x(0)], { keepdims: 0 })
  const range = f.sub(share(extreme('ReduceMax'), 'Greater'), share(extreme('ReduceMin'), 'Less'))
  return f.mul(range, f.div(scale, 255))
}
