import { Decompress } from 'fzstd'

/** LZ4 makes at best 255 bytes of one. */
const LZ4_RATIO = 255
/** Zstandard may make far more of equal bytes; honest data stay below one of these. */
const ZSTD_RATIO = 1032
const SMALL_BYTES = 2 ** 26

const FRAME_MAGIC = 0x184d2204

/**
 * A buffer of a compressed record batch: its unpacked length, -1 where it is stored as it is, then its bytes (Arrow,
 * format/Message.fbs, BodyCompression).
 * @throws Error when it is corrupt, or claims more than its bytes can hold
 */
export function unpackBuffer(bytes: Uint8Array<ArrayBuffer>, codec: 'lz4' | 'zstd'): Uint8Array<ArrayBuffer> {
  if (bytes.length === 0) return bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = Number(view.getBigInt64(0, true))
  const packed = bytes.slice(8)
  if (length === -1) return packed
  const most = codec === 'lz4' ? packed.length * LZ4_RATIO : Math.max(SMALL_BYTES, packed.length * ZSTD_RATIO)
  if (length < 0 || length > most) throw new Error(`a buffer that claims ${length} bytes in ${packed.length}`)
  const output = new Uint8Array(length)
  const written = codec === 'lz4' ? unpackLz4(packed, output) : unpackZstd(packed, output)
  if (written !== length) throw new Error(`a buffer of ${written} bytes instead of ${length}`)
  return output
}

function unpackZstd(packed: Uint8Array, output: Uint8Array): number {
  let at = 0
  const stream = new Decompress((chunk) => {
    // What goes beyond the end throws here, before more is unpacked.
    output.set(chunk, at)
    at += chunk.length
  })
  stream.push(packed, true)
  return at
}

/** Unpacks LZ4 frames (lz4_Frame_format.md): a descriptor, then blocks until one of length 0. */
export function unpackLz4(packed: Uint8Array, output: Uint8Array): number {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength)
  if (view.getUint32(0, true) !== FRAME_MAGIC) throw new Error('no LZ4 frame')
  const flags = view.getUint8(4)
  const [blockChecksum, contentSize, contentChecksum, dictionary] = [16, 8, 4, 1].map(
    (bit) => (flags & bit) !== 0,
  )
  if (dictionary === true) throw new Error('an LZ4 frame with a dictionary')
  let at = 6 + (contentSize === true ? 8 : 0) + 1
  let written = 0
  for (;;) {
    const size = view.getUint32(at, true)
    at += 4
    if (size === 0) break
    const length = size % 2 ** 31
    const block = packed.subarray(at, at + length)
    if (block.length < length) throw new Error('an LZ4 block that ends early')
    if (size >= 2 ** 31) output.set(block, written)
    written = size >= 2 ** 31 ? written + length : unpackBlock(block, output, written)
    at += length + (blockChecksum === true ? 4 : 0)
  }
  if (at + (contentChecksum === true ? 4 : 0) > packed.length) throw new Error('an LZ4 frame that ends early')
  return written
}

/** One block (lz4_Block_format.md): literals and copies of what was written before, which may be of blocks before. */
function unpackBlock(block: Uint8Array, output: Uint8Array, start: number): number {
  let at = 0
  let written = start
  const extended = (length: number): number => {
    if (length !== 15) return length
    for (;;) {
      const byte = block[at++] ?? 0
      length += byte
      if (byte !== 255) return length
    }
  }
  while (at < block.length) {
    const token = block[at++]!
    const literals = extended(token >> 4)
    if (at + literals > block.length) throw new Error('LZ4 literals that end early')
    output.set(block.subarray(at, at + literals), written)
    at += literals
    written += literals
    if (at >= block.length) break
    const distance = block[at]! + (block[at + 1] ?? 0) * 256
    at += 2
    const length = extended(token & 15) + 4
    if (distance === 0 || distance > written || written + length > output.length)
      throw new Error('an LZ4 copy from or to outside')
    for (const end = written + length; written < end; written += 1)
      output[written] = output[written - distance]!
  }
  return written
}
