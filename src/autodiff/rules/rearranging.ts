import { intAttribute, intsAttribute, stringAttribute } from '../../onnx/attributes.js'
import { dtypeOf } from '../../onnx/dtypes.js'
import { Integers } from '../integers.js'
import type { Integer } from '../integers.js'
import { RuleRefusal, rewritten, rule, unary } from '../rule.js'
import type { Treatments, VjpContext } from '../rule.js'
import { centered, padBack } from './padding.js'
import { sizesOf } from './placing.js'

/** Operators that repeat, pad, cut, reorder or count elements. */
export const REARRANGING: Treatments = {
  // the repetitions of an element add up (Tile 13)
  Tile: rule(unary(tileBack)),
  Pad: rule(padBack),
  CenterCropPad: rewritten((c) => [centered(c)]),
  // what was cut away has no influence (Trilu 14)
  Trilu: rule(
    unary((c) =>
      c.builder.add('Trilu', c.x(1) === '' ? [c.g] : [c.g, c.x(1)], {
        upper: intAttribute(c.node, 'upper', 1),
      }),
    ),
  ),
  // reversing twice changes nothing (ReverseSequence 10)
  ReverseSequence: rule(
    unary((c) =>
      c.builder.add('ReverseSequence', [c.g, c.x(1)], {
        batch_axis: intAttribute(c.node, 'batch_axis', 1),
        time_axis: intAttribute(c.node, 'time_axis', 0),
      }),
    ),
  ),
  // each block of a channel goes back into the depth (DepthToSpace 13)
  DepthToSpace: rule(unary(depthToSpaceBack)),
  // the inverse (SpaceToDepth 13)
  SpaceToDepth: rule(
    unary((c) => c.builder.add('DepthToSpace', [c.g], { blocksize: intAttribute(c.node, 'blocksize', 1) })),
  ),
  // the columns are the blocks of the image (Col2Im 18)
  Col2Im: rule(unary(blocksOf)),
  // y = start + i delta; the limit only decides how many there are (Range 11)
  Range: rule((c) => [
    c.needs(0) ? c.builder.add('ReduceSum', [c.g], { keepdims: 0 }) : undefined,
    undefined,
    c.needs(2) ? steps(c) : undefined,
  ]),
  // the same type is the same number; another one has nothing to do with it (BitCast 26)
  BitCast: rewritten((c) => {
    if (c.builder.info(c.x(0)).dtype !== dtypeOf(intAttribute(c.node, 'to', 0)))
      throw new RuleRefusal('the bits of a number as one of another type have no derivative')
    return [c.x(0)]
  }),
}

/** The cotangent of Range's delta: every element has it as often as it has elements before it. */
function steps(c: VjpContext): string {
  const { builder } = c
  const count = builder.cast(
    new Integers(builder).range(new Integers(builder).size(c.g, 0)),
    builder.dtype(c.g),
  )
  return builder.add('ReduceSum', [builder.mul(c.g, count)], { keepdims: 0 })
}

/** Reshaped to [repeats, size] for every axis that is repeated, and summed over the repeats. */
function tileBack(c: VjpContext): string {
  const { builder } = c
  const integers = new Integers(builder)
  const sizes = sizesOf(builder, c.x(0))
  const repeats = integers.elements(c.x(1), c.shape(0).length)
  const split: Integer[] = []
  const summed: number[] = []
  sizes.forEach((size, axis) => {
    if (repeats[axis] !== 1) {
      summed.push(split.length)
      split.push(repeats[axis]!)
    }
    split.push(size)
  })
  if (summed.length === 0) return c.g
  return builder.sum(builder.reshapeTo(c.g, integers.vector(split)), summed, false)
}

/**
 * From [N, C, H b, W b] back to the depth: the positions within a block stand in front of the channels (DCR) or behind
 * them (CRD).
 */
function depthToSpaceBack(c: VjpContext): string {
  const { builder } = c
  const size = intAttribute(c.node, 'blocksize', 1)
  const channelsFirst = stringAttribute(c.node, 'mode', 'DCR') === 'CRD'
  if (!channelsFirst) return builder.add('SpaceToDepth', [c.g], { blocksize: size })
  c.shape(0)
  const integers = new Integers(builder)
  const [batch, depth, height, width] = sizesOf(builder, c.x(0))
  const channels = integers.div(depth!, size * size)
  const split = integers.vector([batch!, channels, height!, size, width!, size])
  const moved = builder.transpose(builder.reshapeTo(c.g, split), [0, 1, 3, 5, 2, 4])
  return builder.reshapeLike(moved, c.x(0))
}

/** im2col: from the padded image, axis after axis, the elements at (place in the block, place of the block). */
function blocksOf(c: VjpContext): string {
  const { builder } = c
  const count = builder.shapeOf(c.x(2))?.[0]
  if (typeof count !== 'number') throw new RuleRefusal('the number of axes of its blocks is not known')
  const integers = new Integers(builder)
  const block = integers.elements(c.x(2), count)
  const image = padded(c, count)
  const sizes = Array.from({ length: count }, (_, i) => integers.size(image, i + 2))
  // every axis becomes two; those in front of it have become two already
  const taken = sizes.reduce<string>(
    (value, size, i) =>
      builder.add('Gather', [value, elementsOfBlocks(c, integers, i, size, block[i]!)], { axis: 2 + 2 * i }),
    image,
  )
  const spatial = sizes.map((_, i) => 2 + 2 * i)
  const order = [0, 1, ...spatial, ...spatial.map((axis) => axis + 1)]
  return builder.reshapeLike(builder.transpose(taken, order), c.x(0))
}

function padded(c: VjpContext, count: number): string {
  const pads = intsAttribute(c.node, 'pads') ?? []
  if (pads.every((pad) => pad === 0)) return c.g
  const axes = Array.from({ length: count }, (_, i) => i + 2)
  return c.builder.add('Pad', [c.g, c.builder.integers(pads), '', c.builder.integers(axes)])
}

/** [places in the block, blocks]: which element of an axis stands there. */
function elementsOfBlocks(
  c: VjpContext,
  integers: Integers,
  axis: number,
  size: Integer,
  block: Integer,
): string {
  const { builder } = c
  const dilation = intsAttribute(c.node, 'dilations')?.[axis] ?? 1
  const stride = intsAttribute(c.node, 'strides')?.[axis] ?? 1
  const extent = integers.add(integers.mul(integers.sub(block, 1), dilation), 1)
  const blocks = integers.add(integers.div(integers.sub(size, extent), stride), 1)
  const within = builder.mul(integers.range(block), builder.scalar(dilation, 'int64'))
  const first = builder.mul(integers.range(blocks), builder.scalar(stride, 'int64'))
  return builder.add('Add', [builder.reshape(within, [-1, 1]), first])
}
