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

/** Bytes of memory that a rebuilt tensor takes, and each of its axes: sizes and strides. */
const COST = { tensor: 160, axis: 16 } as const

const readable = (dtype: StoredDType): TorchScalar => ({ dtype, bytes: BYTES_PER_ELEMENT[dtype] })

/** Element types by PyTorch's name, and the older names that their storages have. */
export const SCALARS: Readonly<Record<string, TorchScalar>> = {
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
  qint8: { dtype: 'uint8', bytes: 1, unsupported: 'qint8' },
  quint8: { dtype: 'uint8', bytes: 1, unsupported: 'quint8' },
  qint32: { dtype: 'uint8', bytes: 4, unsupported: 'qint32' },
}

export const STORAGES: Readonly<Record<string, keyof typeof SCALARS>> = {
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
  QInt8Storage: 'qint8',
  QUInt8Storage: 'quint8',
  QInt32Storage: 'qint32',
}

/** PyTorch's functions that rebuild a tensor (torch/_utils.py). Those of sparse, quantized and other kinds are not known. */
export const REBUILDERS: Readonly<Record<string, PickleConstructor>> = {
  _rebuild_tensor: (args, context) => rebuildTensor(args, undefined, context),
  _rebuild_tensor_v2: (args, context) => rebuildTensor(args, undefined, context),
  _rebuild_tensor_v3: (args, context) => rebuildTensor(args, args[6], context),
  _rebuild_parameter: (args, context) => requireTensor(args[0], context),
  _rebuild_parameter_with_state: (args, context) => requireTensor(args[0], context),
}

/** Classes of tensors that hold what a plain tensor holds. */
const PLAIN_CLASSES = /^torch\.(?:Tensor|_tensor\.Tensor|nn\.parameter\.(?:Parameter|Buffer))$/

/**
 * `torch._tensor._rebuild_from_type_v2(function, type, arguments, state)`: a tensor with attributes of its own, or of a
 * subclass. A subclass may hold its values in a way of its own, so only the plain ones are read.
 */
export function rebuildFromType(args: readonly PickleValue[], context: PickleContext): PickleValue {
  const [rebuild, type, inner] = args
  const name = type instanceof PickleGlobal ? type.name : 'torch._tensor._rebuild_from_type_v2'
  if (!PLAIN_CLASSES.test(name) || !(rebuild instanceof PickleGlobal) || !(inner instanceof PickleTuple))
    return new PlainObject(name)
  return rebuild.construct?.(inner.items, context) ?? new PlainObject(rebuild.name)
}

/**
 * What a persistent id stands for (torch/serialization.py, `persistent_id`): `('storage', type, key, location, elements)`,
 * where an untyped storage counts bytes. Before version 1.6 a sixth item placed a view `(key, offset, elements)` in it,
 * and `('module', class, file, source)` kept the source of a network.
 */
export function storageOf(id: PickleValue, context: PickleContext): PickleValue {
  const items = id instanceof PickleTuple ? id.items : []
  const [kind, type, key, , count, view] = items
  if (kind === 'module' && type instanceof PickleGlobal) return type
  if (kind !== 'storage' || !(type instanceof PickleGlobal) || typeof key !== 'string' || !isCount(count)) {
    throw context.corrupt('a persistent id that is no storage')
  }
  if (type.scalar === undefined && !type.name.endsWith('UntypedStorage')) return new PlainObject(type.name)
  const offset = view instanceof PickleTuple ? view.items[1] : 0
  if (!isCount(offset)) throw context.corrupt('a view of a storage without an offset')
  return new TorchStorage(key, count * (type.scalar?.bytes ?? 1), type.scalar, offset)
}

function rebuildTensor(
  args: readonly PickleValue[],
  type: PickleValue | undefined,
  context: PickleContext,
): TorchTensor | PlainObject {
  const [storage, offset, size, stride] = args
  if (storage instanceof PlainObject) return storage
  if (type instanceof PickleGlobal && type.scalar === undefined) return new PlainObject(type.name)
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
  context.charge(COST.tensor + COST.axis * shape.length)
  return new TorchTensor(storage, scalar, storage.offset + offset, shape, strides)
}

function requireTensor(value: PickleValue | undefined, context: PickleContext): PickleValue {
  if (value instanceof PlainObject) return value
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
