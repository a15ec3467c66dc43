/** Structures of Parquet's metadata nest some ten deep. */
const MAX_DEPTH = 32

/** The longest number: 64 bits in groups of seven. */
const MAX_VARINT_BYTES = 10

const TYPE = {
  stop: 0,
  yes: 1,
  no: 2,
  byte: 3,
  i16: 4,
  i64: 6,
  double: 7,
  binary: 8,
  list: 9,
  struct: 12,
} as const

/**
 * Walks one structure of Thrift's compact protocol (Apache Thrift, thrift-compact-protocol.md) without keeping
 * anything, and says where it ends. What passes can be parsed in bounded time: no endless numbers, no lists longer
 * than their bytes, no deep nesting.
 * @returns the offset after the structure, or undefined when `bytes` end before it
 * @throws Error when it is none
 */
export function endOfThrift(bytes: Uint8Array, offset: number): number | undefined {
  const walk = new Walk(bytes, offset)
  try {
    walk.struct(0)
    return walk.at
  } catch (error) {
    if (error instanceof Ended) return undefined
    throw error
  }
}

class Ended extends Error {}

class Walk {
  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
  ) {}

  struct(depth: number): void {
    if (depth > MAX_DEPTH) throw new Error(`structures nested deeper than ${MAX_DEPTH}`)
    for (;;) {
      const head = this.byte()
      const type = head & 0x0f
      if (type === TYPE.stop) return
      if (head >> 4 === 0) this.number()
      this.element(type, depth)
    }
  }

  private element(type: number, depth: number): void {
    if (type === TYPE.yes || type === TYPE.no) return
    if (type === TYPE.byte) this.skip(1)
    else if (type >= TYPE.i16 && type <= TYPE.i64) this.number()
    else if (type === TYPE.double) this.skip(8)
    else if (type === TYPE.binary) this.skip(this.number())
    else if (type === TYPE.list) this.list(depth)
    else if (type === TYPE.struct) this.struct(depth + 1)
    else throw new Error(`an element of type ${type}`)
  }

  private list(depth: number): void {
    const head = this.byte()
    const type = head & 0x0f
    const size = head >> 4 === 15 ? this.number() : head >> 4
    // Every element takes a byte at least.
    if (size > this.bytes.length - this.at) throw new Ended()
    for (let i = 0; i < size; i += 1) this.element(type <= TYPE.no ? TYPE.byte : type, depth)
  }

  private byte(): number {
    const byte = this.bytes[this.at]
    if (byte === undefined) throw new Ended()
    this.at += 1
    return byte
  }

  private skip(length: number): void {
    if (length > this.bytes.length - this.at) throw new Ended()
    this.at += length
  }

  private number(): number {
    let value = 0
    for (let i = 0; i < MAX_VARINT_BYTES; i += 1) {
      const byte = this.byte()
      value += (byte & 0x7f) * 2 ** (7 * i)
      if (byte < 0x80) return value
    }
    throw new Error(`a number of more than ${MAX_VARINT_BYTES} bytes`)
  }
}
