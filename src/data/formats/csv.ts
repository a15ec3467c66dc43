import { DataError } from '../../errors.js'
import type { TypedArray } from '../../tensor.js'
import type { ArrayFile, ReadableArray, StoredArray } from '../stored-array.js'
import { delimiterOf } from './csv-delimiters.js'
import { readLines } from './csv-lines.js'
import { singleFile } from './format.js'

/** Cells that are handed on at a time. */
const BLOCK_CELLS = 2 ** 16

/** What a pass over the file found in a column. */
interface Column {
  readonly name: string
  readonly index: number
  whole: boolean
  smallest: number
  largest: number
  /** The first cell that is no number. */
  fault?: string
}

/**
 * A table of numbers, known by its name. Its first line names the columns; where that line is all numbers, it is the
 * first row and columns are named c0, c1 and so on. Each column is an array [N].
 */
export async function openCsv(path: string): Promise<ArrayFile> {
  const table = await survey(path)
  const arrays = table.columns.map((column): StoredArray => {
    const { name, fault } = column
    if (fault === undefined) return columnsArray(path, table, [column])
    return { name, shape: [table.rows], type: 'text', refusal: fault }
  })
  const stack = (chosen: readonly ReadableArray[]): ReadableArray => {
    const names = new Set(chosen.map(({ name }) => name))
    const columns = table.columns.filter(({ name }) => names.has(name))
    return columnsArray(path, table, columns, [table.rows, columns.length])
  }
  return singleFile(path, arrays, { stack })
}

interface Table {
  readonly columns: readonly Column[]
  readonly rows: number
  /** Whether the first line names the columns. */
  readonly header: boolean
}

/** Reads the whole file once: what its columns are called and hold. */
async function survey(path: string): Promise<Table> {
  let columns: Column[] | undefined
  let header = false
  let rows = 0
  for await (const { cells, line } of linesOf(path)) {
    if (columns === undefined) {
      header = !cells.every((cell) => Number.isFinite(numberOf(cell)))
      columns = nameColumns(path, cells, header)
      if (header) continue
    }
    for (const column of columns) inspect(column, cells[column.index]!, line)
    rows += 1
  }
  if (columns === undefined) throw new DataError(`${path}: a table without a line`)
  return { columns, rows, header }
}

function nameColumns(path: string, cells: readonly string[], header: boolean): Column[] {
  const names = cells.map((cell, index) => (header ? cell.trim() : `c${index}`))
  const seen = new Set<string>()
  const twice = names.find((name) => seen.size === seen.add(name).size)
  if (twice !== undefined) throw new DataError(`${path}: two columns are named '${twice}'; rename one`)
  return names.map((name, index) => ({ name, index, whole: true, smallest: Infinity, largest: -Infinity }))
}

function inspect(column: Column, cell: string, line: number): void {
  const value = numberOf(cell)
  if (Number.isNaN(value)) {
    column.fault ??=
      cell.trim() === ''
        ? `has no value in line ${line}; fill it or drop the row`
        : `holds text (${JSON.stringify(cell.slice(0, 20))} in line ${line}); save it as numbers, as pandas.factorize gives them`
  }
  column.whole &&= Number.isSafeInteger(value)
  column.smallest = Math.min(column.smallest, value)
  column.largest = Math.max(column.largest, value)
}

/** A cell as a number, NaN where it is none. Number() alone takes '' for 0, 0x10 for 16, and knows no inf. */
function numberOf(cell: string): number {
  const value = Number(cell)
  if (Number.isNaN(value))
    return /^\s*[-+]?inf(inity)?\s*$/i.test(cell) ? (cell.includes('-') ? -Infinity : Infinity) : NaN
  if (value === 0 && cell.trim() === '') return NaN
  return cell.length > 2 && /^\s*0[xob]/i.test(cell) ? NaN : value
}

/** Columns side by side, in the file's order. */
function columnsArray(
  path: string,
  table: Table,
  columns: readonly Column[],
  shape: readonly number[] = [table.rows],
): ReadableArray {
  const whole = columns.every((column) => column.whole)
  const isPixels = whole && shape.length === 2 && columns.every(({ smallest }) => smallest >= 0)
  const largest = columns.reduce((most, column) => Math.max(most, column.largest), 0)
  const notes =
    isPixels && largest > 100 && largest <= 255
      ? [`${path}: whole numbers from 0 to ${largest}, taken as they are; --scale 255 divides them by 255`]
      : []
  const name = shape.length === 2 ? 'x' : columns[0]!.name
  const dtype = dtypeOf(columns)
  const blocks = (): AsyncIterable<TypedArray> => columnBlocks(path, table, columns, dtype)
  return { name, where: `${path}: ${name}`, shape, dtype, order: 'row-major', notes, blocks }
}

/** The narrowest type that holds all values exactly; text has none of its own. */
function dtypeOf(columns: readonly Column[]): 'int32' | 'int64' | 'float64' {
  if (!columns.every(({ whole }) => whole)) return 'float64'
  return columns.every(({ smallest, largest }) => smallest >= -(2 ** 31) && largest < 2 ** 31)
    ? 'int32'
    : 'int64'
}

async function* columnBlocks(
  path: string,
  { header }: Table,
  columns: readonly Column[],
  dtype: 'int32' | 'int64' | 'float64',
): AsyncGenerator<TypedArray> {
  const rows = Math.max(1, Math.floor(BLOCK_CELLS / columns.length))
  const block = (): Int32Array | Float64Array =>
    dtype === 'int32' ? new Int32Array(rows * columns.length) : new Float64Array(rows * columns.length)
  let values = block()
  let held = 0
  let skip = header
  for await (const { cells } of linesOf(path)) {
    if (!skip) for (const { index } of columns) values[held++] = numberOf(cells[index]!)
    skip = false
    if (held < values.length) continue
    yield dtype === 'int64' ? BigInt64Array.from(values, BigInt) : values
    values = block()
    held = 0
  }
  const rest = values.subarray(0, held)
  if (held > 0) yield dtype === 'int64' ? BigInt64Array.from(rest, BigInt) : rest
}

function linesOf(path: string): ReturnType<typeof readLines> {
  return readLines(path, delimiterOf(path)!)
}
