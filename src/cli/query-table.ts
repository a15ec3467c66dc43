import type { DuckDBValue } from '@duckdb/node-api'
import type { Colors } from 'picocolors/types.js'
import { printable } from '../printable.js'
import type { QueryResult } from '../tables/query.js'
import { isNumeric, valueText } from './query-values.js'
import { grouped } from '../counting.js'
import textWidth from './text-width.js'

/** Characters that a value may take; longer ones end in an ellipsis. */
const MAX_CELL = 48
/** Elements of a list that are looked at: those of a parameter table's lists are millions. */
const MAX_ITEMS = 24
const GAP = '  '

export interface TableLimits {
  /** Rows that are shown. */
  readonly rows: number
  /** Columns of the terminal; Infinity where it is none. */
  readonly width: number
}

interface Column {
  readonly cells: readonly string[]
  readonly width: number
  readonly isNumber: boolean
}

/** A result as a table for people, with what was left out: rows beyond the limit, columns that the terminal has no room for. */
export async function renderRows(result: QueryResult, limits: TableLimits, color: Colors): Promise<string> {
  const { shown, total } = await firstRows(result, limits.rows)
  const columns = fitting(columnsOf(result, shown), limits.width)
  const lines = [0, ...shown.keys()].map((_, line) => {
    const text = columns
      .map((column) => aligned(column, line))
      .join(GAP)
      .trimEnd()
    return line === 0 ? color.dim(text) : text
  })
  return [
    ...lines,
    ...leftOut(result, { shown: shown.length, total, columns: columns.length }, color),
    '',
  ].join('\n')
}

async function firstRows(
  { chunks }: QueryResult,
  limit: number,
): Promise<{ shown: (readonly DuckDBValue[])[]; total: number }> {
  const shown: (readonly DuckDBValue[])[] = []
  let total = 0
  for await (const rows of chunks()) {
    total += rows.length
    if (shown.length < limit) shown.push(...rows.slice(0, limit - shown.length))
  }
  return { shown, total }
}

function columnsOf({ names, types }: QueryResult, rows: readonly (readonly DuckDBValue[])[]): Column[] {
  return names.map((name, i) => {
    const cells = [cellText(name), ...rows.map((row) => cellText(shortText(row[i]!, types[i]!)))]
    return { cells, width: Math.max(...cells.map(textWidth)), isNumber: isNumeric(types[i]!) }
  })
}

function shortText(value: DuckDBValue, type: string): string {
  if (value === null) return 'NULL'
  const isLong = typeof value === 'object' && 'items' in value && value.items.length > MAX_ITEMS
  if (!isLong) return valueText(value, type)
  return `[${value.items.slice(0, MAX_ITEMS).map(String).join(', ')}, …`
}

/** In one line, without what could move the cursor, and not too long. */
function cellText(text: string): string {
  const line = printable(text).replaceAll('\n', '\\n').replaceAll('\t', '\\t')
  const characters = Array.from(line)
  return characters.length > MAX_CELL ? `${characters.slice(0, MAX_CELL - 1).join('')}…` : line
}

/** The columns that there is room for: the first ones; at least one. */
function fitting(columns: readonly Column[], width: number): readonly Column[] {
  let taken = 0
  const count = columns.findIndex((column) => (taken += column.width + GAP.length) - GAP.length > width)
  return count === -1 ? columns : columns.slice(0, Math.max(1, count))
}

function aligned({ cells, width, isNumber }: Column, line: number): string {
  const cell = cells[line]!
  const padding = ' '.repeat(width - textWidth(cell))
  return isNumber ? padding + cell : cell + padding
}

interface Shown {
  readonly shown: number
  readonly total: number
  readonly columns: number
}

function leftOut({ names }: QueryResult, { shown, total, columns }: Shown, color: Colors): string[] {
  const notes: string[] = []
  if (shown < total) notes.push(`${grouped(shown)} of ${grouped(total)} rows; --rows 0 shows all`)
  else notes.push(total === 1 ? '1 row' : `${grouped(total)} rows`)
  if (columns < names.length) {
    const others = names.slice(columns).map(cellText).join(', ')
    notes.push(`${columns} of ${names.length} columns fit; the others are ${others}`)
  }
  return notes.map((note) => color.dim(note))
}
