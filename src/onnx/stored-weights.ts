import { fromBinary } from '@bufbuild/protobuf'

import { reasonOf, RetrogradError } from '../errors.js'
import type { ErrorClass } from '../io/corrupt.js'
import { withFile, type RangedFile } from '../io/ranged-file.js'
import { BYTES_PER_ELEMENT, elementCount, type DType } from '../tensor.js'
import { dtypeOf } from './dtypes.js'
import { TensorProto_DataType, TensorProtoSchema, type TensorProto } from './proto/onnx_pb.js'
import { measureExternal, readInitializer } from './tensors.js'
import { WireReader, type WireField } from './wire.js'

/** An initializer as a model's file holds it: what it is, and where its numbers lie. */
export interface StoredWeight {
  readonly name: string
  readonly shape: readonly number[]
  /** Undefined for element types that retrograd does not compute with; `type` is ONNX's name for it. */
  readonly dtype: DType | undefined
  readonly type: string
  /** The file of external data, beside the model. */
  readonly external?: string
  /** The little-endian elements in row-major order. */
  readonly read: () => Promise<Uint8Array<ArrayBuffer>>
}

/** Field numbers of onnx.proto that lead to the weights. */
const MODEL_GRAPH = 7
const GRAPH_INITIALIZER = 5
const TENSOR = { dims: 1, dataType: 2, name: 8, rawData: 9, externalData: 13 } as const

/** A name or the entries of external data take some hundred bytes. */
const MAX_SMALL_FIELD = 64 * 1024
const MAX_AXES = 64

/** A range of bytes of the file. */
interface Range {
  readonly offset: number
  readonly length: number
}

/** What the walk over a TensorProto finds without reading its numbers. */
interface TensorHeader {
  readonly name: string
  readonly dims: readonly number[]
  readonly code: number
  readonly raw?: Range
  readonly isExternal: boolean
  readonly message: Range
}

/**
 * The initializers of an ONNX file (IR 3 and newer), without reading their numbers: the weights of a model that was
 * exported at every step.
 * @throws Fault when the file is corrupt or truncated, a weight's bytes don't fit its shape, or external data is not
 *   beside the model
 */
export async function readStoredWeights(path: string, Fault: ErrorClass): Promise<StoredWeight[]> {
  return withFile(path, Fault, async (file) => {
    const wire = new WireReader(file, Fault)
    const weights: StoredWeight[] = []
    const seen = new Set<string>()
    for await (const graph of lengthDelimited(wire, { offset: 0, length: file.size }, MODEL_GRAPH)) {
      for await (const message of lengthDelimited(wire, graph, GRAPH_INITIALIZER)) {
        const header = await readHeader(wire, message, file, Fault)
        if (seen.has(header.name))
          throw new Fault(`${path}: corrupt: two initializers are named '${header.name}'`)
        seen.add(header.name)
        weights.push(await describe(header, file, Fault))
      }
    }
    return weights
  })
}

async function* lengthDelimited(wire: WireReader, within: Range, number: number): AsyncGenerator<Range> {
  for await (const field of wire.fields(within.offset, within.length))
    if (field.number === number && field.kind === 'bytes') yield field
}

async function readHeader(
  wire: WireReader,
  message: Range,
  file: RangedFile,
  Fault: ErrorClass,
): Promise<TensorHeader> {
  const dims: number[] = []
  let [name, code, isExternal, raw] = ['', 0, false, undefined as Range | undefined]
  for await (const field of wire.fields(message.offset, message.length)) {
    if (field.number === TENSOR.dims) dims.push(...(await readDims(wire, field)))
    else if (field.number === TENSOR.dataType && field.kind === 'varint') code = Number(field.value)
    else if (field.number === TENSOR.externalData) isExternal = true
    else if (field.kind !== 'bytes') continue
    else if (field.number === TENSOR.name)
      name = new TextDecoder().decode(await small(wire, field, file, Fault))
    else if (field.number === TENSOR.rawData) raw = { offset: field.offset, length: field.length }
    if (dims.length > MAX_AXES)
      throw new Fault(`${file.path}: corrupt: a tensor of more than ${MAX_AXES} axes`)
  }
  return { name, dims, code, isExternal, message, ...(raw && raw.length > 0 && { raw }) }
}

