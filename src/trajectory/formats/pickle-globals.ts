import { BYTES_PER_ELEMENT, type StoredDType } from '../../tensor.js'
import {
  PickleGlobal,
  PickleTuple,
  PlainObject,
  TorchStorage,
  TorchTensor,
  type PickleConstructor,
  type PickleContext,
  type PickleValue,
  type TorchScalar,
} from './pickle-values.js'

/** The most axes that a PyTorch tensor can have. */
const MAX_AXES = 64

const readable = (dtype: StoredDType): TorchScalar => ({ dtype, bytes: BYTES_PER_ELEMENT[dtype] })

/** Element types by PyTorch's name, and the older names that their storages have. */
const SCALARS: Readonly<Record<string, TorchScalar>> = {
  float64: readable('float64'),
  float32: readable('float32'),
  float16: readable('float16'),
  bfloat16: readable('bfloat16'),
  int64: readable('int64'),
  int32: readable('int32'),
  int16: readable('int16'),
  int8: readable('int8'),
  uint64: readable('uint64'),
  uint32: readable('uint32'),
  uint16: readable('uint16'),
  uint8: readable('uint8'),
  bool: readable('bool'),
  float8_e4m3fn: readable('float8_e4m3fn'),
  float8_e5m2: readable('float8_e5m2'),
  float8_e4m3fnuz: readable('float8_e4m3fnuz'),
  float8_e5m2fnuz: readable('float8_e5m2fnuz'),
  float8_e8m0fnu: readable('float8_e8m0fnu'),
  complex64: { dtype: 'uint8', bytes: 8, unsupported: 'complex64' },
  complex128: { dtype: 'uint8', bytes: 16, unsupported: 'complex128' },
}

const STORAGES: Readonly<Record<string, keyof typeof SCALARS>> = {
  DoubleStorage: 'float64',
  FloatStorage: 'float32',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  LongStorage: 'int64',
  IntStorage: 'int32',
  ShortStorage: 'int16',
  CharStorage: 'int8',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
  ComplexFloatStorage: 'complex64',
  ComplexDoubleStorage: 'complex128',
}

/** Builders of plain containers, under both names that Python has had for the module. */
const BUILTINS: Readonly<Record<string, PickleConstructor>> = {
  list: (args, context) => itemsOf(args[0], context),
  tuple: (args, context) => new PickleTuple(itemsOf(args[0], context)),
  set: (args, context) => new Set(itemsOf(args[0], context)),
  frozenset: (args, context) => new Set(itemsOf(args[0], context)),
  dict: (args, context) => dictOf(args[0], context),
  bytearray: (args) => (args[0] instanceof Uint8Array ? args[0] : new Uint8Array()),
  complex: () => new PlainObject('complex'),
  slice: () => new PlainObject('slice'),
}

const COLLECTIONS: Readonly<Record<string, PickleConstructor>> = {
  OrderedDict: (args, context) => dictOf(args[0], context),
  defaultdict: (args, context) => dictOf(args[1], context),
  Counter: (args, context) => dictOf(args[0], context),
}

/** PyTorch's functions that rebuild a tensor (torch/_utils.py). */
const REBUILDERS: Readonly<Record<string, PickleConstructor>> = {
  _rebuild_tensor: (args, context) => rebuildTensor(args, undefined, context),
  _rebuild_tensor_v2: (args, context) => rebuildTensor(args, undefined, context),
  _rebuild_tensor_v3: (args, context) => rebuildTensor(args, args[6], context),
  _rebuild_parameter: (args, context) => requireTensor(args[0], context),
  _rebuild_parameter_with_state: (args, context) => requireTensor(args[0], context),
}

const TORCH: Readonly<Record<string, PickleConstructor>> = {
  Size: (args, context) => new PickleTuple(itemsOf(args[0], context)),
  device: () => new PlainObject('torch.device'),
}

