import { DataError, type RetrogradError } from '../../errors.js'
import { RangedFile, withFile } from '../../io/ranged-file.js'
import { elementCount, formatShape, type DType, type TypedArray } from '../../tensor.js'
import { imageArray } from '../images/column.js'
import type { ArrayFile, StoredArray } from '../stored-array.js'
import {
  bitAt,
  firstNull,
  layOut,
  readBuffer,
  readNumbers,
  readOffsets,
  type Column,
} from './arrow-columns.js'
import { readMessages, type ArrowMessages, type Batch } from './arrow-messages.js'
import type { ArrowField } from './arrow-schema.js'
import { asDataError, singleFile } from './format.js'
import { RAGGED } from './rows.js'
import { stackColumns } from './stack.js'

/**
 * Arrow IPC: files (Feather V2 too) and streams, as HF datasets keeps its data. Columns are arrays as those of Parquet.
 */
export async function openArrow(path: string): Promise<ArrayFile> {
  const arrays = await arrowArrays(path)
  return singleFile(path, arrays, { stack: (columns) => stackColumns(path, columns) })
}

/** The columns of an Arrow file as arrays: its metadata, and the first row of lists and images. */
export function arrowArrays(path: string): Promise<StoredArray[]> {
  return withFile(path, DataError, async (file) => {
    const messages = await readMessages(file)
    const table = { path, ...messages, rows: messages.batches.reduce((sum, { length }) => sum + length, 0) }
    const arrays: StoredArray[] = []
    for (const index of messages.fields.keys()) arrays.push(await columnArray(file, table, index))
    return arrays
  })
}

interface Table extends ArrowMessages {
  readonly path: string
  readonly rows: number
}

async function columnArray(file: RangedFile, table: Table, index: number): Promise<StoredArray> {
  const { path, rows } = table
  const field = table.fields[index]!
  const { name } = field
  const where = `${path}: ${name}`
  if (isImage(field)) return imageArray({ name, where, rows, cells: () => imageCells(table, index, where) })
  const leaf = leafOf(field)
  if (leaf.type.kind !== 'number') {
    const type =
      leaf.type.kind === 'other' ? leaf.type.name : leaf.type.kind === 'struct' ? 'a structure' : 'bytes'
    const refusal = `holds ${type}, not numbers; save it as numbers`
    return { name, shape: [rows], type, refusal }
  }
  const { dtype } = leaf.type
  const shape = await guarded(where, () => firstRowShape(file, table, index))
  const blocks = (): AsyncIterable<TypedArray> => numberBlocks(table, { index, leaf, dtype, shape, where })
  return { name, where, dtype, shape: [rows, ...shape], order: 'row-major', blocks }
}

/** HF datasets' feature Image: a structure of the file's bytes and its path. */
function isImage({ type, children }: ArrowField): boolean {
  return type.kind === 'struct' && children.length <= 2 && children.some((child) => isBytes(child))
}

function isBytes({ name, type }: ArrowField): boolean {
  return name === 'bytes' && type.kind === 'binary'
}

/** What a list column holds, under all its lists. */
function leafOf(field: ArrowField): ArrowField {
  const isList = field.type.kind === 'list' || field.type.kind === 'fixed-list'
  const [child] = field.children
  return isList && child !== undefined && field.dictionary === undefined ? leafOf(child) : field
}

function corruptColumn(where: string, error: unknown): RetrogradError {
  return asDataError(`${where}: corrupt Arrow column`, error)
}

async function guarded<T>(where: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    throw corruptColumn(where, error)
  }
}

/** The lengths of the first row's lists. */
async function firstRowShape(file: RangedFile, { fields, batches }: Table, index: number): Promise<number[]> {
  const batch = batches.find(({ length }) => length > 0)
  const shape: number[] = []
  let column = batch === undefined ? undefined : layOut(fields, batch)[index]
  let at = 0
  while (batch !== undefined && column !== undefined && column.children.length > 0) {
    const { type } = column.field
    if (type.kind === 'fixed-list') {
      shape.push(type.size)
      at *= type.size
    } else if (type.kind === 'list') {
      const offsets = await readOffsets(file, batch, column, type.offsetBytes)
      shape.push((offsets[at + 1] ?? 0) - (offsets[at] ?? 0))
      at = offsets[at] ?? 0
    }
    column = column.children[0]
  }
  return shape
}

interface NumberColumn {
  readonly index: number
  readonly leaf: ArrowField
  readonly dtype: DType
  /** Of one row. */
  readonly shape: readonly number[]
  readonly where: string
}

async function* numberBlocks(table: Table, numbers: NumberColumn): AsyncGenerator<TypedArray> {
  const file = await RangedFile.open(table.path, DataError)
  try {
    let row = 0
    for (const batch of table.batches) {
      yield* batchNumbers(file, table, batch, numbers, row)
      row += batch.length
    }
  } catch (error) {
    throw corruptColumn(numbers.where, error)
  } finally {
    await file.close()
  }
}

