import { closeSync, fstatSync, openSync, readSync, realpathSync } from 'node:fs'
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import { ModelError, reasonOf, UnsupportedModelError } from '../errors.js'
import { BYTES_PER_ELEMENT, elementCount } from '../tensor.js'
import type { DType, TypedArray } from '../tensor.js'
import { dtypeOf } from './dtypes.js'
import type { Initializer } from './graph.js'
import { TensorProto_DataLocation, TensorProto_DataType } from './proto/onnx_pb.js'
import type { TensorProto } from './proto/onnx_pb.js'

/** Where a tensor's numbers lie in the model's own file. */
export interface OwnPlace {
  readonly offset: number
  readonly length: number
}

/**
 * An initializer from its protobuf form. `modelPath` is where external data is looked for (beside the model).
 * @param own where the numbers lie that were left out of the protobuf form (large-tensors.ts)
 */
export function readInitializer(
  tensor: TensorProto,
  modelPath: string,
  name = tensor.name,
  own?: OwnPlace,
): Initializer {
  const shape = tensor.dims.map(Number)
  if (shape.some((size) => !Number.isSafeInteger(size) || size < 0))
    throw new ModelError(`${modelPath}: tensor '${name}' has an impossible shape [${tensor.dims.join(', ')}]`)
  const dtype = dtypeOf(tensor.dataType)
  const expected = dtype === undefined ? undefined : elementCount(shape) * BYTES_PER_ELEMENT[dtype]
  const where = `${modelPath}: tensor '${name}'`
  if (tensor.dataLocation === TensorProto_DataLocation.EXTERNAL)
    return { shape, dtype, code: tensor.dataType, read: externalReader(tensor, modelPath, expected, where) }
  const inline = own === undefined ? inlineBytes(tensor, dtype, where) : undefined
  const length = own?.length ?? inline!.byteLength
  if (expected !== undefined && length !== expected)
    throw new ModelError(`${where} of shape [${shape.join(', ')}] needs ${expected} bytes and has ${length}`)
  const read = own === undefined ? () => inline! : () => readOwn(modelPath, own, where)
  return { shape, dtype, code: tensor.dataType, read }
}

function readOwn(path: string, { offset, length }: OwnPlace, where: string): Uint8Array {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    throw new ModelError(`${where} can't be read any more: ${reasonOf(error)}`)
  }
  return readAndClose(
    file,
    offset,
    length,
    () => new ModelError(`${where}: the file ended while it was read`),
  )
}

/** Elements that are not in raw_data are in the typed field that TensorProto prescribes for their type. */
function inlineBytes(tensor: TensorProto, dtype: DType | undefined, where: string): Uint8Array {
  if (tensor.rawData.byteLength > 0) return tensor.rawData
  switch (dtype) {
    case 'float32':
      return bytesOf(Float32Array.from(tensor.floatData))
    case 'float64':
      return bytesOf(Float64Array.from(tensor.doubleData))
    case 'int64':
      return bytesOf(BigInt64Array.from(tensor.int64Data))
    case 'uint64':
      return bytesOf(BigUint64Array.from(tensor.uint64Data))
    case 'uint32':
      return bytesOf(Uint32Array.from(tensor.uint64Data, Number))
    case 'int32':
      return bytesOf(Int32Array.from(tensor.int32Data))
    case 'float16':
    case 'bfloat16':
    case 'uint16':
    case 'int16':
      return bytesOf(Uint16Array.from(tensor.int32Data))
    case 'int8':
    case 'uint8':
    case 'bool':
      return Uint8Array.from(tensor.int32Data)
    case undefined:
      throw new UnsupportedModelError(
        `${where} has element type ${TensorProto_DataType[tensor.dataType] ?? tensor.dataType}, which retrograd does not read`,
      )
  }
}

function bytesOf(array: TypedArray): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}

/** Where a tensor's numbers lie outside of the model's file. */
interface ExternalPlace {
  readonly location: string
  readonly offset: number
  readonly length: number
}

/** External data: `location`, `offset`, `length` (ONNX IR, External Tensor Data). The path must stay beside the model. */
function externalReader(
  tensor: TensorProto,
  modelPath: string,
  expected: number | undefined,
  where: string,
): () => Uint8Array {
  const place = placeOf(tensor, expected, where)
  return () => readExternal(modelPath, place, where)
}

