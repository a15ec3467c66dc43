import { createReadStream } from 'node:fs'
import { extname } from 'node:path'
import { parse } from 'csv-parse'

import { DataError, reasonOf } from '../../errors.js'
import type { TypedArray } from '../../tensor.js'
import type { ArrayFile, ReadableArray, StoredArray } from '../stored-array.js'
import { singleFile, type DataFormat } from './format.js'

const DELIMITERS: Readonly<Record<string, string>> = { '.csv': ',', '.tsv': '\t' }

/** The longest line that is read: a row of a million numbers. It keeps a file without line ends out of memory. */
const MAX_LINE = 2 ** 24

/** Rows that are handed on at a time. */
const BLOCK_ROWS = 4096

/**
 * A table of numbers, known by its name. Its first line names the columns; where that line is all numbers, it is the
 * first row and columns are named c0, c1 and so on. Each column is an array [N].
 */
export const csv: DataFormat = {
  match: ({ path }) => extname(path).toLowerCase() in DELIMITERS,
  open: ({ path }) => openCsv(path),
}

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

async function openCsv(path: string): Promise<ArrayFile> {
  const table = await survey(path)
  const arrays = table.columns.map((column): StoredArray => {
    const { name, fault } = column
    if (fault === undefined) return columnsArray(path, table, [column])
    return { name, shape: [table.rows], type: 'text', refusal: fault }
  })
  const stack = (chosen: readonly ReadableArray[]): ReadableArray => {
    const columns = table.columns.filter(({ name }) => chosen.some((array) => array.name === name))
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
  for await (const { cells, line } of records(path)) {
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
  const twice = names.find((name, index) => names.indexOf(name) !== index)
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

/** A cell as a number, NaN where it is none. Number() alone takes '' for 0, and 0x10 for 16. */
function numberOf(cell: string): number {
  return /^\s*[-+]?(\d|\.\d|inf)/i.test(cell) && !/^\s*[-+]?0[xob]/i.test(cell)
    ? Number(cell.replace(/inf(inity)?/i, 'Infinity'))
    : NaN
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
  const dtype = whole ? 'int64' : 'float64'
  const blocks = (): AsyncIterable<TypedArray> => columnBlocks(path, table, columns, whole)
  return { name, where: `${path}: ${name}`, shape, dtype, order: 'row-major', notes, blocks }
}

async function* columnBlocks(
  path: string,
  { header }: Table,
  columns: readonly Column[],
  whole: boolean,
): AsyncGenerator<TypedArray> {
  let values: number[] = []
  let skip = header
  for await (const { cells } of records(path)) {
    if (!skip) for (const { index } of columns) values.push(numberOf(cells[index]!))
    skip = false
    if (values.length < BLOCK_ROWS * columns.length) continue
    yield typed(values, whole)
    values = []
  }
  if (values.length > 0) yield typed(values, whole)
}

function typed(values: readonly number[], whole: boolean): TypedArray {
  return whole ? BigInt64Array.from(values, BigInt) : Float64Array.from(values)
}

interface Line {
  readonly cells: readonly string[]
  readonly line: number
}

async function* records(path: string): AsyncGenerator<Line> {
  const parser = parse({
    delimiter: DELIMITERS[extname(path).toLowerCase()]!,
    bom: true,
    skip_empty_lines: true,
    max_record_size: MAX_LINE,
    info: true,
  })
  const source = createReadStream(path)
  source.on('error', (error) => parser.destroy(error))
  source.pipe(parser)
  try {
    for await (const { record, info } of parser as AsyncIterable<{
      record: string[]
      info: { lines: number }
    }>)
      yield { cells: record, line: info.lines }
  } catch (error) {
    throw new DataError(`${path}: not a table of comma- or tab-separated values: ${reasonOf(error)}`)
  } finally {
    source.destroy()
    parser.destroy()
  }
}