/** The numbers of one batch: down through its lists, each of which must be as long as the first row's. */
async function* batchNumbers(
  file: RangedFile,
  { fields }: Table,
  batch: Batch,
  { index, leaf, dtype, shape, where }: NumberColumn,
  row: number,
): AsyncGenerator<TypedArray> {
  let column = layOut(fields, batch)[index]!
  let from = 0
  let to = batch.length
  for (let depth = 0; ; depth += 1) {
    const inRow = elementCount(shape.slice(0, depth))
    const rowOf = (position: number): number => row + Math.floor((position - from) / inRow)
    if (to > column.length)
      throw new Error(`lists that need ${to} elements, where ${column.length} are there`)
    const hole = await firstNull(file, batch, column, from, to)
    if (hole >= 0)
      throw new DataError(`${where} has no value (null) in row ${rowOf(hole)}; fill it or drop the row`)
    if (depth === shape.length) break
    const size = shape[depth]!
    const bad = await listRange(file, batch, column, { from, to, size })
    if ('ragged' in bad) {
      throw new DataError(
        `${where}: row ${rowOf(bad.ragged)} is not ${formatShape(shape)} as row 0 is (a list of ${bad.length}, not ${size}); ${RAGGED}`,
      )
    }
    ;({ from, to } = bad)
    column = column.children[0]!
  }
  if (leaf.dictionary === undefined) yield* readNumbers(file, batch, column, dtype, { from, to })
  else yield* fromDictionary(file, batch, column, { leaf, dtype, from, to })
}

interface ListRange {
  readonly from: number
  readonly to: number
  readonly size: number
}

/** The elements that lists `from` to `to` hold, or the first list that is not `size` long. */
async function listRange(
  file: RangedFile,
  batch: Batch,
  column: Column,
  { from, to, size }: ListRange,
): Promise<{ from: number; to: number } | { ragged: number; length: number }> {
  const { type } = column.field
  if (type.kind === 'fixed-list') return { from: from * type.size, to: to * type.size }
  if (type.kind !== 'list') throw new Error('lists and schema differ')
  const offsets = await readOffsets(file, batch, column, type.offsetBytes)
  for (let i = from; i < to; i += 1) {
    const length = offsets[i + 1]! - offsets[i]!
    if (length !== size) return { ragged: i, length }
  }
  return { from: offsets[from]!, to: offsets[to]! }
}

async function* fromDictionary(
  file: RangedFile,
  batch: Batch,
  column: Column,
  { leaf, dtype, from, to }: { leaf: ArrowField; dtype: DType; from: number; to: number },
): AsyncGenerator<TypedArray> {
  const { id, index } = leaf.dictionary!
  const values: (number | bigint)[] = []
  for (const part of batch.dictionaries.get(id) ?? []) {
    const [entry] = layOut([{ name: leaf.name, type: leaf.type, children: leaf.children }], part)
    if ((await firstNull(file, part, entry!, 0, part.length)) >= 0)
      throw new Error('a null in its dictionary')
    for await (const block of readNumbers(file, part, entry!, dtype, { from: 0, to: part.length }))
      for (const value of block) values.push(value)
  }
  for await (const positions of readNumbers(file, batch, column, index, { from, to })) {
    const chosen = Array.from(positions as ArrayLike<number | bigint>, (position) => {
      const value = values[Number(position)]
      if (value === undefined)
        throw new Error(`value ${String(position)} of a dictionary of ${values.length}`)
      return value
    })
    if (dtype === 'uint64') yield BigUint64Array.from(chosen, BigInt)
    else yield dtype === 'int64' ? BigInt64Array.from(chosen, BigInt) : Float64Array.from(chosen, Number)
  }
}

async function* imageCells(
  table: Table,
  index: number,
  where: string,
): AsyncGenerator<readonly (Uint8Array | undefined)[]> {
  const file = await RangedFile.open(table.path, DataError)
  try {
    for (const batch of table.batches) yield await guarded(where, () => batchCells(file, table, batch, index))
  } finally {
    await file.close()
  }
}

async function batchCells(
  file: RangedFile,
  { fields }: Table,
  batch: Batch,
  index: number,
): Promise<(Uint8Array | undefined)[]> {
  const column = layOut(fields, batch)[index]!
  const bytes = column.children.find(({ field }) => isBytes(field))!
  const { type } = bytes.field
  if (type.kind !== 'binary' || bytes.length < column.length) throw new Error('images and schema differ')
  const offsets = await readOffsets(file, batch, bytes, type.offsetBytes)
  const data = await readBuffer(file, batch, bytes.buffer + 2, offsets[batch.length] ?? 0)
  const present = async (part: Column): Promise<(position: number) => boolean> => {
    if (part.nulls === 0) return () => true
    const bits = await readBuffer(file, batch, part.buffer, Math.ceil(part.length / 8))
    return (position) => bitAt(bits, position)
  }
  const [inStruct, inBytes] = [await present(column), await present(bytes)]
  return Array.from({ length: batch.length }, (_, i) =>
    inStruct(i) && inBytes(i) ? data.subarray(offsets[i], offsets[i + 1]) : undefined,
  )
}
