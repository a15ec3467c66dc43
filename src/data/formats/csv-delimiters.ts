import { extname } from 'node:path'

const DELIMITERS: Readonly<Record<string, string>> = { '.csv': ',', '.tsv': '\t' }

/** What stands between the cells of a table of text, which is known by its name; undefined where it is none. */
export function delimiterOf(path: string): string | undefined {
  return DELIMITERS[extname(path).toLowerCase()]
}
