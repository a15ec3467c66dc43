import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { tableFromIPC } from 'apache-arrow'
import ts from 'typescript'
import type { Answer, Row } from './compare.js'
import type { Block } from './page.js'

export interface Place {
  /** Folder in which `results` and `runs` lie. */
  readonly folder: string
  readonly python: string
  /** The compiled command line. */
  readonly main: string
}

/** What runs the blocks of a tool, and gives the answers of those that claim something. */
export type Program = (blocks: readonly Block[], place: Place, tool: string) => Answer[]

/** Calls in the program of a tool write what a claim names into this file, a line of JSON each. */
const ANSWERS = 'answers.jsonl'

const PYTHON_EMIT = `
def _emit(name, found):
    import json
    if hasattr(found, "to_frame") and hasattr(found, "index") and not hasattr(found, "columns"): found = found.to_frame()
    if hasattr(found, "reset_index"): found = found.reset_index().to_dict("records")
    elif hasattr(found, "to_dicts"): found = found.to_dicts()
    plain = lambda value: value.item() if hasattr(value, "item") else value
    rows = [{str(key): plain(value) for key, value in row.items()} for row in found]
    with open("${ANSWERS}", "a") as file: file.write(json.dumps({"name": name, "rows": rows}) + "\\n")
`

export const python: Program = (blocks, place, tool) => {
  const code = blocks.map(
    ({ code, claim }) => `${code}\n${claim ? `_emit("${claim.name}", ${claim.name})` : ''}\n`,
  )
  return answersOf(blocks, place, tool, () => {
    run(place.python, ['-c', `${PYTHON_EMIT}\n${code.join('\n')}`], place)
  })
}

/** The views of the page, then each of its queries, in Python's DuckDB. */
export const duckdb: Program = (blocks, place, tool) => {
  const code = blocks.map(({ code, claim }) => {
    const text = JSON.stringify(code)
    if (claim === undefined) return `duckdb.sql(${text})\n`
    return `_answer = duckdb.sql(${text})\n_emit("${claim.name}", [dict(zip(_answer.columns, row)) for row in _answer.fetchall()])\n`
  })
  return answersOf(blocks, place, tool, () => {
    run(place.python, ['-c', `${PYTHON_EMIT}\nimport duckdb\n${code.join('\n')}`], place)
  })
}

/** Each query by the command, over the folder that the views are named after. */
export const query: Program = (blocks, place, tool) =>
  blocks.flatMap(({ code, claim, tool: of }) => {
    const folder = of.endsWith('runs') ? 'runs' : 'results'
    const text = run(process.execPath, [place.main, 'query', folder, '-', '--format', 'json'], place, code)
    return claim === undefined ? [] : [{ tool, claim, rows: JSON.parse(text) as Row[] }]
  })

export const shell: Program = (blocks, place) => {
  const bin = join(place.folder, 'bin')
  mkdirSync(bin, { recursive: true })
  const command = `#!/bin/sh\nexec "${process.execPath}" "${place.main}" "$@"\n`
  writeFileSync(join(bin, 'retrograd'), command, { mode: 0o755 })
  for (const { code } of blocks) run('bash', ['-eu', '-o', 'pipefail', '-c', code], place)
  return []
}

/** Type-checked, then run as one module. */
export const typescript: Program = (blocks, place, tool) => {
  const emit = `
import { appendFileSync } from 'node:fs'
function emit(name: string, rows: readonly object[]): void {
  appendFileSync('${ANSWERS}', JSON.stringify({ name, rows }) + '\\n')
}`
  const code = blocks.map(
    ({ code, claim }) => `${code}\n${claim ? `emit('${claim.name}', ${claim.name})` : ''}`,
  )
  const source = [emit, ...code, 'process.exit(0)'].join('\n')
  checkTypes(modulePath('recipes.ts'), source)
  const options = { module: ts.ModuleKind.ES2022, target: ts.ScriptTarget.ES2022 }
  const path = modulePath('recipes.mjs')
  writeFileSync(path, ts.transpileModule(source, { compilerOptions: options }).outputText)
  return answersOf(blocks, place, tool, () => {
    run(process.execPath, [path], place)
  })
}

/** Data loaders: modules that write an Arrow stream. */
export const observable: Program = (blocks, place, tool) =>
  blocks.map(({ code, claim, line }) => {
    const path = modulePath(`loader-${line}.mjs`)
    writeFileSync(path, code)
    const { stdout, stderr, status } = spawnSync(process.execPath, [path], { cwd: place.folder })
    if (status !== 0) throw new Error(stderr.toString())
    const rows = tableFromIPC(stdout).toArray() as unknown as Row[]
    return { tool, claim: claim!, rows }
  })

const R_EMIT = `
emit <- function(name, found) {
  text <- function(value) if (is.numeric(value)) sprintf("%.17g", value) else encodeString(as.character(value), quote = '"')
  cells <- lapply(names(found), function(column) paste0('"', column, '":', text(found[[column]])))
  rows <- paste0("{", do.call(paste, c(cells, sep = ",")), "}")
  cat('{"name":"', name, '","rows":[', paste(rows, collapse = ","), "]}\\n", sep = "", file = "${ANSWERS}", append = TRUE)
}`

export const r: Program = (blocks, place, tool) => {
  const code = blocks.map(
    ({ code, claim }) => `${code}\n${claim ? `emit("${claim.name}", ${claim.name})` : ''}`,
  )
  return answersOf(blocks, place, tool, () => {
    run('Rscript', ['-e', [R_EMIT, ...code].join('\n')], place)
  })
}

/** Why R can't be run, or undefined. */
export function missingR(): string | undefined {
  const { status, error } = spawnSync('Rscript', ['-e', 'library(arrow); library(dplyr); library(tidyr)'])
  if (error !== undefined) return 'there is no Rscript'
  return status === 0 ? undefined : 'Rscript has not the packages arrow, dplyr and tidyr'
}

/** Inside the package, so that its own name leads to it. */
function modulePath(name: string): string {
  const folder = resolve('dist/recipes')
  mkdirSync(folder, { recursive: true })
  return join(folder, name)
}

function checkTypes(path: string, source: string): void {
  writeFileSync(path, source)
  const program = ts.createProgram([path], {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    strict: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
    types: ['node'],
  })
  const problems = ts.getPreEmitDiagnostics(program)
  if (problems.length === 0) return
  throw new Error(ts.formatDiagnostics(problems, ts.createCompilerHost({})))
}

/** Runs a program and gathers what it wrote for the claims of its blocks, all of them. */
function answersOf(blocks: readonly Block[], { folder }: Place, tool: string, runs: () => void): Answer[] {
  const path = join(folder, ANSWERS)
  rmSync(path, { force: true })
  runs()
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  const found = new Map(
    lines.map((line) => {
      const { name, rows } = JSON.parse(line) as { name: string; rows: Row[] }
      return [name, rows]
    }),
  )
  return blocks.flatMap(({ claim }) =>
    claim === undefined ? [] : [{ tool, claim, rows: found.get(claim.name)! }],
  )
}

function run(command: string, args: readonly string[], { folder }: Place, input = ''): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: folder,
    env: { ...process.env, PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH ?? ''}` },
    input,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`exit status ${String(status)}\n${stderr}`)
  return stdout
}
