import type { ErrorClass } from './corrupt.js'

/** Takes bytes off a stream of chunks: an exact number for a header, then whole elements for the rest. */
export class ByteReader {
  private readonly chunks: AsyncIterator<Uint8Array>
  private rest = new Uint8Array()

  constructor(
    chunks: AsyncIterable<Uint8Array>,
    private readonly where: string,
    private readonly Fault: ErrorClass,
  ) {
    this.chunks = chunks[Symbol.asyncIterator]()
  }

  /** @throws Fault when the stream ends before */
  async take(length: number): Promise<Uint8Array<ArrayBuffer>> {
    while (this.rest.length < length) {
      const next = await this.chunks.next()
      if (next.done === true) throw new this.Fault(`${this.where}: truncated: ends before its header does`)
      this.rest = join(this.rest, next.value)
    }
    const taken = this.rest.slice(0, length)
    this.rest = this.rest.subarray(length)
    return taken
  }

  /** All that is left, in blocks of whole elements that the receiver may change; a piece of an element at the end is left out. */
  async *blocks(itemSize: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for (;;) {
      const whole = this.rest.length - (this.rest.length % itemSize)
      if (whole > 0) yield this.rest.slice(0, whole)
      this.rest = this.rest.subarray(whole)
      const next = await this.chunks.next()
      if (next.done === true) return
      this.rest = join(this.rest, next.value)
    }
  }

  /** Stops the stream early, which closes its file. */
  async close(): Promise<void> {
    await this.chunks.return?.()
  }
}

function join(head: Uint8Array<ArrayBuffer>, tail: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(head.length + tail.length)
  joined.set(head)
  joined.set(tail, head.length)
  return joined
}
