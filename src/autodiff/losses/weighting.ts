import { elementCount } from '../../tensor.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import type { Shape } from '../../onnx/graph.js'
import type { LossContext } from './terms.js'

/** Axes from `from` to the last of a value of the given rank. */
function axesFrom(from: number, rank: number): number[] {
  return Array.from({ length: Math.max(0, rank - from) }, (_, i) => from + i)
}

/** The samples' weights with axes of size 1 behind, to multiply a value of the given rank; undefined without weights. */
export function sampleWeights({ builder, weight }: LossContext, rank: number): string | undefined {
  if (weight === undefined || rank === 1) return weight
  return builder.add('Unsqueeze', [weight, builder.integers(axesFrom(1, rank))])
}

/** The product of those factors that are there. */
export function productOf(builder: GraphBuilder, ...factors: (string | undefined)[]): string | undefined {
  const given = factors.filter((factor) => factor !== undefined)
  return given.length === 0 ? undefined : given.reduce((a, b) => builder.mul(a, b))
}

/** A value times those factors that are there. */
export function times(builder: GraphBuilder, value: string, ...factors: (string | undefined)[]): string {
  return factors.reduce<string>((a, b) => (b === undefined ? a : builder.mul(a, b)), value)
}

/** The sum over all axes but the first. */
export function summedPerSample(builder: GraphBuilder, value: string, rank: number): string {
  return builder.sum(value, axesFrom(1, rank), false)
}

/** The number of elements of a sample along some axes of a value, as a real number of no dimension. */
export function elementsAlong(
  builder: GraphBuilder,
  value: string,
  shape: Shape,
  axes = axesFrom(1, shape.length),
): string {
  const dtype = builder.dtype(value)
  const sizes = axes.map((axis) => shape[axis]!)
  if (sizes.every((dim) => typeof dim === 'number')) return builder.scalar(elementCount(sizes), dtype)
  return builder.cast(builder.add('ReduceProd', [builder.sizes(value, axes)], { keepdims: 0 }), dtype)
}

/** 1 over the sum of all denominators, by which seeds of the mean are multiplied; undefined for seeds of the sum. */
export function seedScale(context: LossContext, denominators: string, like: string): string | undefined {
  if (context.result === 'sums') return undefined
  const { builder } = context
  return builder.add('Reciprocal', [totalOf(builder, denominators, like)])
}

/**
 * The sum of all denominators, of no dimension.
 * @param like a value whose first axis is the batch, where denominators is one number for every sample
 */
export function totalOf(builder: GraphBuilder, denominators: string, like: string): string {
  if (builder.rank(denominators) !== 0) return builder.sum(denominators, [0], false)
  const [batch] = builder.shapeOf(like) ?? []
  const dtype = builder.dtype(denominators)
  if (typeof batch === 'number') return builder.scale(denominators, batch)
  const samples = builder.cast(builder.sizes(like, [0]), dtype)
  return builder.mul(builder.reshape(samples, []), denominators)
}
