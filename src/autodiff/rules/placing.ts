import type { GraphBuilder } from '../../onnx/builder.js'
import type { DType } from '../../tensor.js'
import { Integers } from '../integers.js'
import type { Integer } from '../integers.js'

/** Zeros to be added in front of and behind a value along an axis (counted from 0); negative numbers cut. */
export interface Margin {
  readonly axis: number
  readonly before: Integer
  readonly after: Integer
}

/** A value with zeros around it. Axes without any are left out; without such axes it is the value itself. */
export function withZerosAround(builder: GraphBuilder, value: string, margins: readonly Margin[]): string {
  const wanted = margins.filter(({ before, after }) => before !== 0 || after !== 0)
  if (wanted.length === 0) return value
  const integers = new Integers(builder)
  const pads = integers.vector([...wanted.map(({ before }) => before), ...wanted.map(({ after }) => after)])
  return builder.add('Pad', [value, pads, '', builder.integers(wanted.map(({ axis }) => axis))])
}

/**
 * Up to this many places along an axis cotangents are added up by a matrix product with zeros and ones, which runs in
 * parallel; above it is slower than ScatterElements, which runs in one thread (measured for widths from 32 to 768).
 */
const LARGEST_ONE_HOT = 256

/**
 * Adds the elements of `g` to the places of zeros of a shape along an axis: `indices` (one dimension, any integer
 * type, negative ones count from the end) says for each place of g along the axis where it goes. Equal indices add up.
 * Not by ScatterND: with several threads ONNX Runtime's loses additions to the same place.
 */
export function addAlong(
  builder: GraphBuilder,
  g: string,
  indices: string,
  axis: number,
  shape: readonly Integer[],
): string {
  const size = shape[axis]!
  const behind = shape.length - 1 - axis
  if (typeof size !== 'number' || size > LARGEST_ONE_HOT || (behind > 1 && axis > 0))
    return scatterAlong(builder, g, indices, axis, shape)
  if (behind === 0) return builder.add('MatMul', [g, oneHotColumns(builder, indices, size, builder.dtype(g))])
  const rows = oneHotRows(builder, indices, size, builder.dtype(g))
  if (behind === 1) return builder.add('MatMul', [rows, g])
  const product = builder.add('MatMul', [rows, builder.add('Flatten', [g], { axis: 1 })])
  return builder.reshapeTo(product, new Integers(builder).vector(shape))
}

/** The same for any size: every index is repeated for the elements that it places. */
function scatterAlong(
  builder: GraphBuilder,
  g: string,
  indices: string,
  axis: number,
  shape: readonly Integer[],
): string {
  const behind = shape.length - 1 - axis
  const column = behind === 0 ? indices : builder.reshape(indices, [-1, ...ones(behind)])
  const zeros = builder.add('Expand', [
    builder.scalar(0, builder.dtype(g)),
    new Integers(builder).vector(shape),
  ])
  return builder.add('ScatterElements', [zeros, builder.expandLike(column, g), g], { axis, reduction: 'add' })
}

/** The sizes of a value whose rank is known. */
export function sizesOf(builder: GraphBuilder, value: string): Integer[] {
  const integers = new Integers(builder)
  return (builder.shapeOf(value) ?? []).map((_, axis) => integers.size(value, axis))
}

/** [V, K]: 1 where the index at k is v. */
function oneHotRows(builder: GraphBuilder, indices: string, size: number, dtype: DType): string {
  const classes = builder.constant('int32', [size, 1], upTo(size))
  return builder.cast(builder.add('Equal', [places(builder, indices, size), classes]), dtype)
}

/** [K, V]: 1 where the index at k is v. */
function oneHotColumns(builder: GraphBuilder, indices: string, size: number, dtype: DType): string {
  const column = builder.reshape(places(builder, indices, size), [-1, 1])
  const classes = builder.constant('int32', [size], upTo(size))
  return builder.cast(builder.add('Equal', [column, classes]), dtype)
}

/** Indices counted from the start, in int32. */
function places(builder: GraphBuilder, indices: string, size: number): string {
  const narrow = builder.cast(indices, 'int32')
  const positive = builder.constantsOf(indices)?.every((index) => index >= 0) === true
  return positive ? narrow : builder.add('Mod', [narrow, builder.scalar(size, 'int32')])
}

/**
 * Puts the elements of `g` at the places of zeros like `x` that `positions` counts through all of x, in row-major
 * order (int64, the shape of g). Where no place comes twice (`distinct`) they need not be added up.
 */
export function scatterFlat(
  builder: GraphBuilder,
  g: string,
  positions: string,
  x: string,
  distinct = false,
): string {
  const flat = builder.reshape(builder.zerosLike(x), [-1])
  const inputs = [flat, builder.reshape(positions, [-1]), builder.reshape(g, [-1])]
  const scattered = builder.add(
    'ScatterElements',
    inputs,
    distinct ? { axis: 0 } : { axis: 0, reduction: 'add' },
  )
  return builder.reshapeLike(scattered, x)
}

/** The row-major positions of all elements of a value, in its shape. */
export function positionsOf(builder: GraphBuilder, x: string): string {
  const count = builder.add('Size', [x])
  const all = builder.add('Range', [builder.scalar(0, 'int64'), count, builder.scalar(1, 'int64')])
  return builder.reshapeTo(all, builder.shape(x))
}

function ones(count: number): number[] {
  return Array.from({ length: count }, () => 1)
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}
