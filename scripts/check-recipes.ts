import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { compare, type Answer } from './recipes/compare.js'
import { blocksOf, type Block } from './recipes/page.js'
import {
  duckdb,
  missingR,
  observable,
  python,
  query,
  r,
  shell,
  typescript,
  type Place,
  type Program,
} from './recipes/programs.js'

/**
 * Runs the code blocks of docs/dataframes.md over a results folder with parameters and a tree of runs, and compares the
 * numbers that they compute:
 *
 *     node dist/scripts/check-recipes.js RESULTS RUNS [--python .venv/bin/python]
 *
 * Prints a line for each tool and each comparison. Exit status 1 when one fails.
 */
const PAGE = 'docs/dataframes.md'

/** Which blocks a program runs, in the order of the page. A program that is given as a reason is not run. */
const PROGRAMS: readonly (readonly [tool: string, takes: readonly string[], Program | string])[] = [
  ['pandas', ['pandas'], python],
  ['polars', ['polars'], python],
  ['pyarrow', ['pyarrow'], python],
  ['retrograd query', ['sql', 'sql runs'], query],
  ['DuckDB', ['duckdb', 'sql'], duckdb],
  ['DuckDB over a tree', ['duckdb runs', 'sql runs'], duckdb],
  ['TypeScript', ['typescript'], typescript],
  ['sh', ['sh'], shell],
  ['a data loader of Observable', ['observable'], observable],
  ['R', ['r'], missingR() ?? r],
  ['cells of a page', ['not run'], 'they need a browser'],
]

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { python: { type: 'string', default: '.venv/bin/python' } },
})
const [results, runs] = positionals
if (results === undefined || runs === undefined)
  throw new Error('usage: check-recipes RESULTS RUNS [--python PATH]')

const blocks = blocksOf(readFileSync(PAGE, 'utf8'))
const folder = mkdtempSync(join(tmpdir(), 'retrograd-recipes-'))
let failures = 0
try {
  symlinkSync(resolve(results), join(folder, 'results'))
  symlinkSync(resolve(runs), join(folder, 'runs'))
  check({ folder, python: resolve(values.python), main: resolve('dist/bin/main.js') })
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = failures > 0 ? 1 : 0

function check(place: Place): void {
  const known = new Set(PROGRAMS.flatMap(([, takes]) => takes))
  for (const { tool, line } of blocks) if (!known.has(tool)) fail(`${PAGE}:${line}: nothing runs ${tool}`)
  const answers = PROGRAMS.flatMap(([tool, takes, program]) => {
    const own = blocks.filter((block) => takes.includes(block.tool))
    if (typeof program === 'string') {
      console.log(`skip  ${tool}: ${own.length} blocks: ${program}`)
      return []
    }
    return runBlocks(tool, own, program, place)
  })
  for (const name of new Set(answers.map(({ claim }) => claim.name))) {
    const { holds, text } = compare(answers.filter(({ claim }) => claim.name === name))
    if (holds) console.log(`ok    ${text}`)
    else fail(text)
  }
}

function runBlocks(tool: string, own: readonly Block[], program: Program, place: Place): Answer[] {
  if (own.length === 0) fail(`${tool}: the page has no block of it`)
  try {
    const answers = program(own, place, tool)
    console.log(`ok    ${tool}: ${own.length} blocks run`)
    return answers
  } catch (error) {
    fail(`${tool}: ${error instanceof Error ? error.message : String(error)}`)
    return []
  }
}

function fail(text: string): void {
  failures++
  console.log(`WRONG ${text}`)
}
