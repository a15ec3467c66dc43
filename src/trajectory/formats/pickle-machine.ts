import { CheckpointError, CheckpointFormatError } from '../../errors.js'
import { ALLOWED_GLOBALS, storageOf } from './pickle-globals.js'
import {
  PickleGlobal,
  PickleTuple,
  TorchTensor,
  type PickleContext,
  type PickleValue,
} from './pickle-values.js'

/** The longest honest whole number: a random generator's state has some dozens of bytes. */
const MAX_INTEGER_BYTES = 256

/** The newest protocol of pickle. */
const MAX_PROTOCOL = 5

/**
 * The state of a pickle being read: its bytes, Python's stack, marks and memo. It never calls anything of Python: a
 * global is looked up in a list of allowed names, and what is not in it ends the reading.
 */
export class PickleMachine implements PickleContext {
  private readonly view: DataView
  private at = 0
  private stack: PickleValue[] = []
  private readonly marked: PickleValue[][] = []
  private readonly memo = new Map<number, PickleValue>()
  /** Containers copied by constructors may hold as many items as the pickle has bytes, all together. */
  private budget: number

  constructor(
    private readonly bytes: Uint8Array,
    private readonly path: string,
    private readonly remedy: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.budget = bytes.length
  }

  corrupt(what: string): CheckpointError {
    return new CheckpointError(`${this.path}: corrupt pickle: ${what} (at byte ${this.at})`)
  }

  refused(name: string): CheckpointFormatError {
    return new CheckpointFormatError(
      `${this.path}: refused: its pickle needs ${name}, which is no tensor or plain container, and code from a file ` +
        `is never run; ${this.remedy}`,
    )
  }

  spend(items: number): void {
    this.budget -= items
    if (this.budget < 0) throw this.corrupt('its containers copy each other beyond measure')
  }

  take(length: number): Uint8Array {
    if (length > this.bytes.length - this.at) throw this.corrupt('it ends before its STOP')
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }

  skip(length: number): this {
    this.take(length)
    return this
  }

  checkProtocol(protocol: number): this {
    if (protocol > MAX_PROTOCOL) throw this.corrupt(`protocol ${protocol}, newer than ${MAX_PROTOCOL}`)
    return this
  }

  /** An unsigned whole number of 1, 2, 4 or 8 bytes. */
  count(size: 1 | 2 | 4 | 8): number {
    this.take(size)
    const from = this.at - size
    if (size === 1) return this.view.getUint8(from)
    if (size === 2) return this.view.getUint16(from, true)
    if (size === 4) return this.view.getUint32(from, true)
    return Number(this.view.getBigUint64(from, true))
  }

  int32(): number {
    this.take(4)
    return this.view.getInt32(this.at - 4, true)
  }

  /** A float is the one thing that a pickle stores big-endian. */
  float64(): number {
    this.take(8)
    return this.view.getFloat64(this.at - 8, false)
  }

  /** A whole number in two's complement, little-endian. */
  long(length: number): number | bigint {
    if (length > MAX_INTEGER_BYTES) throw this.corrupt(`a whole number of ${length} bytes`)
    const bytes = this.take(length)
    const magnitude = bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n)
    const value = BigInt.asIntN(8 * length, magnitude)
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  }

  text(length: number): string {
    return Buffer.from(this.take(length)).toString('utf8')
  }

  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at)
    if (end === -1) throw this.corrupt('a line that does not end')
    const line = this.text(end - this.at)
    this.at++
    return line
  }

  push(value: PickleValue): this {
    this.stack.push(value)
    return this
  }

  pop(): PickleValue {
    const value = this.stack.pop()
    if (value === undefined) throw this.corrupt('an operation without its operands')
    return value
  }

  drop(): this {
    this.pop()
    return this
  }

  top(): PickleValue {
    const value = this.stack.at(-1)
    if (value === undefined) throw this.corrupt('an operation without its operands')
    return value
  }

  mark(): this {
    this.marked.push(this.stack)
    this.stack = []
    return this
  }

  /** The values pushed since the last mark. */
  popMark(): PickleValue[] {
    const items = this.stack
    const below = this.marked.pop()
    if (below === undefined) throw this.corrupt('an operation without its mark')
    this.stack = below
    return items
  }

  dropToMark(): this {
    this.popMark()
    return this
  }

  popTuple(length: number): PickleTuple {
    const items = Array.from({ length }, () => this.pop()).reverse()
    return new PickleTuple(items)
  }

  remember(index: number): this {
    this.memo.set(index, this.top())
    return this
  }

  memoize(): this {
    return this.remember(this.memo.size)
  }

  recall(index: number): this {
    const value = this.memo.get(index)
    if (value === undefined) throw this.corrupt(`a value that was not stored before (${index})`)
    return this.push(value)
  }

  appendTo(items: readonly PickleValue[]): this {
    const list = this.top()
    if (!Array.isArray(list)) throw this.corrupt('items for what is no list')
    for (const item of items) list.push(item)
    return this
  }

  addTo(items: readonly PickleValue[]): this {
    const set = this.top()
    if (!(set instanceof Set)) throw this.corrupt('items for what is no set')
    for (const item of items) set.add(item)
    return this
  }

  pushDict(items: readonly PickleValue[]): this {
    return this.push(new Map()).setItems(items)
  }

  setItems(items: readonly PickleValue[]): this {
    const dict = this.top()
    if (!(dict instanceof Map) || items.length % 2 !== 0)
      throw this.corrupt('items for what is no dictionary')
    for (let i = 0; i < items.length; i += 2) dict.set(items[i]!, items[i + 1]!)
    return this
  }

  global(module: string, name: string): this {
    const global = ALLOWED_GLOBALS.get(`${module}.${name}`)
    if (global === undefined) throw this.refused(`${module}.${name}`)
    return this.push(global)
  }

  stackGlobal(): this {
    const [module, name] = this.popTuple(2).items
    if (typeof module !== 'string' || typeof name !== 'string') throw this.corrupt('a name that is no text')
    return this.global(module, name)
  }

  /** Makes a value by an allowed constructor; a global without one is a plain type that nothing is made of. */
  construct(): this {
    const args = this.pop()
    const callable = this.pop()
    if (!(callable instanceof PickleGlobal) || !(args instanceof PickleTuple)) {
      throw this.corrupt('a call of what is no constructor')
    }
    if (callable.construct === undefined) throw this.refused(`a call of ${callable.name}`)
    return this.push(callable.construct(args.items, this))
  }

  /** Attributes of an ordered dictionary (`_metadata` of a state_dict) or a parameter say nothing about its values. */
  discardAttributes(): this {
    this.pop()
    const target = this.top()
    if (!(target instanceof Map) && !(target instanceof TorchTensor)) {
      throw this.refused('to set the attributes of an object')
    }
    return this
  }

  loadStorage(): this {
    return this.push(storageOf(this.pop(), this))
  }
}
