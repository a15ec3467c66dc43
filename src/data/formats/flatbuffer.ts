/**
 * A table of a FlatBuffer (https://flatbuffers.dev/internals): fields by their number in the schema. Every read is
 * checked against the buffer, and vectors against what is left of it, since metadata of a corrupt file can say anything.
 * @throws RangeError where an offset leads out of the buffer
 */
export class FlatTable {
  private constructor(
    private readonly view: DataView,
    private readonly at: number,
  ) {}

  /** The table at the buffer's root. */
  static root(bytes: Uint8Array): FlatTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return new FlatTable(view, view.getUint32(0, true))
  }

  int8(field: number, otherwise = 0): number {
    const at = this.place(field)
    return at === undefined ? otherwise : this.view.getInt8(at)
  }

  int16(field: number, otherwise = 0): number {
    const at = this.place(field)
    return at === undefined ? otherwise : this.view.getInt16(at, true)
  }

  int32(field: number, otherwise = 0): number {
    const at = this.place(field)
    return at === undefined ? otherwise : this.view.getInt32(at, true)
  }

  /** A 64-bit number that counts something. Throws RangeError where it is negative or beyond 2^53. */
  count(field: number): number {
    const at = this.place(field)
    return at === undefined ? 0 : this.countAt(at)
  }

  /** A 64-bit number that identifies something. */
  id(field: number): bigint {
    const at = this.place(field)
    return at === undefined ? 0n : this.view.getBigInt64(at, true)
  }

  text(field: number): string {
    const at = this.place(field)
    if (at === undefined) return ''
    const { start, length } = this.vector(at, 1)
    return new TextDecoder().decode(new Uint8Array(this.view.buffer, this.view.byteOffset + start, length))
  }

  table(field: number): FlatTable | undefined {
    const at = this.place(field)
    return at === undefined ? undefined : this.tableAt(at)
  }

  tables(field: number): FlatTable[] {
    const at = this.place(field)
    if (at === undefined) return []
    const { start, length } = this.vector(at, 4)
    return Array.from({ length }, (_, i) => this.tableAt(start + 4 * i))
  }

  /** A vector of structures of `width` 64-bit counts each, one after the other. */
  counts(field: number, width: number): number[][] {
    const at = this.place(field)
    if (at === undefined) return []
    const { start, length } = this.vector(at, 8 * width)
    return Array.from({ length }, (_, i) =>
      Array.from({ length: width }, (__, part) => this.countAt(start + 8 * (i * width + part))),
    )
  }

  /** Where a field is kept; undefined where it has its default. */
  private place(field: number): number | undefined {
    const vtable = this.at - this.view.getInt32(this.at, true)
    const slot = 4 + 2 * field
    if (slot + 2 > this.view.getUint16(vtable, true)) return undefined
    const offset = this.view.getUint16(vtable + slot, true)
    return offset === 0 ? undefined : this.at + offset
  }

  private tableAt(at: number): FlatTable {
    return new FlatTable(this.view, at + this.view.getUint32(at, true))
  }

  private vector(at: number, itemSize: number): { start: number; length: number } {
    const start = at + this.view.getUint32(at, true)
    const length = this.view.getUint32(start, true)
    if (start + 4 + length * itemSize > this.view.byteLength)
      throw new RangeError('a list longer than its buffer')
    return { start: start + 4, length }
  }

  private countAt(at: number): number {
    const value = Number(this.view.getBigInt64(at, true))
    if (value < 0 || !Number.isSafeInteger(value)) throw new RangeError(`a count of ${value}`)
    return value
  }
}
