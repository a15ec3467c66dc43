import * as z from 'zod'

import { elementCount, type StoredDType } from '../tensor.js'
import type { ErrorClass } from './corrupt.js'
import { parseJson } from './json.js'
import type { RangedFile } from './ranged-file.js'

/** The longest header that the format's own reader accepts (safetensors, `MAX_HEADER_SIZE`). */
const MAX_HEADER_BYTES = 100_000_000

const PREFIX_BYTES = 8

/** The one key of a header that is no tensor's name. */
const METADATA = '__metadata__'

interface ElementType {
  readonly dtype: StoredDType
  readonly bits: number
  readonly unsupported?: string
}

/** Element types of the format, by its names for them (safetensors, enum `Dtype`). */
const ELEMENT_TYPES: ReadonlyMap<string, ElementType> = new Map([
  ...readable({ F64: 'float64', I64: 'int64', U64: 'uint64' }, 64),
  ...readable({ F32: 'float32', I32: 'int32', U32: 'uint32' }, 32),
  ...readable({ F16: 'float16', BF16: 'bfloat16', I16: 'int16', U16: 'uint16' }, 16),
  ...readable({ I8: 'int8', U8: 'uint8', BOOL: 'bool' }, 8),
  ...readable({ F8_E4M3: 'float8_e4m3fn', F8_E5M2: 'float8_e5m2', F8_E8M0: 'float8_e8m0fnu' }, 8),
  ...readable({ F8_E4M3FNUZ: 'float8_e4m3fnuz', F8_E5M2FNUZ: 'float8_e5m2fnuz' }, 8),
  ...unreadable(['F6_E2M3', 'F6_E3M2'], 'float16', 6),
  ...unreadable(['F4'], 'float16', 4),
  ...unreadable(['C64'], 'uint8', 64),
])

/** A tensor and where its bytes lie in the file: [begin, end). */
export interface SafetensorsEntry {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: StoredDType
  readonly unsupported?: string
  readonly begin: number
  readonly end: number
}

const size = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
const tensorSchema = z.object({
  dtype: z.string(),
  shape: z.array(size).max(64),
  data_offsets: z.tuple([size, size]),
})

/** What a safetensors file's header says. */
export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>
  /** `__metadata__` as it was parsed, if it is there. */
  readonly metadata: unknown
}

/** Whether a file starts like safetensors: a header length, then a JSON object. */
export function looksLikeSafetensors(head: Uint8Array): boolean {
  return head.length > PREFIX_BYTES && head[PREFIX_BYTES] === 0x7b && headerLength(head) >= 2n
}

/**
 * Reads and checks the header of a safetensors file: 8 bytes of header length, a JSON header, then the tensors' bytes
 * without gap or overlap, little endian and row-major (https://github.com/huggingface/safetensors, section Format).
 * @throws Fault when it is corrupt or truncated
 */
export async function readSafetensorsHeader(file: RangedFile, Fault: ErrorClass): Promise<SafetensorsHeader> {
  const { header, dataStart } = await readHeader(file, Fault)
  const metadata: unknown = Reflect.get(header, METADATA)
  const tensors = placeTensors(header, dataStart, file.path, Fault)
  checkLayout([...tensors.values()], dataStart, file, Fault)
  return { tensors, metadata }
}

async function readHeader(
  file: RangedFile,
  Fault: ErrorClass,
): Promise<{ header: object; dataStart: number }> {
  const length = headerLength(await file.read(0, PREFIX_BYTES))
  if (length > MAX_HEADER_BYTES) {
    throw new Fault(
      `${file.path}: corrupt safetensors: a header of ${String(length)} bytes; at most ${MAX_HEADER_BYTES} are allowed`,
    )
  }
  const bytes = await file.read(PREFIX_BYTES, Number(length))
  const json = parseJson(bytes, `${file.path}: corrupt safetensors: the header`, Fault)
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new Fault(`${file.path}: corrupt safetensors: the header is no JSON object`)
  return { header: json, dataStart: PREFIX_BYTES + Number(length) }
}

function placeTensors(
  header: object,
  dataStart: number,
  path: string,
  Fault: ErrorClass,
): ReadonlyMap<string, SafetensorsEntry> {
  const tensors = new Map<string, SafetensorsEntry>()
  for (const [name, entry] of Object.entries(header)) {
    if (name !== METADATA) tensors.set(name, placeTensor(name, entry, dataStart, path, Fault))
  }
  return tensors
}

function placeTensor(
  name: string,
  entry: unknown,
  dataStart: number,
  path: string,
  Fault: ErrorClass,
): SafetensorsEntry {
  const where = `${path}: corrupt safetensors: tensor ${name}`
  const parsed = tensorSchema.safeParse(entry)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new Fault(`${where}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`)
  }
  const { shape, data_offsets: offsets } = parsed.data
  const type = ELEMENT_TYPES.get(parsed.data.dtype)
  if (type === undefined) throw new Fault(`${where}: unknown element type ${parsed.data.dtype}`)
  const needed = (elementCount(shape) * type.bits) / 8
  if (offsets[1] - offsets[0] !== needed) {
    throw new Fault(
      `${where}: its shape [${shape.join(', ')}] of ${parsed.data.dtype} takes ${needed} bytes, its place has ${offsets[1] - offsets[0]}`,
    )
  }
  const { dtype, unsupported } = type
  const place = { begin: dataStart + offsets[0], end: dataStart + offsets[1] }
  return { name, shape, dtype, ...(unsupported === undefined ? {} : { unsupported }), ...place }
}

/** Tensors must follow each other without gap or overlap, and end where the file ends. */
function checkLayout(
  tensors: readonly SafetensorsEntry[],
  dataStart: number,
  file: RangedFile,
  Fault: ErrorClass,
): void {
  let end = dataStart
  for (const tensor of [...tensors].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (tensor.begin !== end) {
      const fault = tensor.begin < end ? 'overlaps the tensor before' : 'leaves a gap to the tensor before'
      throw new Fault(
        `${file.path}: corrupt safetensors: tensor ${tensor.name} ${fault} (${tensor.begin} instead of ${end})`,
      )
    }
    end = tensor.end
  }
  if (file.size < end) {
    throw new Fault(
      `${file.path}: truncated: its header promises ${end} bytes, but the file has ${file.size}; copy it again`,
    )
  }
  if (file.size > end) {
    throw new Fault(`${file.path}: corrupt safetensors: ${file.size - end} bytes after the last tensor`)
  }
}

function headerLength(head: Uint8Array): bigint {
  return new DataView(head.buffer, head.byteOffset, head.byteLength).getBigUint64(0, true)
}

function readable(types: Readonly<Record<string, StoredDType>>, bits: number): [string, ElementType][] {
  return Object.entries(types).map(([name, dtype]) => [name, { dtype, bits }])
}

function unreadable(names: readonly string[], dtype: StoredDType, bits: number): [string, ElementType][] {
  return names.map((name) => [name, { dtype, bits, unsupported: name }])
}
