import { DataError } from '../errors.js'
import { firstNotFinite, isFloat, type DType, type TypedArray } from '../tensor.js'
import { allocate, copy, fill, showIndex } from './fill.js'
import type { Place } from '../io/stored-array.js'
import type { ReadableArray } from './stored-array.js'
import { normalizer, type Transform } from './transform.js'

/** Normalization, and the shape that samples take for it. */
export interface Normalization {
  readonly transform: Transform
  readonly sampleShape: readonly number[]
}

/**
 * Real numbers for the network: divided, then normalized. float64 stays where it takes float64, all else is float32.
 */
export async function readFloats(
  array: ReadableArray,
  dtype: DType,
  divisor: number,
  normalization?: Normalization,
): Promise<Float32Array | Float64Array> {
  const wide = dtype === 'float64'
  const target = allocate(array, (length) => (wide ? new Float64Array(length) : new Float32Array(length)))
  const round = wide ? (value: number): number => value : Math.fround
  const normalize =
    normalization &&
    normalizer(
      normalization.transform,
      [array.shape[0] ?? 1, ...normalization.sampleShape],
      array.where,
      round,
    )
  if (isStoredAsIs(array, wide) && divisor === 1 && normalize === undefined) {
    await copy(target, array, (from, to) => {
      checkFinite(target, from, to, array)
    })
    return target
  }
  await fill(target, array, (value, position) => {
    const number = Number(value)
    const scaled = round(number / divisor)
    const converted = normalize === undefined ? scaled : normalize(scaled, position)
    if (!Number.isFinite(converted)) throw notFinite(array, number, position)
    return converted
  })
  return target
}

/** Where the bytes of an array lie that goes to the network as it is stored, if they lie in a file as in memory. */
export function placeAsIs(
  array: ReadableArray,
  dtype: DType,
  divisor: number,
  normalized: boolean,
): Place | undefined {
  return array.dtype === dtype && divisor === 1 && !normalized ? array.place : undefined
}

/** Whether an array's elements are decoded to the type that the network takes. */
function isStoredAsIs({ dtype, order }: ReadableArray, wide: boolean): boolean {
  return order === 'row-major' && isFloat(dtype) && (dtype === 'float64') === wide
}

function checkFinite(
  values: Float32Array | Float64Array,
  from: number,
  to: number,
  array: ReadableArray,
): void {
  const position = firstNotFinite(values, from, to)
  if (position !== -1) throw notFinite(array, values[position]!, position)
}

function notFinite(array: ReadableArray, value: number, position: number): DataError {
  const what = Number.isFinite(value) ? `${value}, beyond float32,` : String(value)
  return new DataError(`${array.where} holds ${what} at index ${showIndex(position, array.shape)}`)
}

/** The integer types, their ranges, and the arrays that hold them. */
const INTEGERS = {
  int64: { min: -(2n ** 63n), max: 2n ** 63n - 1n, make: (length: number) => new BigInt64Array(length) },
  uint64: { min: 0n, max: 2n ** 64n - 1n, make: (length: number) => new BigUint64Array(length) },
  int32: { min: -(2 ** 31), max: 2 ** 31 - 1, make: (length: number) => new Int32Array(length) },
  uint32: { min: 0, max: 2 ** 32 - 1, make: (length: number) => new Uint32Array(length) },
  int16: { min: -(2 ** 15), max: 2 ** 15 - 1, make: (length: number) => new Int16Array(length) },
  uint16: { min: 0, max: 2 ** 16 - 1, make: (length: number) => new Uint16Array(length) },
  int8: { min: -128, max: 127, make: (length: number) => new Int8Array(length) },
  uint8: { min: 0, max: 255, make: (length: number) => new Uint8Array(length) },
  bool: { min: 0, max: 1, make: (length: number) => new Uint8Array(length) },
} as const

type IntegerDType = keyof typeof INTEGERS

/**
 * Whole numbers for an integer input of the network.
 * @throws DataError when the data are floats, or out of the type's range
 */
export async function readIntegers(array: ReadableArray, dtype: IntegerDType): Promise<TypedArray> {
  if (isFloat(array.dtype)) {
    throw new DataError(
      `${array.where} holds ${array.dtype}, but the network takes ${dtype}: save whole numbers`,
    )
  }
  const { min, max, make } = INTEGERS[dtype]
  const inRange = (value: number | bigint, position: number): number | bigint => {
    if (value >= min && value <= max) return value
    throw new DataError(
      `${array.where} holds ${String(value)} at index ${showIndex(position, array.shape)}, beyond ${dtype}`,
    )
  }
  const target = allocate<TypedArray>(array, make)
  // bytes of truth values may be neither 0 nor 1
  if (dtype === array.dtype && dtype !== 'bool' && array.order === 'row-major') {
    await copy(target, array)
    return target
  }
  if (target instanceof BigInt64Array || target instanceof BigUint64Array) {
    await fill<bigint>(target, array, (value, position) => BigInt(inRange(value, position)))
  } else {
    await fill<number>(target, array, (value, position) => Number(inRange(value, position)))
  }
  return target
}

/** Which labels there may be. */
export interface LabelRange {
  /** The number of classes, where it is known. */
  readonly classes?: number
  /** A label that stands for a position without one. */
  readonly ignored?: number
  /** How much the label of each class counts, where they differ. */
  readonly weights?: readonly number[]
}

/**
 * Class indices for the loss, as int64.
 * @throws DataError that names the first label that is no class, or says that none of them counts
 */
export async function readLabels(array: ReadableArray, range: LabelRange): Promise<BigInt64Array> {
  const { classes, ignored, weights } = range
  const target = allocate(array, (length) => new BigInt64Array(length))
  const limit = classes ?? Number.MAX_SAFE_INTEGER
  let counted = 0
  await fill<bigint>(target, array, (value, position) => {
    const whole = typeof value === 'bigint' || Number.isInteger(value)
    if (whole && Number(value) === ignored) return BigInt(value)
    if (!whole || value < 0 || value >= limit) throw badLabel(array, value, position, whole, range)
    if (weights?.[Number(value)] !== 0) counted += 1
    return BigInt(value)
  })
  if (counted > 0) return target
  throw new DataError(
    weights === undefined
      ? `${array.where}: all labels are ${ignored ?? NaN}, which is ignored, so that there is no loss`
      : `${array.where}: no label counts: all are ignored, or of classes of weight 0, so that there is no loss`,
  )
}

function badLabel(
  array: ReadableArray,
  value: number | bigint,
  position: number,
  whole: boolean,
  { classes, ignored }: LabelRange,
): DataError {
  const allowed =
    classes === undefined || !whole
      ? 'whole numbers from 0'
      : `0 to ${classes - 1}: the network has ${classes} classes`
  const other = ignored === undefined || !whole ? '' : `; ${ignored} is ignored`
  return new DataError(
    `${array.where} holds label ${String(value)} at index ${showIndex(position, array.shape)}; labels are ${allowed}${other}`,
  )
}
