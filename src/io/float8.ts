import type { Float8DType } from '../tensor.js'

/** A layout of 8-bit floats: a sign bit unless `unsigned`, then exponent bits, then fraction bits. */
interface Layout {
  readonly exponentBits: number
  readonly bias: number
  /** What the patterns at the top of the range mean. */
  readonly specials: 'ieee' | 'nan-only' | 'unsigned-zero' | 'exponent-only'
}

/**
 * Sources: e4m3fn and e5m2 from "FP8 Formats for Deep Learning" (arXiv 2209.05433), the `fnuz` forms from
 * arXiv 2206.02915 (no infinity, no negative zero: its pattern is NaN), e8m0 from the OCP Microscaling Formats 1.0
 * (a power of two, no sign, 0xff is NaN).
 */
const LAYOUTS: Readonly<Record<Float8DType, Layout>> = {
  float8_e4m3fn: { exponentBits: 4, bias: 7, specials: 'nan-only' },
  float8_e5m2: { exponentBits: 5, bias: 15, specials: 'ieee' },
  float8_e4m3fnuz: { exponentBits: 4, bias: 8, specials: 'unsigned-zero' },
  float8_e5m2fnuz: { exponentBits: 5, bias: 16, specials: 'unsigned-zero' },
  float8_e8m0fnu: { exponentBits: 8, bias: 127, specials: 'exponent-only' },
}

const tables = new Map<Float8DType, Float32Array>()

/** Widens 8-bit float patterns to float32, exactly. */
export function widenFloat8(bits: Uint8Array, dtype: Float8DType): Float32Array {
  const values = tableOf(dtype)
  return Float32Array.from(bits, (pattern) => values[pattern]!)
}

function tableOf(dtype: Float8DType): Float32Array {
  const known = tables.get(dtype)
  if (known !== undefined) return known
  const table = Float32Array.from({ length: 256 }, (_, bits) => valueOf(bits, LAYOUTS[dtype]))
  tables.set(dtype, table)
  return table
}

function valueOf(bits: number, { exponentBits, bias, specials }: Layout): number {
  if (specials === 'exponent-only') return bits === 0xff ? NaN : 2 ** (bits - bias)
  const fractionBits = 7 - exponentBits
  const exponent = (bits >> fractionBits) & (2 ** exponentBits - 1)
  const fraction = bits & (2 ** fractionBits - 1)
  const sign = bits & 0x80 ? -1 : 1
  if (specials === 'unsigned-zero' && bits === 0x80) return NaN
  if (specials === 'nan-only' && (bits & 0x7f) === 0x7f) return NaN
  if (specials === 'ieee' && exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias - fractionBits)
  return sign * (1 + fraction / 2 ** fractionBits) * 2 ** (exponent - bias)
}
