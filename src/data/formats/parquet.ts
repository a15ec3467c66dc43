import {
  parquetMetadata,
  parquetSchema,
  type ColumnMetaData,
  type DecodedArray,
  type FileMetaData,
  type SchemaTree,
} from 'hyparquet'

import { DataError } from '../../errors.js'
import { widenFloat16 } from '../../io/float16.js'
import { RangedFile, withFile } from '../../io/ranged-file.js'
import { MAX_DEFLATE_RATIO } from '../../io/zip.js'
import { BYTES_PER_ELEMENT, type DType, type TypedArray } from '../../tensor.js'
import { imageArray } from '../images/column.js'
import type { ArrayFile, StoredArray } from '../stored-array.js'
import { asDataError, singleFile, startsWith } from './format.js'
import { readPages, type Page } from './parquet-pages.js'
import { columnKind, type Leaf } from './parquet-schema.js'
import { endOfThrift } from './parquet-thrift.js'
import { RowChecker, shapeOfRow } from './rows.js'
import { stackColumns } from './stack.js'

const TAIL_BYTES = 8

/** Footers of the widest tables take some megabytes. */
const MAX_FOOTER_BYTES = 2 ** 28

/**
 * A Parquet table (https://parquet.apache.org/docs/file-format). Its columns are arrays: numbers [N], lists and nested
 * lists [N, ...], and images as HF datasets stores them (struct of bytes and path) uint8 [N, H, W, C].
 */
export async function openParquet(path: string): Promise<ArrayFile> {
  const arrays = await parquetArrays(path)
  return singleFile(path, arrays, { stack: (columns) => stackColumns(path, columns) })
}

/** The columns of a table as arrays: footer, and the first row of lists and images. */
export async function parquetArrays(path: string): Promise<StoredArray[]> {
  return withFile(path, DataError, async (file) => {
    const { metadata, columns } = await readFooter(file)
    const table: Table = { path, size: file.size, metadata, rows: Number(metadata.num_rows) }
    const arrays: StoredArray[] = []
    for (const column of columns) arrays.push(await columnArray(table, column))
    return arrays
  })
}

interface Table {
  readonly path: string
  readonly size: number
  readonly metadata: FileMetaData
  readonly rows: number
}

async function readFooter(
  file: RangedFile,
): Promise<{ metadata: FileMetaData; columns: readonly SchemaTree[] }> {
  const { path, size } = file
  const tail = await file.read(Math.max(0, size - TAIL_BYTES), Math.min(TAIL_BYTES, size))
  if (!startsWith(tail.subarray(4), 'PAR1'))
    throw new DataError(`${path}: truncated Parquet file: it does not end with its footer; copy it again`)
  const length = new DataView(tail.buffer).getUint32(0, true)
  if (length > Math.min(MAX_FOOTER_BYTES, size - TAIL_BYTES - 4))
    throw new DataError(`${path}: corrupt Parquet file: a footer of ${length} bytes in a file of ${size}`)
  const footer = await file.read(size - TAIL_BYTES - length, length + TAIL_BYTES)
  return guarded(`${path}: corrupt Parquet file`, () => {
    if (endOfThrift(footer.subarray(0, length), 0) === undefined) throw new Error('its footer ends early')
    const metadata = parquetMetadata(footer.buffer)
    const rows = metadata.row_groups.reduce((sum, group) => sum + Number(group.num_rows), 0)
    if (rows !== Number(metadata.num_rows) || metadata.row_groups.some((group) => group.num_rows < 0))
      throw new Error(`its row groups have ${rows} rows, its footer says ${metadata.num_rows}`)
    return { metadata, columns: parquetSchema(metadata).children }
  })
}

function guarded<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw asDataError(what, error)
  }
}

async function columnArray(table: Table, column: SchemaTree): Promise<StoredArray> {
  const { path, rows } = table
  const { name } = column.element
  const where = `${path}: ${name}`
  const kind = guarded(where, () => columnKind(column))
  if (kind.kind === 'images') {
    chunksOf(table, kind.leaf, where)
    return imageArray({ name, where, rows, cells: () => imageCells(table, kind.leaf, where) })
  }
  if (kind.kind === 'other') {
    const refusal = `holds ${kind.type}, not numbers; save it as numbers`
    return { name, shape: [rows], type: kind.type, refusal }
  }
  const { leaf, dtype } = kind
  const values = chunksOf(table, leaf, where).reduce((sum, chunk) => sum + Number(chunk.num_values), 0)
  const bytes = values * BYTES_PER_ELEMENT[dtype]
  if (bytes > table.size * MAX_DEFLATE_RATIO) {
    const refusal = `claims ${bytes} bytes in a file of ${table.size}: corrupt`
    return { name, shape: [rows], type: dtype, refusal }
  }
  const shape = leaf.maxRepetition === 0 ? [] : await firstRowShape(table, leaf, where)
  const blocks = (): AsyncIterable<TypedArray> => numberBlocks(table, leaf, dtype, where, shape)
  return { name, where, dtype, shape: [rows, ...shape], order: 'row-major', blocks }
}

