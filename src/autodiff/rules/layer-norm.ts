import { floatAttribute, intAttribute } from '../../onnx/attributes.js'
import type { GraphBuilder } from '../../onnx/builder.js'
import { normalizeAxis } from '../../onnx/shapes/dims.js'
import { sumToShape } from '../broadcast.js'
import { Formula } from '../formula.js'
import type { Vjp, VjpContext } from '../rule.js'
import { elementsAlong } from './reduction.js'

/**
 * Layer normalization (Ba et al. 2016; LayerNormalization 17). With x^ = (x - mean) inverse, y = scale x^ + shift, and
 * means over the normalized axes: dx = inverse (g scale - mean(g scale) - x^ mean(g scale x^)), dscale = sum g x^,
 * dshift = sum g. Where x^ is not there already only x - mean is computed, and the small factors take the inverses.
 */
export const layerNorm: Vjp = (c) => {
  const { builder } = c
  const f = new Formula(builder, c.g)
  const over = normalizedAxes(c)
  const { mean, inverse } = statisticsOf(c, over)
  const scale = new Scale(c, over)
  const plain = scale.isOne && c.x(2) === ''
  const base = plain ? c.y() : f.sub(c.x(0), mean)
  const along = f.mul(c.g, base)
  const share = plain ? scale.mean(along) : f.mul(scale.mean(along), f.square(inverse))
  const centred = f.sub(scale.times(c.g), scale.mean(c.g))
  const dx = f.mul(f.sub(centred, f.mul(base, share)), inverse)
  const standard = (): string => (plain ? base : f.mul(base, inverse))
  return [
    addedTo(c, dx, throughOutputs(c, over, standard, inverse)),
    c.needs(1) ? (plain ? sumToShape(builder, along, c.x(1)) : scaleGradient(c, along, inverse)) : undefined,
    c.needs(2) ? sumToShape(builder, c.g, c.x(2)) : undefined,
  ]
}

/** The sum of `along` times the inverse of each row: for a scale of one axis, one product of a row with a matrix. */
function scaleGradient(c: VjpContext, along: string, inverse: string): string {
  const { builder } = c
  const [size, ...others] = builder.shapeOf(c.x(1)) ?? []
  if (typeof size !== 'number' || others.length > 0 || builder.shapeOf(along)?.at(-1) !== size)
    return sumToShape(builder, builder.mul(along, inverse), c.x(1))
  const column = builder.reshape(inverse, [-1, 1])
  const row = builder.add('Gemm', [column, builder.reshape(along, [-1, size])], { transA: 1 })
  return builder.reshape(row, [size])
}

/**
 * Root mean square normalization (Zhang and Sennrich 2019; RMSNormalization 23). With x^ = x inverse and y = scale x^:
 * dx = inverse (g scale - x^ mean(g scale x^)), dscale = sum g x^.
 */
export const rmsNorm: Vjp = (c) => {
  const f = new Formula(c.builder, c.g)
  const over = normalizedAxes(c)
  const inverse = inverseRoot(c, f, over, c.x(0))
  const scale = new Scale(c, over)
  const standard = f.mul(c.x(0), inverse)
  const along = f.mul(c.g, standard)
  const dx = f.mul(f.sub(scale.times(c.g), f.mul(standard, scale.mean(along))), inverse)
  return [dx, c.needs(1) ? sumToShape(c.builder, along, c.x(1)) : undefined]
}

/** The axes from the attribute `axis` on, counted from 0. */
function normalizedAxes(c: VjpContext): number[] {
  const rank = c.shape(0).length
  const first = normalizeAxis(intAttribute(c.node, 'axis', -1), rank)
  return Array.from({ length: rank - first }, (_, i) => first + i)
}

interface Statistics {
  readonly mean: string
  /** 1 / sqrt(variance + epsilon) */
  readonly inverse: string
}

/** The forward node gives them away, in float32 whatever it computes in; in float64 they are computed again. */
function statisticsOf(c: VjpContext, over: readonly number[]): Statistics {
  const { builder } = c
  if (builder.dtype(c.g) === 'float32')
    return { mean: builder.requireOutput(c.node, 1), inverse: builder.requireOutput(c.node, 2) }
  const f = new Formula(builder, c.g)
  const mean = builder.add('ReduceMean', [c.x(0), builder.integers(over)])
  return { mean, inverse: inverseRoot(c, f, over, f.sub(c.x(0), mean)) }
}

/** 1 / sqrt(mean(value^2) + epsilon) */
function inverseRoot(c: VjpContext, f: Formula, over: readonly number[], value: string): string {
  const square = c.builder.add('ReduceMean', [f.square(value), c.builder.integers(over)])
  const epsilon = floatAttribute(c.node, 'epsilon', Math.fround(1e-5))
  return f.call('Reciprocal', f.call('Sqrt', f.add(square, epsilon)))
}

/** Products with a node's scale, its second input, and their means over the normalized axes. */
class Scale {
  private readonly builder: GraphBuilder
  private readonly scale: string
  /** Whether the scale is a constant 1, as normalizations that are rewritten to this one have it. */
  readonly isOne: boolean

  constructor(
    c: VjpContext,
    private readonly over: readonly number[],
  ) {
    this.builder = c.builder
    this.scale = c.x(1)
    const producer = this.builder.producer(this.scale)
    const one = this.builder.scalar(1, this.builder.dtype(c.g))
    this.isOne = producer?.op === 'Expand' && producer.inputs[0] === one
  }

  times(value: string): string {
    return this.isOne ? value : this.builder.mul(value, this.scale)
  }

  /** The mean of value times scale: over one axis that the scale has, a product of matrices takes both in one pass. */
  mean(value: string): string {
    const { builder, scale } = this
    const [size] = builder.shapeOf(scale) ?? []
    const vector =
      builder.rank(scale) === 1 && this.over.length === 1 && size === builder.shapeOf(value)?.at(-1)
    if (this.isOne || !vector || typeof size !== 'number')
      return builder.add('ReduceMean', [this.times(value), builder.integers(this.over)])
    return builder.add('MatMul', [value, builder.reshape(builder.scale(scale, 1 / size), [-1, 1])])
  }
}

/** Where the loss depends on a LayerNormalization's Mean and InvStdDev: dmean / n and -inverse^2 x^ dinverse / n. */
function throughOutputs(
  c: VjpContext,
  over: readonly number[],
  standard: () => string,
  inverse: string,
): string | undefined {
  const f = new Formula(c.builder, c.g)
  const [mean, deviation] = [c.cotangent(1), c.cotangent(2)].map(
    (value) => value && c.builder.cast(value, c.builder.dtype(c.g)),
  )
  const slope = deviation && f.mul(standard(), f.mul(f.call('Neg', f.square(inverse)), deviation))
  const both = mean === undefined || slope === undefined ? (mean ?? slope) : f.add(slope, mean)
  return both && f.div(both, elementsAlong(c.builder, c.x(0), over))
}

function addedTo({ builder }: VjpContext, value: string, more: string | undefined): string {
  return more === undefined ? value : builder.add('Add', [value, more])
}
