/** The polynomial of Castagnoli, bits reversed. Node.js has the CRC of zip files only, whose polynomial is another. */
const POLYNOMIAL = 0x82f63b78

/** Tables for eight bytes at a time: tables[k][b] is byte b's contribution k bytes before the end of a group. */
const TABLES: readonly Uint32Array[] = makeTables()

function makeTables(): Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    return crc
  })
  const tables = [first]
  for (let k = 1; k < 8; k++) {
    const before = tables[k - 1]!
    tables.push(before.map((crc) => (crc >>> 8) ^ first[crc & 0xff]!))
  }
  return tables
}

/**
 * CRC-32C (RFC 3720, appendix B.4) as an unsigned number.
 * @param crc the checksum of what came before, to go on from
 */
export function crc32c(bytes: Uint8Array, crc = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES as [
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ]
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const groups = bytes.length - (bytes.length % 8)
  let state = ~crc
  for (let at = 0; at < groups; at += 8) {
    const low = state ^ view.getInt32(at, true)
    const high = view.getInt32(at + 4, true)
    state =
      t7[low & 0xff]! ^
      t6[(low >>> 8) & 0xff]! ^
      t5[(low >>> 16) & 0xff]! ^
      t4[low >>> 24]! ^
      t3[high & 0xff]! ^
      t2[(high >>> 8) & 0xff]! ^
      t1[(high >>> 16) & 0xff]! ^
      t0[high >>> 24]!
  }
  for (let at = groups; at < bytes.length; at++) state = (state >>> 8) ^ t0[(state ^ bytes[at]!) & 0xff]!
  return ~state >>> 0
}

/** A checksum as LevelDB and TensorFlow store it: turned and shifted, so that a CRC over bytes with CRCs stays of use. */
export function maskedCrc32c(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}
