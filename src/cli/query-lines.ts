import type { DuckDBValue } from '@duckdb/node-api'
import type { QueryResult } from '../tables/query.js'
import { jsonText, stringJson, valueText } from './query-values.js'

type Row = readonly DuckDBValue[]

/** A result as the text of a file, some rows at a time. */
export type Lines = AsyncGenerator<string>

/** CSV by RFC 4180 with a line of names. NULL is an empty field, an empty string is `""`. */
export async function* csvLines({ names, types, chunks }: QueryResult): Lines {
  yield `${names.map(csvField).join(',')}\n`
  const field = (value: DuckDBValue, i: number): string =>
    value === null ? '' : csvField(valueText(value, types[i]!))
  for await (const rows of chunks()) yield join(rows, (row) => `${row.map(field).join(',')}\n`)
}

/** An array of objects, each in a line of its own. */
export async function* jsonLines(result: QueryResult): Lines {
  let before = '['
  for await (const rows of result.chunks()) {
    const object = objectOf(result)
    yield join(rows, (row) => {
      const text = `${before}\n${object(row)}`
      before = ','
      return text
    })
  }
  yield before === '[' ? '[]\n' : '\n]\n'
}

/** An object a line, without commas between them. */
export async function* jsonlLines(result: QueryResult): Lines {
  const object = objectOf(result)
  for await (const rows of result.chunks()) yield join(rows, (row) => `${object(row)}\n`)
}

function objectOf({ names, types }: QueryResult): (row: Row) => string {
  const keys = names.map(stringJson)
  return (row) => `{${row.map((value, i) => `${keys[i]!}:${jsonText(value, types[i])}`).join(',')}}`
}

function csvField(text: string): string {
  return text === '' || /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function join(rows: readonly Row[], line: (row: Row) => string): string {
  return rows.map(line).join('')
}
