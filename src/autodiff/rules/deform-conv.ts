import { intAttribute, intsAttribute } from '../../onnx/attributes.js'
import { Formula } from '../formula.js'
import { Integers } from '../integers.js'
import type { Integer } from '../integers.js'
import { RuleRefusal } from '../rule.js'
import type { RewriteContext } from '../rule.js'
import { sampled } from './sampling.js'
import { kernelOf } from './windows.js'

/** Sizes of a deformable convolution. */
interface Deformed {
  readonly kernel: readonly number[]
  /** Elements of the kernel. */
  readonly taps: number
  /** Sizes of the output. */
  readonly output: readonly Integer[]
  readonly offsetGroups: number
  readonly batch: Integer
}

/**
 * DeformConv 19: the pixels below each element of the kernel, moved by their offsets and sampled between pixels, are
 * columns that the kernel multiplies. X [N, C, sizes], W [M, C / group, kernel], offset [N, offset_group * taps * rank,
 * output sizes], mask [N, offset_group * taps, output sizes].
 */
export function deformedConvolution(c: RewriteContext): string {
  const { builder } = c
  const integers = new Integers(builder)
  const kernel = kernelOf(c)
  if (kernel === undefined) throw new RuleRefusal('the kernel size is not known')
  const sizes: Deformed = {
    kernel,
    taps: kernel.reduce((product, size) => product * size, 1),
    output: kernel.map((_, axis) => integers.size(c.x(2), axis + 2)),
    offsetGroups: intAttribute(c.node, 'offset_group', 1),
    batch: integers.size(c.x(0), 0),
  }
  const group = intAttribute(c.node, 'group', 1)
  const columns = builder.reshapeTo(
    columnsOf(c, sizes),
    integers.vector([sizes.batch, group, -1, integers.product(sizes.output)]),
  )
  const filters = integers.size(c.x(1), 0)
  const weights = builder.reshapeTo(c.x(1), integers.vector([group, integers.div(filters, group), -1]))
  const product = builder.add('MatMul', [weights, columns])
  const result = builder.reshapeTo(product, integers.vector([sizes.batch, filters, ...sizes.output]))
  if (c.x(3) === '') return result
  return builder.add('Add', [result, builder.reshape(c.x(3), [-1, ...kernel.map(() => 1)])])
}

/** [N * offset groups, channels of a group, taps * places]. */
function columnsOf(c: RewriteContext, sizes: Deformed): string {
  const { builder } = c
  const integers = new Integers(builder)
  const { batch, offsetGroups, taps, kernel, output } = sizes
  const images = integers.mul(batch, offsetGroups)
  const channels = integers.div(integers.size(c.x(0), 1), offsetGroups)
  const spatial = kernel.map((_, axis) => integers.size(c.x(0), axis + 2))
  const split = builder.reshapeTo(c.x(0), integers.vector([images, channels, ...spatial]))
  const offsets = builder.reshapeTo(
    c.x(2),
    integers.vector([images, taps, kernel.length, integers.product(output)]),
  )
  const places = kernel.map((_, axis) => {
    const offset = builder.add('Gather', [offsets, builder.scalar(axis, 'int64')], { axis: 2 })
    const moved = builder.add('Add', [offset, undeformed(c, sizes, axis)])
    return builder.reshapeTo(moved, integers.vector([images, -1]))
  })
  const sampling = { mode: 'linear', padding: 'zeros', alignCorners: true } as const
  const pixels = sampled(builder, split, places, sampling)
  if (c.x(4) === '') return pixels
  return builder.mul(pixels, builder.reshapeTo(c.x(4), integers.vector([images, 1, -1])))
}

/** [taps, places]: where along an axis each element of the kernel lies for each output, without offsets. */
function undeformed(c: RewriteContext, { kernel, taps, output }: Deformed, axis: number): string {
  const { builder } = c
  const f = new Formula(builder, c.x(2))
  const integers = new Integers(builder)
  const stride = intsAttribute(c.node, 'strides')?.[axis] ?? 1
  const dilation = intsAttribute(c.node, 'dilations')?.[axis] ?? 1
  const pad = intsAttribute(c.node, 'pads')?.[axis] ?? 0
  const behind = kernel.slice(axis + 1).reduce((product, size) => product * size, 1)
  const own = Array.from(
    { length: taps },
    (_, tap) => (Math.floor(tap / behind) % kernel[axis]!) * dilation - pad,
  )
  const starts = f.mul(builder.cast(integers.range(output[axis]!), builder.dtype(c.x(2))), stride)
  const laid = builder.reshape(starts, [-1, ...kernel.slice(axis + 1).map(() => 1)])
  const everywhere = builder.add('Expand', [laid, integers.vector(output)])
  return f.add(builder.reshape(everywhere, [1, -1]), builder.constant(builder.dtype(c.x(2)), [taps, 1], own))
}
