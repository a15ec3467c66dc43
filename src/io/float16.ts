/** One value of IEEE 754 binary16: 1 sign bit, 5 exponent bits (bias 15), 10 fraction bits. */
function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

let table: Float32Array | undefined

/** All 65,536 values, made on first use: looking up is several times faster than computing each element. */
function float16Table(): Float32Array {
  table ??= Float32Array.from({ length: 65536 }, (_, bits) => float16Value(bits))
  return table
}

/** Widens float16 bit patterns to float32, exactly. */
export function widenFloat16(bits: Uint16Array): Float32Array {
  const values = float16Table()
  const wide = new Float32Array(bits.length)
  for (let i = 0; i < bits.length; i++) wide[i] = values[bits[i]!]!
  return wide
}

/** Widens bfloat16 bit patterns to float32, exactly: a bfloat16 is the upper half of a float32. */
export function widenBfloat16(bits: Uint16Array): Float32Array {
  const wide = new Uint32Array(bits.length)
  for (let i = 0; i < bits.length; i++) wide[i] = bits[i]! << 16
  return new Float32Array(wide.buffer)
}