function placeOf(tensor: TensorProto, expected: number | undefined, where: string): ExternalPlace {
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]))
  const location = entries.get('location') ?? ''
  const offset = Number(entries.get('offset') ?? '0')
  const length = entries.has('length') ? Number(entries.get('length')) : expected
  if (
    location === '' ||
    !Number.isSafeInteger(offset) ||
    offset < 0 ||
    length === undefined ||
    !(length >= 0)
  )
    throw new ModelError(`${where} has external data without a usable location, offset and length`)
  if (expected !== undefined && length !== expected)
    throw new ModelError(`${where} needs ${expected} bytes of external data and declares ${length}`)
  return { location, offset, length }
}

/**
 * The file in which a tensor's external data lies, which is beside the model and long enough.
 * @throws ModelError
 */
export function measureExternal(tensor: TensorProto, modelPath: string): string {
  const where = `${modelPath}: tensor '${tensor.name}'`
  const dtype = dtypeOf(tensor.dataType)
  const expected =
    dtype === undefined ? undefined : elementCount(tensor.dims.map(Number)) * BYTES_PER_ELEMENT[dtype]
  const { file, path } = openExternal(modelPath, placeOf(tensor, expected, where), where)
  closeSync(file)
  return path
}

function readExternal(modelPath: string, place: ExternalPlace, where: string): Uint8Array {
  const { location, offset, length } = place
  const { file } = openExternal(modelPath, place, where)
  return readAndClose(
    file,
    offset,
    length,
    () => new ModelError(`${where}: '${location}' ended while it was read`),
  )
}

/** One call of the system reads at most 2^31 - 1 bytes. */
const MAX_READ = 2 ** 30

function readAndClose(file: number, offset: number, length: number, cutShort: () => Error): Uint8Array {
  try {
    const bytes = new Uint8Array(length)
    for (let done = 0; done < length;) {
      const count = readSync(file, bytes, done, Math.min(MAX_READ, length - done), offset + done)
      if (count === 0) throw cutShort()
      done += count
    }
    return bytes
  } finally {
    closeSync(file)
  }
}

/** Opens the file of external data, once it is known to lie beside the model and to be long enough. */
function openExternal(
  modelPath: string,
  { location, offset, length }: ExternalPlace,
  where: string,
): { file: number; path: string } {
  const path = resolve(dirname(modelPath), location)
  let file: number
  try {
    assertInside(realpathSync(dirname(resolve(modelPath))), realpathSync(path), location, where)
    file = openSync(path, 'r')
  } catch (error) {
    if (error instanceof ModelError) throw error
    throw new ModelError(`${where} keeps its data in '${location}', which can't be opened beside the model`)
  }
  try {
    const found = fstatSync(file)
    if (!found.isFile()) throw new ModelError(`${where}: '${location}' is not a file`)
    const { size } = found
    if (offset + length > size)
      throw new ModelError(
        `${where}: '${location}' holds ${size} bytes, ${offset + length} are needed: is it truncated?`,
      )
    return { file, path }
  } catch (error) {
    closeSync(file)
    throw error
  }
}

function assertInside(folder: string, path: string, location: string, where: string): void {
  const inside = relative(folder, path)
  if (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside))
    throw new ModelError(`${where} points outside the model's folder ('${location}'): refused`)
}

/** The integers of a small int64 or int32 initializer (shapes, axes), or undefined for any other type. */
export function integersOf(initializer: Initializer): number[] | undefined {
  const { dtype } = initializer
  if (dtype !== 'int64' && dtype !== 'int32') return undefined
  const bytes = new Uint8Array(initializer.read())
  return dtype === 'int64'
    ? Array.from(new BigInt64Array(bytes.buffer), Number)
    : Array.from(new Int32Array(bytes.buffer))
}

/** The elements of a small float32 or float64 initializer where all are whole numbers, or undefined. */
export function wholeNumbersOf(initializer: Initializer): number[] | undefined {
  const { dtype } = initializer
  if (dtype !== 'float32' && dtype !== 'float64') return undefined
  const { buffer } = new Uint8Array(initializer.read())
  const values = dtype === 'float32' ? [...new Float32Array(buffer)] : [...new Float64Array(buffer)]
  return values.every((value) => Number.isSafeInteger(value)) ? values.map((value) => value + 0) : undefined
}

/** The numbers of a float32 or float64 initializer, or undefined for any other type. */
export function realsOf(initializer: Initializer): number[] | undefined {
  const { dtype } = initializer
  if (dtype !== 'float32' && dtype !== 'float64') return undefined
  const bytes = new Uint8Array(initializer.read())
  return Array.from(dtype === 'float32' ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer))
}
