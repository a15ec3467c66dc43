import { decodeArray } from '../../io/decode.js'
import type { RangedFile } from '../../io/ranged-file.js'
import { BYTES_PER_ELEMENT, type DType, type TypedArray } from '../../tensor.js'
import { unpackBuffer } from './arrow-compression.js'
import type { Batch } from './arrow-messages.js'
import type { ArrowField } from './arrow-schema.js'

/** A field of one batch: how many elements, and its buffers by their numbers in the batch. */
export interface Column {
  readonly field: ArrowField
  readonly length: number
  readonly nulls: number
  /** The number of the first of its own buffers. */
  readonly buffer: number
  readonly children: readonly Column[]
}

/** Lays out a batch: nodes and buffers follow the fields depth first (Columnar.html, "RecordBatch message"). */
export function layOut(fields: readonly ArrowField[], batch: Batch): Column[] {
  const next = { node: 0, buffer: 0, variadic: 0 }
  const columns = fields.map((field) => layOutField(field, batch, next))
  const wrong = columns.find((column) => column.length !== batch.length)
  if (wrong !== undefined)
    throw new Error(`column ${wrong.field.name} of ${wrong.length} rows in a batch of ${batch.length}`)
  return columns
}

function layOutField(
  field: ArrowField,
  batch: Batch,
  next: { node: number; buffer: number; variadic: number },
): Column {
  const [length, nulls] = batch.nodes[next.node++] ?? []
  if (length === undefined || nulls === undefined)
    throw new Error('a batch with fewer columns than its schema')
  const { buffer } = next
  next.buffer += buffersOf(field, batch, next)
  if (next.buffer > batch.buffers.length) throw new Error('a batch with fewer buffers than its schema')
  const children = field.dictionary === undefined ? field.children : []
  return { field, length, nulls, buffer, children: children.map((child) => layOutField(child, batch, next)) }
}

function buffersOf({ type, dictionary }: ArrowField, batch: Batch, next: { variadic: number }): number {
  if (dictionary !== undefined) return 2
  switch (type.kind) {
    case 'number':
    case 'list':
      return 2
    case 'binary':
      return 3
    case 'struct':
    case 'fixed-list':
      return 1
    case 'other':
      return type.buffers + (type.variadic === true ? (batch.variadic[next.variadic++] ?? 0) : 0)
  }
}

/** The bytes of a buffer, unpacked. Throws where it is shorter than `needed`. */
export async function readBuffer(
  file: RangedFile,
  batch: Batch,
  index: number,
  needed: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const [offset = 0, length = 0] = batch.buffers[index] ?? []
  const bytes = await file.read(batch.body + offset, length)
  const unpacked = batch.compression === undefined ? bytes : unpackBuffer(bytes, batch.compression)
  if (unpacked.length < needed)
    throw new Error(`a buffer of ${unpacked.length} bytes, where ${needed} are needed`)
  return unpacked
}

/** The position of the first null among elements `from` to `to`, or -1. */
export async function firstNull(
  file: RangedFile,
  batch: Batch,
  column: Column,
  from: number,
  to: number,
): Promise<number> {
  if (column.nulls === 0) return -1
  const validity = await readBuffer(file, batch, column.buffer, Math.ceil(column.length / 8))
  for (let i = from; i < to; i += 1) if (!bitAt(validity, i)) return i
  return -1
}

export function bitAt(bits: Uint8Array, position: number): boolean {
  return ((bits[position >> 3]! >> (position & 7)) & 1) === 1
}

/** The offsets of a list or binary column: one more than it has elements. */
export async function readOffsets(
  file: RangedFile,
  batch: Batch,
  column: Column,
  offsetBytes: 4 | 8,
): Promise<Float64Array | Int32Array> {
  if (column.length === 0) return new Int32Array(1)
  const needed = (column.length + 1) * offsetBytes
  const bytes = (await readBuffer(file, batch, column.buffer + 1, needed)).subarray(0, needed)
  const offsets = offsetBytes === 4 ? (decodeArray(bytes, 'int32') as Int32Array) : wideOffsets(bytes)
  for (let i = 0; i < offsets.length; i += 1)
    if (!(offsets[i]! >= (offsets[i - 1] ?? 0))) throw new Error('offsets that go back')
  return offsets
}

function wideOffsets(bytes: Uint8Array<ArrayBuffer>): Float64Array {
  return Float64Array.from(decodeArray(bytes, 'int64') as BigInt64Array, Number)
}

/** Elements `from` to `to` of a column of numbers. */
export async function readNumbers(
  file: RangedFile,
  batch: Batch,
  column: Column,
  dtype: DType,
  from: number,
  to: number,
): Promise<TypedArray> {
  if (to > column.length) throw new Error(`lists that need ${to} values, where ${column.length} are there`)
  if (to === from) return new Uint8Array()
  if (dtype === 'bool') {
    const bits = await readBuffer(file, batch, column.buffer + 1, Math.ceil(to / 8))
    return Uint8Array.from({ length: to - from }, (_, i) => Number(bitAt(bits, from + i)))
  }
  const width = BYTES_PER_ELEMENT[dtype]
  const bytes = await readBuffer(file, batch, column.buffer + 1, to * width)
  return decodeArray(bytes.subarray(from * width, to * width), dtype)
}
