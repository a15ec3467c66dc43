import type { GraphBuilder } from '../../onnx/builder.js'
import { Integers } from '../integers.js'
import type { Integer } from '../integers.js'
import { RuleRefusal } from '../rule.js'
import { SampledAxis } from './sampled-axis.js'
import type { Sampling, Tap } from './sampled-axis.js'

/**
 * Samples of images `x` [B, C, sizes] at places: for each axis [B, P], in pixels. Gives [B, C, P]: the pixels around
 * each place, each tap of an axis with each of the others, times the product of their weights. Both the image and the
 * places have derivatives; at pixels the one along a place is that towards the next pixel, as PyTorch's.
 */
export function sampled(
  builder: GraphBuilder,
  x: string,
  places: readonly string[],
  sampling: Sampling,
): string {
  // the pixels around a place are 2 or 4 along each axis; ONNX Runtime samples along three axes at the most
  if (places.length > 3)
    throw new RuleRefusal(`its images have ${places.length} axes, and three are supported`)
  const integers = new Integers(builder)
  const sizes = places.map((_, axis) => integers.size(x, axis + 2))
  const taps = places.map((place, axis) => new SampledAxis(builder, place, sizes[axis]!, sampling).taps())
  const channels = integers.size(x, 1)
  const flat = builder.reshapeTo(x, integers.vector([integers.size(x, 0), channels, -1]))
  const terms = combinations(taps).map((corner) => weightedCorner(builder, flat, corner, sizes, channels))
  return terms.reduce((sum, term) => builder.add('Add', [sum, term]))
}

/** One of each list, in all ways. */
function combinations<T>(lists: readonly (readonly T[])[]): T[][] {
  return lists.reduce<T[][]>((all, list) => all.flatMap((row) => list.map((one) => [...row, one])), [[]])
}

function weightedCorner(
  builder: GraphBuilder,
  image: string,
  corner: readonly Tap[],
  sizes: readonly Integer[],
  channels: Integer,
): string {
  const integers = new Integers(builder)
  const index = corner
    .map(({ place }) => builder.cast(place, 'int64'))
    .reduce((row, place, axis) => {
      const start = builder.mul(row, integers.value(sizes[axis]!))
      return builder.add('Add', [start, place])
    })
  const apart = builder.add('Unsqueeze', [index, builder.integers([1])])
  const indices = builder.add('Expand', [apart, integers.vector([1, channels, 1])])
  const pixels = builder.add('GatherElements', [image, indices], { axis: 2 })
  const weights = corner.flatMap(({ weight }) => weight ?? [])
  if (weights.length === 0) return pixels
  const weight = weights.reduce((product, one) => builder.mul(product, one))
  return builder.mul(pixels, builder.add('Unsqueeze', [weight, builder.integers([1])]))
}
