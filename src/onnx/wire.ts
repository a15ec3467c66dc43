import type { ErrorClass } from '../io/corrupt.js'
import type { RangedFile } from '../io/ranged-file.js'

/** A field of a protobuf message: its number, its value or where its bytes lie in the file, and all it takes there. */
export type WireField = {
  readonly number: number
  /** Where the field's key is, and where the next field's is. */
  readonly start: number
  readonly end: number
} & (
  | { readonly kind: 'varint'; readonly value: bigint }
  | { readonly kind: 'bytes'; readonly offset: number; readonly length: number }
  | { readonly kind: 'fixed' }
)

/** Bytes read at a time: many small fields lie together, and what is skipped is seldom smaller. */
const BLOCK = 64 * 1024

const LONGEST_VARINT = 10

/** The largest networks have some 100,000 nodes and weights; more fields would only take time. */
const MAX_FIELDS = 500_000

/**
 * Walks the fields of a protobuf message in a file without reading the bytes that fields hold
 * (https://protobuf.dev/programming-guides/encoding). The library decodes whole messages only, and a model's message is
 * mostly weights.
 */
export class WireReader {
  private block = new Uint8Array()
  private start = 0
  private fieldsRead = 0

  constructor(
    private readonly file: RangedFile,
    private readonly Fault: ErrorClass,
  ) {}

  /**
   * The fields in [offset, offset + length), in the file's order.
   * @throws Fault where they do not fit into that range, or are no protobuf
   */
  async *fields(offset: number, length: number): AsyncGenerator<WireField> {
    const end = offset + length
    let at = offset
    while (at < end) {
      if (++this.fieldsRead > MAX_FIELDS) throw this.corrupt(`more than ${MAX_FIELDS} fields`, at)
      const key = await this.varint(at, end)
      const [number, type] = [Number(key.value >> 3n), Number(key.value & 7n)]
      const start = at
      if (number === 0 || number >= 2 ** 29) throw this.corrupt(`field number ${number}`, at)
      at = key.end
      if (type === 0) {
        const { value, end: next } = await this.varint(at, end)
        at = next
        yield { number, kind: 'varint', value, start, end: at }
      } else if (type === 2) {
        const size = await this.varint(at, end)
        const bytes = Number(size.value)
        if (bytes > end - size.end)
          throw this.corrupt(`a field of ${bytes} bytes in a message that ends before`, at)
        at = size.end + bytes
        yield { number, kind: 'bytes', offset: size.end, length: bytes, start, end: at }
      } else if (type === 1 || type === 5) {
        at += type === 1 ? 8 : 4
        if (at > end) throw this.corrupt('a number that its message ends before', at)
        yield { number, kind: 'fixed', start, end: at }
      } else throw this.corrupt(`wire type ${type}`, at)
    }
  }

  /** The bytes of a field that is known to be small. */
  async bytes(offset: number, length: number): Promise<Uint8Array> {
    if (offset < this.start || offset + length > this.start + this.block.length)
      await this.load(offset, length)
    return this.block.subarray(offset - this.start, offset - this.start + length)
  }

  private async varint(at: number, end: number): Promise<{ value: bigint; end: number }> {
    const bytes = await this.bytes(at, Math.min(LONGEST_VARINT, end - at))
    let value = 0n
    for (const [i, byte] of bytes.entries()) {
      value |= BigInt(byte & 0x7f) << BigInt(7 * i)
      if (byte < 0x80) return { value, end: at + i + 1 }
    }
    throw this.corrupt('a number that does not end', at)
  }

  private async load(offset: number, length: number): Promise<void> {
    const wanted = Math.max(length, Math.min(BLOCK, this.file.size - offset))
    this.block = await this.file.read(offset, wanted)
    this.start = offset
  }

  private corrupt(what: string, at: number): Error {
    return new this.Fault(`${this.file.path}: corrupt protobuf: ${what} (at byte ${at})`)
  }
}
