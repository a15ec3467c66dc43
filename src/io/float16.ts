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

/** Rounds numbers to float16 bit patterns, to the nearest and on a tie to the even one; too large ones are infinite. */
export function narrowFloat16(values: readonly number[]): Uint16Array {
  return Uint16Array.from(values, float16Bits)
}

function float16Bits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  const size = Math.abs(value)
  if (Number.isNaN(value)) return 0x7e00
  if (size >= 65520) return sign | 0x7c00
  // below 2^-14 numbers are multiples of 2^-24; a fraction that rounds up to 1024 carries into the exponent
  const exponent = Math.max(-14, Math.floor(Math.log2(size)))
  const units = roundToEven(size * 2 ** (10 - exponent))
  return sign | (size < 2 ** -14 ? units : ((exponent + 15) << 10) + units - 1024)
}

function roundToEven(value: number): number {
  const below = Math.floor(value)
  const rest = value - below
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below
}

/** Rounds numbers to bfloat16 bit patterns, to the nearest float32 and then to the nearest, on a tie the even one. */
export function narrowBfloat16(values: readonly number[]): Uint16Array {
  const wide = new Uint32Array(Float32Array.from(values).buffer)
  return Uint16Array.from(wide, (bits, i) =>
    Number.isNaN(values[i]) ? 0x7fc0 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16,
  )
}
