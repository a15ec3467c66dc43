import { PickleMachine } from './pickle-machine.js'
import { PickleTuple, type PickleValue, type TorchStorage } from './pickle-values.js'

type Operation = (machine: PickleMachine) => PickleMachine

const STOP = 0x2e

/** Whole numbers, floats, text and bytes (Python's `pickletools.opcodes`; the comment beside each is its name there). */
const SCALARS: Readonly<Record<number, Operation>> = {
  0x4e: (m) => m.push(null), // NONE
  0x88: (m) => m.push(true), // NEWTRUE
  0x89: (m) => m.push(false), // NEWFALSE
  0x4a: (m) => m.push(m.int32()), // BININT
  0x4b: (m) => m.push(m.count(1)), // BININT1
  0x4d: (m) => m.push(m.count(2)), // BININT2
  0x8a: (m) => m.push(m.long(m.count(1))), // LONG1
  0x8b: (m) => m.push(m.long(m.count(4))), // LONG4
  0x47: (m) => m.push(m.float64()), // BINFLOAT
  0x58: (m) => m.push(m.text(m.count(4))), // BINUNICODE
  0x8c: (m) => m.push(m.text(m.count(1))), // SHORT_BINUNICODE
  0x8d: (m) => m.push(m.text(m.count(8))), // BINUNICODE8
  0x54: (m) => m.push(m.text(m.count(4))), // BINSTRING
  0x55: (m) => m.push(m.text(m.count(1))), // SHORT_BINSTRING
  0x42: (m) => m.pushNew(m.take(m.count(4))), // BINBYTES
  0x43: (m) => m.pushNew(m.take(m.count(1))), // SHORT_BINBYTES
  0x8e: (m) => m.pushNew(m.take(m.count(8))), // BINBYTES8
  0x96: (m) => m.pushNew(m.take(m.count(8))), // BYTEARRAY8
}

const CONTAINERS: Readonly<Record<number, Operation>> = {
  0x5d: (m) => m.pushNew([]), // EMPTY_LIST
  0x6c: (m) => m.pushNew(m.popMark()), // LIST
  0x61: (m) => m.appendTo([m.pop()]), // APPEND
  0x65: (m) => m.appendTo(m.popMark()), // APPENDS
  0x29: (m) => m.pushNew(new PickleTuple([])), // EMPTY_TUPLE
  0x74: (m) => m.pushNew(new PickleTuple(m.popMark())), // TUPLE
  0x85: (m) => m.pushNew(m.popTuple(1)), // TUPLE1
  0x86: (m) => m.pushNew(m.popTuple(2)), // TUPLE2
  0x87: (m) => m.pushNew(m.popTuple(3)), // TUPLE3
  0x7d: (m) => m.pushNew(new Map()), // EMPTY_DICT
  0x64: (m) => m.pushDict(m.popMark()), // DICT
  0x73: (m) => m.setItems(m.popTuple(2).items), // SETITEM
  0x75: (m) => m.setItems(m.popMark()), // SETITEMS
  0x8f: (m) => m.pushNew(new Set()), // EMPTY_SET
  0x90: (m) => m.addTo(m.popMark()), // ADDITEMS
  0x91: (m) => m.pushNew(new Set(m.popMark())), // FROZENSET
}

const STACK_AND_MEMO: Readonly<Record<number, Operation>> = {
  0x28: (m) => m.mark(), // MARK
  0x30: (m) => m.drop(), // POP
  0x31: (m) => m.dropToMark(), // POP_MARK
  0x32: (m) => m.push(m.top()), // DUP
  0x71: (m) => m.remember(m.count(1)), // BINPUT
  0x72: (m) => m.remember(m.count(4)), // LONG_BINPUT
  0x94: (m) => m.memoize(), // MEMOIZE
  0x68: (m) => m.recall(m.count(1)), // BINGET
  0x6a: (m) => m.recall(m.count(4)), // LONG_BINGET
}

const OBJECTS: Readonly<Record<number, Operation>> = {
  0x63: (m) => m.global(m.line(), m.line()), // GLOBAL
  0x93: (m) => m.stackGlobal(), // STACK_GLOBAL
  0x52: (m) => m.construct(), // REDUCE
  0x81: (m) => m.construct(), // NEWOBJ
  0x92: (m) => m.constructNamed(), // NEWOBJ_EX
  0x62: (m) => m.discardAttributes(), // BUILD
  0x51: (m) => m.loadStorage(), // BINPERSID
}

const FRAMING: Readonly<Record<number, Operation>> = {
  0x80: (m) => m.checkProtocol(m.count(1)), // PROTO
  0x95: (m) => m.skip(8), // FRAME: its length; frames only group the operations
}

const OPERATIONS: ReadonlyMap<number, Operation> = new Map(
  [SCALARS, CONTAINERS, STACK_AND_MEMO, OBJECTS, FRAMING]
    .flatMap((table) => Object.entries(table))
    .map(([opcode, operation]) => [Number(opcode), operation]),
)

/** A value and the position after its pickle. */
export interface ReadPickle {
  readonly value: PickleValue
  readonly end: number
}

/**
 * Reads the pickle of protocol 2 to 5 that begins at byte `from`, without running anything.
 * @param path the file, for messages
 * @param remedy what a user does about a pickle that is refused
 * @param onStorage is told of every storage that the pickle refers to
 * @throws PickleEnds (a CheckpointError) when it goes on beyond the bytes
 * @throws CheckpointError when it is corrupt
 * @throws CheckpointFormatError when it names what only an attack on its reader would
 */
export function readPickle(
  bytes: Uint8Array,
  path: string,
  remedy: string,
  from = 0,
  onStorage?: (storage: TorchStorage) => void,
): ReadPickle {
  const machine = new PickleMachine(bytes, path, remedy, from, onStorage)
  for (;;) {
    const opcode = machine.count(1)
    if (opcode === STOP) return { value: machine.pop(), end: machine.end }
    const operation = OPERATIONS.get(opcode)
    if (operation === undefined)
      throw machine.corrupt(`opcode 0x${opcode.toString(16)}, which PyTorch does not write`)
    operation(machine)
  }
}
