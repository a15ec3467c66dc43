import { floatAttribute, intAttribute, stringAttribute } from '../../onnx/attributes.js'
import { Formula } from '../formula.js'
import type { RewriteContext } from '../rule.js'
import { column, firstMaximum, onlyWhere, places } from './region-pooling.js'

/** Where a region's bins are sampled along one axis of the image. */
interface Samples {
  /** [R, bins, S]: places between pixels, inside of the image. */
  readonly at: string
  /** [R, bins, S]: 1 where the sample counts, 0 where it lies outside of the image. */
  readonly inside: string
  /** [R, 1, S]: whether the region has that many samples in a bin. */
  readonly taken: string
  /** [R, 1, 1]: how many samples it has. */
  readonly count: string
  readonly axis: number
  readonly bins: number
}

/**
 * RoiAlign 16, 22: bilinear samples of each bin of a region, averaged: since weights and averages go axis by axis,
 * Y[r] = A[r] X[image of r] B[r]^T with a row of weights for every bin. In mode 'max' the largest of all weighted
 * pixels is taken, as ONNX Runtime does.
 */
export function regionAlign(c: RewriteContext): string {
  const { builder } = c
  const images = builder.add('Gather', [c.x(0), c.x(2)])
  const vertical = samples(c, 2, intAttribute(c.node, 'output_height', 1))
  const horizontal = samples(c, 3, intAttribute(c.node, 'output_width', 1))
  if (stringAttribute(c.node, 'mode', 'avg') === 'max') return largest(c, images, vertical, horizontal)
  return sandwiched(c, meanWeights(c, vertical), images, meanWeights(c, horizontal))
}

/** A X B^T for every channel, with A [R, P, H] and B [R, Q, W]. */
function sandwiched(c: RewriteContext, a: string, images: string, b: string): string {
  const { builder } = c
  const channel = builder.integers([1])
  const right = builder.add('Unsqueeze', [builder.transpose(b, [0, 2, 1]), channel])
  const left = builder.add('Unsqueeze', [a, channel])
  return builder.add('MatMul', [left, builder.add('MatMul', [images, right])])
}

function samples(c: RewriteContext, axis: number, bins: number): Samples {
  const { builder } = c
  const f = new Formula(builder, c.x(1))
  const half = stringAttribute(c.node, 'coordinate_transformation_mode', 'half_pixel') === 'half_pixel'
  const scale = floatAttribute(c.node, 'spatial_scale', 1)
  const edge = (index: number): string => f.sub(f.mul(column(builder, c.x(1), index), scale), half ? 0.5 : 0)
  const [start, end] = [edge(3 - axis), edge(5 - axis)]
  const length = half ? f.sub(end, start) : f.call('Max', f.sub(end, start), 1)
  const size = f.div(length, bins)
  const ratio = intAttribute(c.node, 'sampling_ratio', 0)
  const count = ratio > 0 ? f.add(f.mul(size, 0), ratio) : f.call('Max', f.call('Ceil', size), 0)
  const numbers = sampleNumbers(c, count, ratio)
  const bin = builder.constant(builder.dtype(c.x(1)), [bins, 1], upTo(bins))
  const inBin = f.div(f.mul(f.add(numbers, 0.5), size), f.call('Max', count, 1))
  const place = f.add(f.add(start, f.mul(bin, size)), inBin)
  const last = f.sub(builder.cast(builder.sizes(c.x(0), [axis]), builder.dtype(c.x(1))), 1)
  const inside = f.mul(f.mask('GreaterOrEqual', place, -1), f.mask('LessOrEqual', place, f.add(last, 1)))
  const at = f.call('Min', f.call('Max', place, 0), last)
  return { at, inside, taken: builder.add('Less', [numbers, count]), count, axis, bins }
}

/** 0, 1, ... up to the largest number of samples that a bin of any region has. */
function sampleNumbers(c: RewriteContext, count: string, ratio: number): string {
  const { builder } = c
  if (ratio > 0) return builder.constant(builder.dtype(c.x(1)), [ratio], upTo(ratio))
  const most = builder.add('ReduceMax', [count], { keepdims: 0 })
  const limit = builder.add('Max', [most, builder.scalar(1, builder.dtype(c.x(1)))])
  const [zero, one] = [0, 1].map((value) => builder.scalar(value, builder.dtype(c.x(1))))
  return builder.add('Range', [zero!, limit, one!])
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}

/** [R, bins, size]: the mean of a bin's samples as weights of the pixels; a sample between two weighs both. */
function meanWeights(c: RewriteContext, { at, inside, taken, count, axis }: Samples): string {
  const { builder } = c
  const f = new Formula(builder, c.x(1))
  const last = builder.integers([3])
  const distance = f.sub(builder.add('Unsqueeze', [at, last]), places(builder, c.x(0), axis, c.x(1)))
  const weights = f.call('Max', f.sub(1, f.call('Abs', distance)), 0)
  const counted = f.mul(inside, builder.cast(taken, builder.dtype(c.x(1))))
  const sum = builder.sum(f.mul(weights, builder.add('Unsqueeze', [counted, last])), [2], false)
  return f.div(sum, f.call('Max', count, 1))
}

/** The largest of the four weighted pixels of any sample of a bin. */
function largest(c: RewriteContext, images: string, vertical: Samples, horizontal: Samples): string {
  const { builder } = c
  const [below, right] = [corners(c, vertical), corners(c, horizontal)]
  const products = below.flatMap((a) => right.map((b) => sandwiched(c, a, images, b)))
  const split = builder.reshapeTo(
    builder.add('Max', products),
    builder.add(
      'Concat',
      [
        builder.sizes(images, [0, 1]),
        builder.integers([vertical.bins, -1, horizontal.bins]),
        sampleCount(c, horizontal),
      ],
      { axis: 0 },
    ),
  )
  const axes = (mask: string, at: readonly number[]): string =>
    builder.add('Unsqueeze', [mask, builder.integers(at)])
  const valid = builder.add('And', [axes(vertical.taken, [1, 4, 5]), axes(horizontal.taken, [1, 2, 3])])
  const across = firstMaximum(builder, onlyWhere(builder, valid, split), 5)
  const maximum = builder.add('Squeeze', [firstMaximum(builder, across, 3), builder.integers([3, 5])])
  const counts = builder.mul(vertical.count, horizontal.count)
  const any = builder.add('Greater', [axes(counts, [3]), builder.scalar(0, builder.dtype(counts))])
  return builder.add('Where', [any, maximum, builder.scalar(0, builder.dtype(maximum))])
}

function sampleCount(c: RewriteContext, { at }: Samples): string {
  return c.builder.sizes(at, [2])
}

/** [R, bins * S, size] twice: the weight of the pixel before each sample, and of the one behind it. */
function corners(c: RewriteContext, { at, inside, axis }: Samples): [before: string, behind: string] {
  const { builder } = c
  const f = new Formula(builder, c.x(1))
  const low = f.call('Floor', at)
  const far = f.sub(at, low)
  const last = f.sub(builder.cast(builder.sizes(c.x(0), [axis]), builder.dtype(c.x(1))), 1)
  const pixels = places(builder, c.x(0), axis, c.x(1))
  const placed = (place: string, weight: string): string => {
    const lined = (value: string): string =>
      builder.reshapeTo(
        value,
        builder.add('Concat', [builder.sizes(c.x(1), [0]), builder.integers([-1, 1])], { axis: 0 }),
      )
    return f.mul(f.mask('Equal', lined(place), pixels), lined(f.mul(weight, inside)))
  }
  return [placed(low, f.sub(1, far)), placed(f.call('Min', f.add(low, 1), last), far)]
}
