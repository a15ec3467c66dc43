import { CheckpointFormatError } from '../../errors.js'
import { COST, PickleBytes } from './pickle-bytes.js'
import { isAttack, KNOWN_GLOBALS } from './pickle-globals.js'
import { storageOf } from './pickle-tensors.js'
import {
  PickleGlobal,
  PickleTuple,
  PlainObject,
  TorchStorage,
  TorchTensor,
  type PickleContext,
  type PickleValue,
} from './pickle-values.js'

/** The newest protocol of pickle. */
const MAX_PROTOCOL = 5

/** The error for a pickle that needs more than tensors and plain containers where its weights should be. */
export function refusal(path: string, name: string, remedy: string): CheckpointFormatError {
  return new CheckpointFormatError(
    `${path}: refused: its pickle needs ${name}, which is no tensor or plain container, and code from a file ` +
      `is never run; ${remedy}`,
  )
}

/**
 * The state of a pickle being read: its bytes, Python's stack, marks and memo. It never calls anything of Python: a
 * global is looked up in a list of known names, and what is not in it becomes an object without content.
 */
export class PickleMachine extends PickleBytes implements PickleContext {
  private stack: PickleValue[] = []
  private readonly marked: PickleValue[][] = []
  private readonly memo = new Map<number, PickleValue>()
  private readonly unknown = new Map<string, PickleGlobal>()
  /** Containers copied by constructors may hold as many items as the pickle has bytes, all together. */
  private budget: number

  constructor(
    bytes: Uint8Array,
    path: string,
    private readonly remedy: string,
    from = 0,
    private readonly onStorage?: (storage: TorchStorage) => void,
  ) {
    super(bytes, path, from)
    this.budget = bytes.length
  }

  refused(name: string): CheckpointFormatError {
    return refusal(this.path, name, this.remedy)
  }

  spend(items: number): void {
    this.budget -= items
    if (this.budget < 0) throw this.corrupt('its containers copy each other beyond measure')
  }

  checkProtocol(protocol: number): this {
    if (protocol > MAX_PROTOCOL) throw this.corrupt(`protocol ${protocol}, newer than ${MAX_PROTOCOL}`)
    return this
  }

  push(value: PickleValue): this {
    this.charge(COST.slot)
    this.stack.push(value)
    return this
  }

  /** Pushes a new container: a list, tuple or object, a dictionary, set or bytes. */
  pushNew(value: PickleValue): this {
    const isLarge = value instanceof Map || value instanceof Set || value instanceof Uint8Array
    this.charge(isLarge ? COST.map : COST.list)
    return this.push(value)
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
    this.charge(COST.list)
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
    this.charge(COST.memo)
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
    if (list instanceof PlainObject) return this
    if (!Array.isArray(list)) throw this.corrupt('items for what is no list')
    for (const item of items) list.push(item)
    return this
  }

  addTo(items: readonly PickleValue[]): this {
    const set = this.top()
    if (set instanceof PlainObject) return this
    if (!(set instanceof Set)) throw this.corrupt('items for what is no set')
    this.charge(COST.memo * items.length)
    for (const item of items) set.add(item)
    return this
  }

  pushDict(items: readonly PickleValue[]): this {
    return this.pushNew(new Map()).setItems(items)
  }

  setItems(items: readonly PickleValue[]): this {
    const dict = this.top()
    if (dict instanceof PlainObject) return this
    if (!(dict instanceof Map) || items.length % 2 !== 0)
      throw this.corrupt('items for what is no dictionary')
    this.charge(COST.memo * (items.length / 2))
    for (let i = 0; i < items.length; i += 2) dict.set(items[i]!, items[i + 1]!)
    return this
  }

  global(module: string, name: string): this {
    const full = `${module}.${name}`
    if (isAttack(module, name)) throw this.refused(full)
    const global = KNOWN_GLOBALS.get(full) ?? this.unknown.get(full) ?? new PickleGlobal(full)
    if (!KNOWN_GLOBALS.has(full)) this.unknown.set(full, global)
    return this.push(global)
  }

  stackGlobal(): this {
    const [module, name] = this.popTuple(2).items
    if (typeof module !== 'string' || typeof name !== 'string') throw this.corrupt('a name that is no text')
    return this.global(module, name)
  }

  /** Makes a value by a known constructor; what any other callable would return is an object without content. */
  construct(): this {
    const args = this.pop()
    const callable = this.pop()
    if (
      !(callable instanceof PickleGlobal || callable instanceof PlainObject) ||
      !(args instanceof PickleTuple)
    )
      throw this.corrupt('a call of what is no constructor')
    if (callable instanceof PlainObject) return this.pushNew(new PlainObject(callable.type))
    return this.pushNew(callable.construct?.(args.items, this) ?? new PlainObject(callable.name))
  }

  /** NEWOBJ_EX has a dictionary of named arguments above the others. */
  constructNamed(): this {
    this.pop()
    return this.construct()
  }

  /**
   * Attributes of an ordered dictionary (`_metadata` of a state_dict) or a parameter say nothing about its values; those
   * of an unknown object are dropped with the rest of it.
   */
  discardAttributes(): this {
    this.pop()
    const target = this.top()
    if (!(target instanceof Map || target instanceof TorchTensor || target instanceof PlainObject))
      throw this.refused('to set the attributes of an object')
    return this
  }

  loadStorage(): this {
    const storage = storageOf(this.pop(), this)
    if (storage instanceof TorchStorage) this.onStorage?.(storage)
    return this.pushNew(storage)
  }
}
