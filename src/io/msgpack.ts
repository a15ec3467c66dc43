import { isUtf8 } from 'node:buffer'

import type { ErrorClass } from './corrupt.js'
import type { RangedFile } from './ranged-file.js'

/** A value of a MessagePack file: numbers, texts and containers as they are, the bytes of large things by their place. */
export type MsgpackValue =
  | { readonly kind: 'map'; readonly entries: ReadonlyMap<string, MsgpackValue> }
  | { readonly kind: 'list'; readonly items: readonly MsgpackValue[] }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'text'; readonly value: string }
  /** [begin, end) in the file. */
  | { readonly kind: 'bytes'; readonly begin: number; readonly end: number }
  | { readonly kind: 'extension'; readonly type: number; readonly begin: number; readonly end: number }
  | { readonly kind: 'none' }

/** Bytes that are read at a time: what stands between two arrays is shorter. */
const WINDOW = 4096

/** Modules nest some ten levels deep. */
const MAX_DEPTH = 64

/** An array is some eight values, and a state has a few thousand arrays; a hostile file has a value in every byte. */
const MAX_VALUES = 250_000

/** Names are shorter; longer texts are passed over. */
const MAX_TEXT_BYTES = 4096

/**
 * Reads what a MessagePack file holds without its large values (https://github.com/msgpack/msgpack/blob/master/spec.md).
 * Every value begins with its length, so that arrays are stepped over; @msgpack/msgpack takes the whole file into
 * memory, and tells no places.
 */
export class MsgpackReader {
  private window: Buffer = Buffer.alloc(0)
  private windowStart = 0
  private at = 0
  private end = 0
  private values = 0

  constructor(
    private readonly file: RangedFile,
    private readonly Fault: ErrorClass,
  ) {}

  /**
   * The one value that the bytes [begin, end) are.
   * @throws Fault when they are more or fewer, or no MessagePack
   */
  async valueIn(begin: number, end: number): Promise<MsgpackValue> {
    this.at = begin
    this.end = end
    const value = await this.value(0)
    if (this.at !== end) throw this.corrupt(`${end - this.at} bytes after its value`)
    return value
  }

  private async value(depth: number): Promise<MsgpackValue> {
    if (++this.values > MAX_VALUES) throw this.corrupt(`more than ${MAX_VALUES} values`)
    if (depth > MAX_DEPTH) throw this.corrupt(`values nest more than ${MAX_DEPTH} deep`)
    const code = (await this.take(1))[0]!
    if (code < 0x80) return { kind: 'number', value: code }
    if (code < 0x90) return this.map(code & 0x0f, depth)
    if (code < 0xa0) return this.list(code & 0x0f, depth)
    if (code < 0xc0) return this.text(code & 0x1f)
    if (code >= 0xe0) return { kind: 'number', value: code - 256 }
    return this.tagged(code, depth)
  }

  /** The kinds whose first byte is 0xc0 to 0xdf; where the length has several widths, each is twice the one before. */
  private async tagged(code: number, depth: number): Promise<MsgpackValue> {
    if (code === 0xc1) throw this.corrupt('a byte that begins no value')
    if (code <= 0xc3) return { kind: 'none' } // nil, false, true
    if (code <= 0xc6) return this.skip(await this.unsigned(2 ** (code - 0xc4)))
    if (code <= 0xc9) return this.extension(await this.unsigned(2 ** (code - 0xc7)))
    if (code === 0xca) return { kind: 'number', value: (await this.take(4)).readFloatBE() }
    if (code === 0xcb) return { kind: 'number', value: (await this.take(8)).readDoubleBE() }
    if (code <= 0xcf) return { kind: 'number', value: await this.unsigned(2 ** (code - 0xcc)) }
    if (code <= 0xd3) return { kind: 'number', value: await this.signed(2 ** (code - 0xd0)) }
    if (code <= 0xd8) return this.extension(2 ** (code - 0xd4))
    if (code <= 0xdb) return this.text(await this.unsigned(2 ** (code - 0xd9)))
    if (code <= 0xdd) return this.list(await this.unsigned(2 ** (code - 0xdb)), depth)
    return this.map(await this.unsigned(2 ** (code - 0xdd)), depth)
  }

  private async map(count: number, depth: number): Promise<MsgpackValue> {
    const entries = new Map<string, MsgpackValue>()
    for (let i = 0; i < count; i++) {
      const key = await this.value(depth + 1)
      if (key.kind !== 'text' && key.kind !== 'number')
        throw this.corrupt('a key that is neither text nor number')
      const name = String(key.value)
      if (entries.has(name)) throw this.corrupt(`two values under the key ${JSON.stringify(name)}`)
      entries.set(name, await this.value(depth + 1))
    }
    return { kind: 'map', entries }
  }

  private async list(count: number, depth: number): Promise<MsgpackValue> {
    const items: MsgpackValue[] = []
    for (let i = 0; i < count; i++) items.push(await this.value(depth + 1))
    return { kind: 'list', items }
  }

  private async text(length: number): Promise<MsgpackValue> {
    if (length > MAX_TEXT_BYTES) {
      this.skip(length)
      return { kind: 'none' }
    }
    const bytes = await this.take(length)
    if (!isUtf8(bytes)) throw this.corrupt('a text that is no UTF-8')
    return { kind: 'text', value: bytes.toString('utf8') }
  }

  private async extension(length: number): Promise<MsgpackValue> {
    const type = (await this.take(1)).readInt8()
    return { ...this.skip(length), kind: 'extension', type }
  }

  private skip(length: number): Extract<MsgpackValue, { kind: 'bytes' }> {
    const begin = this.at
    this.advance(length)
    return { kind: 'bytes', begin, end: this.at }
  }

  private async unsigned(bytes: number): Promise<number> {
    const taken = await this.take(bytes)
    return bytes === 8 ? Number(taken.readBigUInt64BE()) : taken.readUIntBE(0, bytes)
  }

  private async signed(bytes: number): Promise<number> {
    const taken = await this.take(bytes)
    return bytes === 8 ? Number(taken.readBigInt64BE()) : taken.readIntBE(0, bytes)
  }

  private async take(length: number): Promise<Buffer> {
    const begin = this.at
    this.advance(length)
    const inWindow = begin - this.windowStart
    if (inWindow < 0 || inWindow + length > this.window.length) {
      const wanted = Math.min(Math.max(length, WINDOW), this.file.size - begin)
      this.window = Buffer.from((await this.file.read(begin, wanted)).buffer)
      this.windowStart = begin
    }
    const start = begin - this.windowStart
    return this.window.subarray(start, start + length)
  }

  private advance(length: number): void {
    if (length > this.end - this.at) {
      throw new this.Fault(
        `${this.file.path}: truncated or corrupt: ${length} bytes are needed at ${this.at}, but there are ${this.end - this.at}`,
      )
    }
    this.at += length
  }

  private corrupt(what: string): Error {
    return new this.Fault(`${this.file.path}: corrupt MessagePack before byte ${this.at}: ${what}`)
  }
}
