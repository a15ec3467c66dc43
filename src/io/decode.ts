import {
  BYTES_PER_ELEMENT,
  type DType,
  type Float8DType,
  type FloatArray,
  type TypedArray,
} from '../tensor.js'
import { widenBfloat16, widenFloat16 } from './float16.js'
import { widenFloat8 } from './float8.js'

/**
 * Little-endian bytes as elements of `dtype`; float16 and bfloat16 are widened to float32. The bytes are viewed in
 * place where their alignment allows, and copied where not. Bytes beyond the last whole element are left out.
 * Node.js runs on little-endian machines only, where a typed array's own order is the file's.
 */
export function decodeArray(bytes: Uint8Array<ArrayBuffer>, dtype: DType): TypedArray {
  switch (dtype) {
    case 'float64':
    case 'float32':
    case 'float16':
    case 'bfloat16':
      return decodeFloats(bytes, dtype)
    case 'int64':
      return new BigInt64Array(...aligned(bytes, 8))
    case 'uint64':
      return new BigUint64Array(...aligned(bytes, 8))
    case 'int32':
      return new Int32Array(...aligned(bytes, 4))
    case 'uint32':
      return new Uint32Array(...aligned(bytes, 4))
    case 'int16':
      return new Int16Array(...aligned(bytes, 2))
    case 'uint16':
      return new Uint16Array(...aligned(bytes, 2))
    case 'int8':
      return new Int8Array(...aligned(bytes, 1))
    case 'uint8':
    case 'bool':
      return new Uint8Array(...aligned(bytes, 1))
  }
}

export type FloatDType = 'float64' | 'float32' | 'float16' | 'bfloat16' | Float8DType

/** decodeArray for the float types: Float64Array for float64, Float32Array for all that is narrower. */
export function decodeFloats(bytes: Uint8Array<ArrayBuffer>, dtype: FloatDType): FloatArray {
  const view = aligned(bytes, BYTES_PER_ELEMENT[dtype])
  switch (dtype) {
    case 'float64':
      return new Float64Array(...view)
    case 'float32':
      return new Float32Array(...view)
    case 'float16':
      return widenFloat16(new Uint16Array(...view))
    case 'bfloat16':
      return widenBfloat16(new Uint16Array(...view))
    default:
      return widenFloat8(new Uint8Array(...view), dtype)
  }
}

/** Reverses the bytes of every element, in place. */
export function swapBytes(bytes: Uint8Array<ArrayBuffer>, itemSize: number): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (itemSize === 2) buffer.swap16()
  if (itemSize === 4) buffer.swap32()
  if (itemSize === 8) buffer.swap64()
}

function aligned(bytes: Uint8Array<ArrayBuffer>, itemSize: number): [ArrayBuffer, number, number] {
  const view = bytes.byteOffset % itemSize === 0 ? bytes : bytes.slice()
  return [view.buffer, view.byteOffset, Math.floor(view.byteLength / itemSize)]
}
