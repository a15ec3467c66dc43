import { intAttribute } from '../../onnx/attributes.js'
import { normalizeAxis } from '../../onnx/shapes/dims.js'
import { Formula } from '../formula.js'
import { Integers } from '../integers.js'
import { rewritten, rule, unary } from '../rule.js'
import type { RewriteContext, Treatments, VjpContext } from '../rule.js'
import { gatherBack } from './gather.js'
import { gatherNdBack } from './index-tuples.js'
import { addAlong, sizesOf } from './placing.js'
import { SCATTER } from './scatter.js'

/** Operators that pick elements by index, or put them there. */
export const INDEXING: Treatments = {
  // every gathered slice goes back where it came from (Gather 13)
  Gather: rule((c) => [gatherBack(c)]),
  // the same for single elements; those that were gathered twice add up (GatherElements 13)
  GatherElements: rule((c) => [elementsBack(c, c.x(1), 0, 'add')]),
  // the same for index tuples (GatherND 13)
  GatherND: rule((c) => [gatherNdBack(c)]),
  ...SCATTER,
  // the elements that were chosen, whichever of equal ones that was (TopK 11)
  TopK: rule((c) => [elementsBack(c, c.builder.requireOutput(c.node, 1), -1, 'none')]),
  // the first of equal elements takes the cotangent (Unique 11)
  Unique: rule(unary(uniqueBack)),
  // the slices at the places where the condition holds (Compress 11)
  Compress: rewritten((c) => [compressed(c)]),
  // values[1] at the index, values[0] elsewhere: each gets the sum of its places (OneHot 11)
  OneHot: rule((c) => [undefined, undefined, c.needs(2) ? valuesOfOneHot(c) : undefined]),
}

function elementsBack(c: VjpContext, indices: string, axis: number, reduction: 'add' | 'none'): string {
  const inputs = [c.builder.zerosLike(c.x(0)), indices, c.g]
  return c.builder.add('ScatterElements', inputs, { axis: intAttribute(c.node, 'axis', axis), reduction })
}

function uniqueBack(c: VjpContext): string {
  const { builder } = c
  const first = builder.requireOutput(c.node, 1)
  c.shape(0)
  const sizes = sizesOf(builder, c.x(0))
  if (c.node.attributes.has('axis'))
    return addAlong(builder, c.g, first, normalizeAxis(intAttribute(c.node, 'axis', 0), sizes.length), sizes)
  const flat = addAlong(builder, c.g, first, 0, [new Integers(builder).product(sizes)])
  return builder.reshapeLike(flat, c.x(0))
}

function compressed(c: RewriteContext): string {
  const { builder } = c
  const kept = builder.reshape(builder.add('NonZero', [c.x(1)]), [-1])
  if (c.node.attributes.has('axis'))
    return builder.add('Gather', [c.x(0), kept], { axis: intAttribute(c.node, 'axis', 0) })
  return builder.add('Gather', [builder.reshape(c.x(0), [-1]), kept], { axis: 0 })
}

function valuesOfOneHot(c: VjpContext): string {
  const { builder } = c
  const f = new Formula(builder, c.g)
  const attributes = { axis: intAttribute(c.node, 'axis', -1) }
  const pair = builder.constant(builder.dtype(c.g), [2], [0, 1])
  const hot = builder.add('OneHot', [c.x(0), c.x(1), pair], attributes)
  const sum = (mask: string): string =>
    builder.add('ReduceSum', [builder.reshape(f.mul(c.g, mask), [1, -1]), builder.integers([1])], {
      keepdims: 0,
    })
  return builder.add('Concat', [sum(f.sub(1, hot)), sum(hot)], { axis: 0 })
}
