import { createWriteStream } from 'node:fs'
import { extname } from 'node:path'
import { Readable } from 'node:stream'
import { text as readText } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { isatty } from 'node:tty'
import type { Arguments, ArgumentsCamelCase, Argv, Options } from 'yargs'
import { EXIT, UsageError } from '../errors.js'
import { printable } from '../printable.js'
import { openQuery, type Query, type QueryResult } from '../tables/query.js'
import { openTables, type Archive, type Results } from '../tables/read.js'
import { checkOptions } from './check-options.js'
import type { Command } from './commands.js'
import { onInterrupt } from './interrupt.js'
import { csvLines, jsonlLines, jsonLines, type Lines } from './query-lines.js'
import { listingResult, listTables, renderListing } from './query-listing.js'
import { renderRows } from './query-table.js'
import { colors } from './text.js'
import { assertFree, partialOf, writeWhole } from './whole-file.js'

const FORMATS = ['table', 'csv', 'json', 'jsonl', 'parquet'] as const
type Format = (typeof FORMATS)[number]

const BY_EXTENSION: Readonly<Record<string, Format>> = {
  '.csv': 'csv',
  '.json': 'json',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.parquet': 'parquet',
  '.txt': 'table',
}

const OPTIONS = {
  format: {
    choices: FORMATS,
    describe: "How rows are written [table on a terminal, csv elsewhere, --out by its file's ending]",
  },
  out: { type: 'string', describe: 'File to write instead of stdout; parquet needs one' },
  overwrite: { type: 'boolean', default: false, describe: 'Replace the file that --out names' },
  rows: { type: 'number', default: 40, describe: 'Rows that a table shows; 0 for all' },
  threads: {
    type: 'number',
    default: 1,
    describe: 'Threads; with more than one, sums of floating point numbers may differ in their last digits',
  },
  memory: { type: 'string', describe: 'Memory to use before temporary files, such as 4GB [80 %]' },
} as const satisfies Record<string, Options>

type OptionsOf<B> = B extends Argv<infer A> ? A : never
type QueryOptionTypes = OptionsOf<ReturnType<typeof options>>
type QueryArguments = ArgumentsCamelCase<QueryOptionTypes>

function options(yargs: Argv) {
  return yargs
    .positional('results', {
      type: 'string',
      demandOption: true,
      describe: 'Results folder of a run, or the tree of many that batch writes',
    })
    .positional('sql', {
      type: 'string',
      describe: 'The query; - to read it from stdin; without one the tables are listed',
    })
    .options(OPTIONS)
    .middleware(keepDash, true)
    .middleware(checkOptions({ ...OPTIONS, results: {}, sql: {} }), true)
}

/** The parser takes a lone dash for the beginning of an option, and leaves nothing of it. */
function keepDash(argv: Arguments): void {
  if (argv.sql !== '') return
  if (!process.argv.includes('-')) throw new UsageError('the query is empty; - reads one from stdin')
  argv.sql = '-'
}

const EXAMPLES: readonly [string, string][] = [
  ['$0 query results', 'the tables with their columns'],
  [
    `$0 query results "select step_from, step_to, sum(lca) as lca from tensors where split = 'train' and layer = 'fc1' group by all order by lca desc limit 10"`,
    'the steps in which a layer hurt most',
  ],
  [
    `$0 query results "pivot (select * from tensors where split = 'train') on layer using sum(lca) group by step_to order by step_to" > layers.csv`,
    'LCA by step and layer, for a spreadsheet',
  ],
  [
    '$0 query results "select split, step_to, helping / parameters as helping from steps" --out helping.parquet',
    'the share of parameters that helped, as a table of its own',
  ],
  [
    '$0 query runs "select run, layer, sum(lca) as lca from tensors join steps using (run, split, interval, step_from, step_to) where converged group by all order by all"',
    'layers of all runs of a batch, over the intervals that converged',
  ],
  ['$0 query results - < query.sql', 'a query from a file'],
]

export const queryCommand: Command<QueryOptionTypes> = {
  builder: (yargs) =>
    EXAMPLES.reduce((all, [line, what]) => all.example(line, what), options(yargs)).epilogue(
      "The SQL is DuckDB's (https://duckdb.org/docs/sql/introduction). It reads the tables of the results and no other " +
        'file. In JSON, NaN is null. docs/tables.md says what the columns mean, docs/dataframes.md has more queries. ' +
        'Exit codes: 2 the query is wrong; the others as retrograd --help says.',
    ),
  handler: async (argv) => {
    process.exitCode = await query(argv)
  },
}

