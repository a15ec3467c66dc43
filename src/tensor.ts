/** Element types as retrograd names them, whatever a file format calls them. */
export const DTYPES = [
  'float64',
  'float32',
  'float16',
  'bfloat16',
  'int64',
  'int32',
  'int16',
  'int8',
  'uint64',
  'uint32',
  'uint16',
  'uint8',
  'bool',
] as const
export type DType = (typeof DTYPES)[number]

/** Eight-bit floats: checkpoints store them, networks don't compute with them here. Names as in ml_dtypes and PyTorch. */
export const FLOAT8_DTYPES = [
  'float8_e4m3fn',
  'float8_e5m2',
  'float8_e4m3fnuz',
  'float8_e5m2fnuz',
  'float8_e8m0fnu',
] as const
export type Float8DType = (typeof FLOAT8_DTYPES)[number]

/** Element types that a checkpoint may hold. */
export type StoredDType = DType | Float8DType

export type TypedArray =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint32Array
  | Uint16Array
  | Uint8Array

/** Real numbers as kept in memory: float64 where the file holds float64, float32 for all that is narrower. */
export type FloatArray = Float32Array | Float64Array

/**
 * An array in row-major order. `dtype` is the type that the numbers were stored in; `data` is wide enough to hold
 * them exactly (float16, bfloat16 and 8-bit floats are widened to a Float32Array, bool is a Uint8Array of 0 and 1).
 */
export interface Tensor<D extends TypedArray = TypedArray> {
  readonly dtype: StoredDType
  readonly shape: readonly number[]
  readonly data: D
}

/** Bytes of one element as stored. */
export const BYTES_PER_ELEMENT: Readonly<Record<StoredDType, number>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint64: 8,
  uint32: 4,
  uint16: 2,
  uint8: 1,
  bool: 1,
  float8_e4m3fn: 1,
  float8_e5m2: 1,
  float8_e4m3fnuz: 1,
  float8_e5m2fnuz: 1,
  float8_e8m0fnu: 1,
}

const FLOATS: ReadonlySet<StoredDType> = new Set<StoredDType>([
  'float64',
  'float32',
  'float16',
  'bfloat16',
  ...FLOAT8_DTYPES,
])

export function isFloat(dtype: StoredDType): boolean {
  return FLOATS.has(dtype)
}

/** Number of elements of a shape; 1 for a scalar's empty shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis])
}

/** A shape as people write it: `100 x 784`, or `scalar`. */
export function formatShape(shape: readonly (number | string)[]): string {
  return shape.length === 0 ? 'scalar' : shape.join(' x ')
}

/** Adds values to a running sum, element by element, in float64. */
export function addTo(sum: Float64Array, values: FloatArray): void {
  for (let i = 0; i < sum.length; i += 1) sum[i]! += values[i]!
}

/** The exponent's bits of a float32, which are all set for what is not finite. */
const EXPONENT = 0x7f800000

/** The first of the positions `from` to `to` (exclusive) that holds NaN or infinity; -1 where none does. */
export function firstNotFinite(values: FloatArray, from = 0, to = values.length): number {
  if (values instanceof Float64Array) {
    for (let i = from; i < to; i += 1) if (!Number.isFinite(values[i]!)) return i
    return -1
  }
  // integers are compared in a third of the time
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length)
  for (let i = from; i < to; i += 1) if ((bits[i]! & EXPONENT) === EXPONENT) return i
  return -1
}
