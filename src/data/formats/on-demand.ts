import { delimiterOf } from './csv-delimiters.js'
import { startsWith, type DataFormat } from './format.js'

// Formats that take a library to read: it is loaded when a file is theirs.

export const parquet: DataFormat = {
  match: ({ head }) => startsWith(head, 'PAR1'),
  open: async ({ path }) => (await import('./parquet.js')).openParquet(path),
}

/** Both forms of Arrow IPC: a file (Feather too) by its magic, a stream by its first message. */
export const arrow: DataFormat = {
  match: ({ head }) =>
    startsWith(head, 'ARROW1') || (head.length >= 8 && startsWith(head, '\xff\xff\xff\xff') && head[7] === 0),
  open: async ({ path }) => (await import('./arrow.js')).openArrow(path),
}

export const csv: DataFormat = {
  match: ({ path }) => delimiterOf(path) !== undefined,
  open: async ({ path }) => (await import('./csv.js')).openCsv(path),
}