async function query(argv: QueryArguments): Promise<number> {
  const format = formatOf(argv)
  checkNumbers(argv)
  if (argv.out !== undefined) await assertFree(argv.out, argv.overwrite)
  const source = await openTables(argv.results)
  if (argv.sql === undefined) {
    await list(source, argv, format)
    return EXIT.done
  }
  const sql = argv.sql === '-' ? await readText(process.stdin) : argv.sql
  return ask(source, sql, argv, format)
}

function formatOf({ format, out, sql }: QueryArguments): Format {
  if (format === 'parquet' && out === undefined)
    throw new UsageError('--format parquet needs a file: --out FILE.parquet')
  if (format !== undefined) return format
  if (out === undefined) return sql === undefined || isatty(process.stdout.fd) ? 'table' : 'csv'
  const known = BY_EXTENSION[extname(out).toLowerCase()]
  if (known !== undefined) return known
  throw new UsageError(
    `--out ${out}: name a format, --format ${FORMATS.join('|')}, or a file that ends in one`,
  )
}

function checkNumbers({ rows, threads, memory }: QueryArguments): void {
  if (!Number.isInteger(rows) || rows < 0) throw new UsageError('--rows takes a number of rows, 0 for all')
  if (memory !== undefined && !/^\d+(\.\d+)? ?[KMGT]i?B$/i.test(memory))
    throw new UsageError(`--memory ${memory}: that is no amount of memory such as 500MB or 4GB`)
  if (!Number.isInteger(threads) || threads < 1) throw new UsageError('--threads takes a number of 1 or more')
}

async function list(source: Results | Archive, argv: QueryArguments, format: Format): Promise<void> {
  const tables = listTables(source)
  if (format === 'parquet') throw new UsageError('--format parquet needs a query')
  if (format === 'table') await print([renderListing(tables, colors())], argv.out)
  else await print(LINES[format](listingResult(tables)), argv.out)
}

async function ask(
  source: Results | Archive,
  sql: string,
  argv: QueryArguments,
  format: Format,
): Promise<number> {
  const query = await openQuery(source, {
    threads: argv.threads,
    ...(argv.memory !== undefined && { memoryLimit: argv.memory }),
    ...(argv.out !== undefined && { output: partialOf(argv.out) }),
  })
  const interrupt = onInterrupt(() => {
    query.interrupt()
  })
  try {
    await answer(query, sql, { ...argv, format, signal: interrupt.signal })
    return EXIT.done
  } catch (error) {
    if (interrupt.signal.aborted) return EXIT.interrupted
    throw error
  } finally {
    interrupt.done()
    await query.close()
  }
}

interface Wanted {
  readonly format: Format
  readonly out?: string | undefined
  readonly rows: number
  readonly signal: AbortSignal
}

async function answer(query: Query, sql: string, wanted: Wanted): Promise<void> {
  const { format, out, rows, signal } = wanted
  if (format === 'parquet') {
    await writeWhole(out!, () => query.writeParquet(sql))
    return
  }
  const result = await query.result(sql)
  if (format !== 'table') {
    await print(LINES[format](result), out, signal)
    return
  }
  const limits = {
    rows: rows === 0 ? Infinity : rows,
    width: out === undefined && isatty(process.stdout.fd) ? process.stdout.columns || Infinity : Infinity,
  }
  await print([await renderRows(result, limits, colors())], out, signal)
}

const LINES: Readonly<Record<'csv' | 'json' | 'jsonl', (result: QueryResult) => Lines>> = {
  csv: csvLines,
  json: jsonLines,
  jsonl: jsonlLines,
}

/** To the file, or to stdout: to a terminal without control characters, to a pipe as it is, until the reader has enough. */
async function print(
  lines: Lines | readonly string[],
  out: string | undefined,
  signal = new AbortController().signal,
): Promise<void> {
  if (out !== undefined) {
    await writeWhole(out, (partial) => pipeline(Readable.from(lines), createWriteStream(partial), { signal }))
    return
  }
  const shown = isatty(process.stdout.fd) && Symbol.asyncIterator in lines ? safe(lines) : lines
  try {
    await pipeline(Readable.from(shown), process.stdout, { end: false, signal })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
  }
}

async function* safe(lines: Lines): Lines {
  for await (const line of lines) yield printable(line)
}