/** The column's chunks, one for each row group. */
function chunksOf({ metadata }: Table, leaf: Leaf, where: string): ColumnMetaData[] {
  return metadata.row_groups.map(({ columns }, group) => {
    const chunk = columns.find(
      ({ meta_data: found }) => found?.path_in_schema.join('\0') === leaf.path.join('\0'),
    )
    if (chunk?.file_path !== undefined) throw new DataError(`${where}: its values are in another file`)
    if (chunk?.meta_data === undefined)
      throw new DataError(`${where}: corrupt: it is missing in row group ${group}`)
    if (chunk.meta_data.num_values < 0) throw new DataError(`${where}: corrupt: a negative number of values`)
    return chunk.meta_data
  })
}

/** All pages of a column. What goes wrong on the way is a DataError with the column's name. */
async function* pagesOf(table: Table, leaf: Leaf, where: string): AsyncGenerator<Page> {
  const file = await RangedFile.open(table.path, DataError)
  try {
    for (const chunk of chunksOf(table, leaf, where)) yield* readPages(file, chunk, leaf)
  } catch (error) {
    throw asDataError(`${where}: corrupt or unread Parquet column`, error)
  } finally {
    await file.close()
  }
}

/** The most values of one row; a sample of more would leave no memory for its levels, and none is known. */
const MAX_ROW_VALUES = 2 ** 24

/** The shape of the first row of a list column, from its repetition levels. */
async function firstRowShape(table: Table, leaf: Leaf, where: string): Promise<number[]> {
  const levels: number[] = []
  for await (const page of pagesOf(table, leaf, where)) {
    for (const level of page.repetition ?? []) {
      if (level === 0 && levels.length > 0) return shapeOfRow(levels, leaf.maxRepetition)
      if (levels.length === MAX_ROW_VALUES)
        throw new DataError(
          `${where}: a row of more than ${MAX_ROW_VALUES} values; save samples as rows of their own`,
        )
      levels.push(level)
    }
  }
  return levels.length === 0 ? [] : shapeOfRow(levels, leaf.maxRepetition)
}

async function* numberBlocks(
  table: Table,
  leaf: Leaf,
  dtype: DType,
  where: string,
  shape: readonly number[],
): AsyncGenerator<TypedArray> {
  const checker = new RowChecker(where, shape)
  for await (const page of pagesOf(table, leaf, where)) {
    for (let i = 0; i < page.count; i += 1) {
      const definition = page.definition?.[i] ?? leaf.maxDefinition
      if (definition !== leaf.maxDefinition) throw missing(where, checker.rows, leaf)
      checker.take(page.repetition?.[i] ?? 0)
    }
    if (page.count > 0) yield guarded(where, () => typedValues(page.values, dtype))
  }
  if (checker.rows !== table.rows)
    throw new DataError(`${where}: corrupt: ${checker.rows} rows, where its footer says ${table.rows}`)
}

function missing(where: string, row: number, { maxRepetition }: Leaf): DataError {
  const what = maxRepetition === 0 ? 'no value (null)' : 'a null or an empty list'
  return new DataError(`${where} has ${what} in row ${row}; fill it or drop the row`)
}

/** Parquet knows 32 and 64 bits; narrower and unsigned types are kept in them. */
function typedValues(values: DecodedArray, dtype: DType): TypedArray {
  switch (dtype) {
    case 'float16':
      return widenFloat16(Uint16Array.from(values as Uint8Array[], ([low = 0, high = 0]) => low + high * 256))
    case 'bool':
      return Uint8Array.from(values as ArrayLike<number>, Number)
    case 'uint8':
      return narrowed(values, Uint8Array)
    case 'int8':
      return narrowed(values, Int8Array)
    case 'uint16':
      return narrowed(values, Uint16Array)
    case 'int16':
      return narrowed(values, Int16Array)
    case 'uint32':
      return Uint32Array.from(values as Int32Array)
    case 'uint64':
      return BigUint64Array.from(values as BigInt64Array)
    default:
      return values as TypedArray
  }
}

function narrowed<T extends Uint8Array | Int8Array | Uint16Array | Int16Array>(
  values: DecodedArray,
  Narrow: { from(values: ArrayLike<number>): T },
): T {
  const wide = values as Int32Array
  const narrow = Narrow.from(wide)
  const bad = wide.findIndex((value, i) => value !== narrow[i])
  if (bad >= 0) throw new Error(`corrupt: ${wide[bad]!} in a column of ${narrow.constructor.name}`)
  return narrow
}

async function* imageCells(
  table: Table,
  leaf: Leaf,
  where: string,
): AsyncGenerator<readonly (Uint8Array | undefined)[]> {
  for await (const { count, definition, values } of pagesOf(table, leaf, where)) {
    let next = 0
    const cells: (Uint8Array | undefined)[] = []
    for (let i = 0; i < count; i += 1) {
      const present = (definition?.[i] ?? leaf.maxDefinition) === leaf.maxDefinition
      cells.push(present ? (values[next++] as Uint8Array) : undefined)
    }
    yield cells
  }
}
