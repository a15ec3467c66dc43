import { CheckpointError } from '../../errors.js'

/** The longest honest whole number: a random generator's state has some dozens of bytes. */
const MAX_INTEGER_BYTES = 256

/**
 * Memory that the values of a pickle may take: PyTorch writes some 100 bytes for a tensor, whose values take twenty times
 * as many; a pickle of nothing but empty dictionaries would take two hundred times its size. The most is that of some
 * 100,000 tensors.
 */
const MEMORY = { atLeast: 2 ** 24, perByte: 32, atMost: 224 * 2 ** 20 } as const

/** Bytes of memory that a value takes, about: a slot on the stack, which grows by copying, and what hangs on it. */
export const COST = { slot: 24, number: 16, list: 64, map: 200, memo: 64 } as const

/** A pickle that goes on where the bytes at hand end: the caller may have more. */
export class PickleEnds extends CheckpointError {}

/** The bytes of a pickle, taken from its start to its end, and the memory that what they hold may take. */
export class PickleBytes {
  private readonly view: DataView
  private at: number
  private memory: number

  constructor(
    private readonly bytes: Uint8Array,
    protected readonly path: string,
    from: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = from
    this.memory = Math.min(MEMORY.atMost, MEMORY.atLeast + MEMORY.perByte * bytes.length)
  }

  /** The position after what has been read. */
  get end(): number {
    return this.at
  }

  corrupt(what: string): CheckpointError {
    return new CheckpointError(`${this.path}: corrupt pickle: ${what} (at byte ${this.at})`)
  }

  charge(bytes: number): void {
    this.memory -= bytes
    if (this.memory < 0) throw this.corrupt('it holds more than its bytes can honestly say')
  }

  take(length: number): Uint8Array {
    const from = this.advance(length)
    return this.bytes.subarray(from, from + length)
  }

  skip(length: number): this {
    this.advance(length)
    return this
  }

  /** An unsigned whole number of 1, 2, 4 or 8 bytes. */
  count(size: 1 | 2 | 4 | 8): number {
    const from = this.advance(size)
    if (size === 1) return this.view.getUint8(from)
    if (size === 2) return this.view.getUint16(from, true)
    if (size === 4) return this.view.getUint32(from, true)
    return Number(this.view.getBigUint64(from, true))
  }

  int32(): number {
    return this.view.getInt32(this.advance(4), true)
  }

  /** A float is the one thing that a pickle stores big-endian. */
  float64(): number {
    this.charge(COST.number)
    return this.view.getFloat64(this.advance(8), false)
  }

  /** A whole number in two's complement, little-endian. */
  long(length: number): number | bigint {
    if (length > MAX_INTEGER_BYTES) throw this.corrupt(`a whole number of ${length} bytes`)
    this.charge(COST.number + length)
    const magnitude = this.take(length).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n)
    const value = BigInt.asIntN(8 * length, magnitude)
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  }

  text(length: number): string {
    const bytes = this.take(length)
    this.charge(COST.number + length)
    return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('utf8')
  }

  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at)
    if (end === -1) throw new PickleEnds(`${this.path}: corrupt pickle: a line that does not end`)
    const line = this.text(end - this.at)
    this.at++
    return line
  }

  /** Moves on, and gives the position before. */
  private advance(length: number): number {
    if (length > this.bytes.length - this.at)
      throw new PickleEnds(`${this.path}: corrupt pickle: it ends before its STOP (at byte ${this.at})`)
    this.at += length
    return this.at - length
  }
}