/** Repeated numbers are stored one by one, or packed into one field. */
async function readDims(wire: WireReader, field: WireField): Promise<number[]> {
  if (field.kind === 'varint') return [Number(BigInt.asIntN(64, field.value))]
  if (field.kind !== 'bytes' || field.length > MAX_AXES * 10) return [NaN]
  const bytes = await wire.bytes(field.offset, field.length)
  const dims: number[] = []
  let [value, shift] = [0n, 0n]
  for (const byte of bytes) {
    value |= BigInt(byte & 0x7f) << shift
    shift += 7n
    if (byte >= 0x80) continue
    dims.push(Number(BigInt.asIntN(64, value)))
    ;[value, shift] = [0n, 0n]
  }
  return dims
}

async function small(
  wire: WireReader,
  field: Range,
  file: RangedFile,
  Fault: ErrorClass,
): Promise<Uint8Array> {
  if (field.length > MAX_SMALL_FIELD)
    throw new Fault(`${file.path}: corrupt: a tensor's name of ${field.length} bytes`)
  return wire.bytes(field.offset, field.length)
}

async function describe(header: TensorHeader, file: RangedFile, Fault: ErrorClass): Promise<StoredWeight> {
  const { name, dims, code, raw, message, isExternal } = header
  const { path } = file
  const where = `${path}: tensor '${name}'`
  if (!dims.every((size) => Number.isSafeInteger(size) && size >= 0))
    throw new Fault(`${where} has an impossible shape [${dims.join(', ')}]`)
  const dtype = dtypeOf(code)
  const facts = { name, shape: dims, dtype, type: TensorProto_DataType[code] ?? String(code) }
  const needed = dtype === undefined ? undefined : elementCount(dims) * BYTES_PER_ELEMENT[dtype]
  if (isExternal) return { ...facts, ...(await external(file, message, where, Fault)) }
  if (raw !== undefined) {
    if (needed !== undefined && raw.length !== needed)
      throw new Fault(`${where} of shape [${dims.join(', ')}] needs ${needed} bytes and has ${raw.length}`)
    return { ...facts, read: () => withFile(path, Fault, (opened) => opened.read(raw.offset, raw.length)) }
  }
  // numbers in the typed field of their kind take at least a byte each
  if (elementCount(dims) > message.length)
    throw new Fault(`${where} of shape [${dims.join(', ')}] has only ${message.length} bytes`)
  return { ...facts, read: async () => numbersOf(await decode(path, message, where, Fault), path, Fault) }
}

/** External data is found and measured when the model is opened, so that a file cut short is noticed then. */
async function external(
  file: RangedFile,
  message: Range,
  where: string,
  Fault: ErrorClass,
): Promise<Pick<StoredWeight, 'external' | 'read'>> {
  const { path } = file
  if (message.length > MAX_SMALL_FIELD)
    throw new Fault(`${where} has ${message.length} bytes of description for external data`)
  const tensor = await decode(path, message, where, Fault)
  const found = faulty(Fault, () => measureExternal(tensor, path))
  return { external: found, read: () => Promise.resolve().then(() => numbersOf(tensor, path, Fault)) }
}

async function decode(path: string, message: Range, where: string, Fault: ErrorClass): Promise<TensorProto> {
  const bytes = await withFile(path, Fault, (file) => file.read(message.offset, message.length))
  try {
    return fromBinary(TensorProtoSchema, bytes)
  } catch (error) {
    throw new Fault(`${where} is corrupt: ${reasonOf(error)}`)
  }
}

/** A copy, since the numbers may lie in the message that they were decoded from. */
function numbersOf(tensor: TensorProto, path: string, Fault: ErrorClass): Uint8Array<ArrayBuffer> {
  return faulty(Fault, () => new Uint8Array(readInitializer(tensor, path).read()))
}

/** What reading a model throws, as a fault of the checkpoint that the model is here. */
function faulty<T>(Fault: ErrorClass, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof RetrogradError) throw new Fault(error.message)
    throw error
  }
}