/** All that a checkpoint's pickle may name; whatever is not here is refused. */
export const ALLOWED_GLOBALS: ReadonlyMap<string, PickleGlobal> = new Map(
  [
    ...constructors('builtins', BUILTINS),
    ...constructors('__builtin__', BUILTINS),
    ...constructors('collections', COLLECTIONS),
    ...constructors('torch._utils', REBUILDERS),
    ...constructors('torch', TORCH),
    new PickleGlobal('_codecs.encode', encode),
    ...['int', 'float', 'str', 'bool', 'object'].flatMap((type) =>
      ['builtins', '__builtin__'].map((module) => new PickleGlobal(`${module}.${type}`)),
    ),
    ...Object.entries(STORAGES).map(
      ([name, scalar]) => new PickleGlobal(`torch.${name}`, undefined, SCALARS[scalar]),
    ),
    new PickleGlobal('torch.storage.UntypedStorage'),
    new PickleGlobal('torch.UntypedStorage'),
    ...Object.entries(SCALARS).map(([name, scalar]) => new PickleGlobal(`torch.${name}`, undefined, scalar)),
  ].map((global) => [global.name, global]),
)

/**
 * The storage behind a persistent id, `('storage', type, key, location, elements)`: the only kind that PyTorch writes
 * (torch/serialization.py, `persistent_id`). An untyped storage counts bytes.
 */
export function storageOf(id: PickleValue, context: PickleContext): TorchStorage {
  const items = id instanceof PickleTuple ? id.items : []
  const [kind, type, key, , count] = items
  if (kind !== 'storage' || !(type instanceof PickleGlobal) || typeof key !== 'string' || !isCount(count)) {
    throw context.corrupt('a persistent id that is no storage')
  }
  if (type.scalar === undefined && !type.name.endsWith('UntypedStorage')) {
    throw context.corrupt(`a storage of type ${type.name}`)
  }
  return new TorchStorage(key, count * (type.scalar?.bytes ?? 1), type.scalar)
}

function rebuildTensor(
  args: readonly PickleValue[],
  type: PickleValue | undefined,
  context: PickleContext,
): TorchTensor {
  const [storage, offset, size, stride] = args
  const scalar =
    type instanceof PickleGlobal ? type.scalar : storage instanceof TorchStorage && storage.scalar
  if (!(storage instanceof TorchStorage) || !scalar || !isCount(offset)) {
    throw context.corrupt('a tensor without a storage, an element type or an offset')
  }
  const shape = countsOf(size, context)
  const strides = countsOf(stride, context)
  if (shape.length !== strides.length) {
    throw context.corrupt(`a tensor of ${shape.length} axes with ${strides.length} strides`)
  }
  return new TorchTensor(storage, scalar, offset, shape, strides)
}

function requireTensor(value: PickleValue | undefined, context: PickleContext): TorchTensor {
  if (!(value instanceof TorchTensor)) throw context.corrupt('a parameter that holds no tensor')
  return value
}

function countsOf(value: PickleValue | undefined, context: PickleContext): number[] {
  const items = value instanceof PickleTuple ? value.items : []
  if (!(value instanceof PickleTuple) || items.length > MAX_AXES || !items.every(isCount)) {
    throw context.corrupt('a tensor whose shape or strides are no whole numbers')
  }
  return items.filter(isCount)
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function itemsOf(value: PickleValue | undefined, context: PickleContext): PickleValue[] {
  if (value === undefined) return []
  if (value instanceof PickleTuple) return copyOf(value.items, context)
  if (Array.isArray(value)) return copyOf(value, context)
  if (value instanceof Set) return copyOf([...value], context)
  throw context.corrupt('a container made of no list')
}

function copyOf(items: readonly PickleValue[], context: PickleContext): PickleValue[] {
  context.spend(items.length)
  return [...items]
}

function dictOf(source: PickleValue | undefined, context: PickleContext): Map<PickleValue, PickleValue> {
  if (source instanceof Map) {
    context.spend(source.size)
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

function constructors(module: string, table: Readonly<Record<string, PickleConstructor>>): PickleGlobal[] {
  return Object.entries(table).map(([name, construct]) => new PickleGlobal(`${module}.${name}`, construct))
}
