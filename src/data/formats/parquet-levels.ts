/**
 * Numbers in Parquet's hybrid of run lengths and packed bits (parquet-format, Encodings.md, RLE = 3): levels and
 * positions in a dictionary. Runs longer than what is left to read are cut, so that no run can fill memory.
 * @throws Error when the bytes end before `count` numbers
 */
export function readHybrid(bytes: Uint8Array, bitWidth: number, count: number): Uint32Array {
  if (bitWidth > 32) throw new Error(`levels of ${bitWidth} bits`)
  const output = new Uint32Array(count)
  if (bitWidth === 0) return output
  const reader = { bytes, at: 0 }
  for (let seen = 0; seen < count;) {
    const header = readVarint(reader)
    const run = Math.floor(header / 2)
    seen +=
      header % 2 === 1
        ? packed(reader, bitWidth, run * 8, output, seen)
        : repeated(reader, bitWidth, run, output, seen)
    if (run === 0) throw new Error('an empty run')
  }
  return output
}

/** Bytes, and how many of them have been read. */
interface Reader {
  readonly bytes: Uint8Array
  at: number
}

/** An unsigned number of up to 5 bytes in base 128, the lowest digits first (LEB128). */
export function readVarint(reader: Reader): number {
  let value = 0
  for (let shift = 0; shift < 5; shift += 1) {
    const byte = nextByte(reader)
    value += (byte & 0x7f) * 2 ** (7 * shift)
    if (byte < 0x80) return value
  }
  throw new Error('a length of more than 5 bytes')
}

function nextByte(reader: Reader): number {
  const byte = reader.bytes[reader.at]
  if (byte === undefined) throw new Error('its bytes end early')
  reader.at += 1
  return byte
}

function repeated(reader: Reader, bitWidth: number, run: number, output: Uint32Array, seen: number): number {
  let value = 0
  for (let i = 0; i < Math.ceil(bitWidth / 8); i += 1) value += nextByte(reader) * 2 ** (8 * i)
  const length = Math.min(run, output.length - seen)
  output.fill(value, seen, seen + length)
  return length
}

function packed(reader: Reader, bitWidth: number, run: number, output: Uint32Array, seen: number): number {
  const length = Math.min(run, output.length - seen)
  const end = reader.at + (run / 8) * bitWidth
  const mask = 2 ** bitWidth
  let held = 0
  let bits = 0
  for (let i = 0; i < length; i += 1) {
    while (bits < bitWidth) {
      held += nextByte(reader) * 2 ** bits
      bits += 8
    }
    output[seen + i] = held % mask
    held = Math.floor(held / mask)
    bits -= bitWidth
  }
  reader.at = end
  return length
}
