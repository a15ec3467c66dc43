import { REBUILDERS, rebuildFromType, SCALARS, STORAGES } from './pickle-tensors.js'
import {
  PickleGlobal,
  PickleTuple,
  PlainObject,
  type PickleConstructor,
  type PickleContext,
  type PickleValue,
} from './pickle-values.js'

/** Builders of plain containers, under both names that Python has had for the module. */
const BUILTINS: Readonly<Record<string, PickleConstructor>> = {
  list: (args, context) => itemsOf(args[0], context),
  tuple: (args, context) => new PickleTuple(itemsOf(args[0], context)),
  set: (args, context) => new Set(itemsOf(args[0], context)),
  frozenset: (args, context) => new Set(itemsOf(args[0], context)),
  dict: (args, context) => dictOf(args[0], context),
  bytearray: (args) => (args[0] instanceof Uint8Array ? args[0] : new Uint8Array()),
}

const COLLECTIONS: Readonly<Record<string, PickleConstructor>> = {
  OrderedDict: (args, context) => dictOf(args[0], context),
  defaultdict: (args, context) => dictOf(args[1], context),
  Counter: (args, context) => dictOf(args[0], context),
}

const TORCH: Readonly<Record<string, PickleConstructor>> = {
  Size: (args, context) => new PickleTuple(itemsOf(args[0], context)),
}

/** Whole numbers of NumPy: trainers count in them. */
const NUMPY: Readonly<Record<string, PickleConstructor>> = {
  dtype: (args) => new PlainObject('numpy.dtype', typeof args[0] === 'string' ? args[0] : undefined),
}
const NUMPY_SCALARS: Readonly<Record<string, PickleConstructor>> = { scalar: numpyScalar }

/** Python's own way to make an object of a class: `_reconstructor(class, base, state)`, `__newobj__(class, ...)`. */
const COPYREG: Readonly<Record<string, PickleConstructor>> = {
  _reconstructor: instanceOf,
  __newobj__: instanceOf,
}

/** The names that mean something here; any other is a name only, and what it makes an object without content. */
export const KNOWN_GLOBALS: ReadonlyMap<string, PickleGlobal> = new Map(
  [
    ...constructors('builtins', BUILTINS),
    ...constructors('__builtin__', BUILTINS),
    ...constructors('collections', COLLECTIONS),
    ...constructors('torch._utils', REBUILDERS),
    ...constructors('torch._tensor', {
      _rebuild_from_type: rebuildFromType,
      _rebuild_from_type_v2: rebuildFromType,
    }),
    ...constructors('torch', TORCH),
    ...constructors('numpy', NUMPY),
    ...constructors('numpy.core.multiarray', NUMPY_SCALARS),
    ...constructors('numpy._core.multiarray', NUMPY_SCALARS),
    ...constructors('copyreg', COPYREG),
    ...constructors('copy_reg', COPYREG),
    new PickleGlobal('_codecs.encode', encode),
    ...Object.entries(STORAGES).map(
      ([name, scalar]) => new PickleGlobal(`torch.${name}`, undefined, SCALARS[scalar]),
    ),
    new PickleGlobal('torch.storage.UntypedStorage'),
    new PickleGlobal('torch.UntypedStorage'),
    ...Object.entries(SCALARS).map(([name, scalar]) => new PickleGlobal(`torch.${name}`, undefined, scalar)),
  ].map((global) => [global.name, global]),
)

const ATTACK_MODULES = new Set(['os', 'posix', 'nt', 'subprocess', 'commands', 'pty', 'runpy', 'socket'])
const ATTACK_BUILTINS = new Set([
  'eval',
  'exec',
  'execfile',
  'compile',
  'open',
  '__import__',
  'input',
  'breakpoint',
])

/**
 * Whether no honest checkpoint names this: functions that run commands or code. Nothing is run here whatever the name,
 * but whoever has such a file should know.
 */
export function isAttack(module: string, name: string): boolean {
  if (module === 'builtins' || module === '__builtin__') return ATTACK_BUILTINS.has(name)
  return ATTACK_MODULES.has(module)
}

function itemsOf(value: PickleValue | undefined, context: PickleContext): PickleValue[] {
  if (value === undefined || value instanceof PlainObject) return []
  if (value instanceof PickleTuple) return copyOf(value.items, context)
  if (Array.isArray(value)) return copyOf(value, context)
  if (value instanceof Set) return copyOf([...value], context)
  throw context.corrupt('a container made of no list')
}

function copyOf(items: readonly PickleValue[], context: PickleContext): PickleValue[] {
  context.spend(items.length)
  context.charge(8 * items.length)
  return [...items]
}

function dictOf(source: PickleValue | undefined, context: PickleContext): Map<PickleValue, PickleValue> {
  if (source instanceof Map) {
    context.spend(source.size)
    context.charge(40 * source.size)
    return new Map(source)
  }
  const pairs = itemsOf(source, context)
  return new Map(
    pairs.map((pair): [PickleValue, PickleValue] => {
      const [key, value, ...rest] = itemsOf(pair, context)
      if (key === undefined || value === undefined || rest.length > 0) {
        throw context.corrupt('a dictionary made of no pairs')
      }
      return [key, value]
    }),
  )
}

/** Protocol 2 has no bytes: Python writes them as text whose characters are the bytes (`latin1`). */
function encode(args: readonly PickleValue[], context: PickleContext): Uint8Array {
  const [text, encoding] = args
  if (typeof text !== 'string' || encoding !== 'latin1')
    throw context.corrupt('bytes that are not latin1 text')
  context.spend(text.length)
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}

/** `scalar(dtype, bytes)`: NumPy writes its numbers in the machine's order, little-endian on all that train. */
function numpyScalar(args: readonly PickleValue[]): PickleValue {
  const [dtype, bytes] = args
  const unknown = new PlainObject('numpy.scalar')
  if (!(dtype instanceof PlainObject) || !(bytes instanceof Uint8Array) || bytes.length > 8) return unknown
  const [, kind, size] = /^([iu])([1248])$/.exec(dtype.detail ?? '') ?? []
  if (kind === undefined || Number(size) !== bytes.length) return unknown
  const magnitude = bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n)
  return Number(kind === 'u' ? magnitude : BigInt.asIntN(8 * bytes.length, magnitude))
}

function instanceOf(args: readonly PickleValue[]): PickleValue {
  return new PlainObject(args[0] instanceof PickleGlobal ? args[0].name : 'copyreg')
}

function constructors(module: string, table: Readonly<Record<string, PickleConstructor>>): PickleGlobal[] {
  return Object.entries(table).map(([name, construct]) => new PickleGlobal(`${module}.${name}`, construct))
}
