import { resolve } from 'node:path'
import type { Archive, Results } from './read.js'
import { TABLE_NAMES, type TableName } from './schema.js'

/** A table as a query sees it: a view over the files that the manifests name. */
export interface TableView {
  readonly name: TableName
  /** Absolute paths of the files that it reads. */
  readonly files: readonly string[]
  /** The SELECT statement that the view stands for. */
  readonly sql: string
}

/**
 * The tables of a run; of a tree of many, the rows of all runs that have the table, run by run, with a last column `run`,
 * a string whatever the runs are called. Throws ResultsError when a file is missing.
 */
export async function tableViews(source: Results | Archive): Promise<TableView[]> {
  const views: TableView[] = []
  for (const name of TABLE_NAMES) {
    const view = 'runs' in source ? await viewOfTree(source, name) : await viewOfRun(source, name)
    if (view !== undefined) views.push(view)
  }
  return views
}

async function viewOfRun(results: Results, name: TableName): Promise<TableView | undefined> {
  if (!results.tables.includes(name)) return undefined
  const files = await filesOf(results, name)
  return { name, files, sql: `SELECT * FROM ${scan(files)}` }
}

async function viewOfTree({ runs }: Archive, name: TableName): Promise<TableView | undefined> {
  const selects: string[] = []
  const all: string[] = []
  for (const [run, results] of runs) {
    if (!results.tables.includes(name)) continue
    const files = await filesOf(results, name)
    selects.push(`SELECT *, ${text(run)} AS run FROM ${scan(files)}`)
    all.push(...files)
  }
  return selects.length === 0 ? undefined : { name, files: all, sql: selects.join('\nUNION ALL ') }
}

async function filesOf(results: Results, name: TableName): Promise<string[]> {
  return (await results.partsOf(name)).map((path) => resolve(path))
}

/** The files that the manifest names, not a pattern: others may lie beside them. */
function scan(files: readonly string[]): string {
  return `read_parquet(${list(files.map(literal))}, hive_partitioning = false)`
}

/** A path that is a pattern to DuckDB wherever a folder is called `a[1]` or `*`, as the pattern of itself alone. */
export function literal(path: string): string {
  return path.replace(/[[*?]/g, '[$&]')
}

/** A list of strings in SQL. */
export function list(texts: readonly string[]): string {
  return `[${texts.map(text).join(', ')}]`
}

/** A string in SQL, which itself ends at a zero character: that is put in by a function. */
export function text(value: string): string {
  const parts = value.split('\0').map((part) => `'${part.replaceAll("'", "''")}'`)
  return parts.length === 1 ? parts[0]! : `(${parts.join(' || chr(0) || ')})`
}

/** A name in SQL. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
