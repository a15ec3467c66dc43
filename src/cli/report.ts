import { dirname, join } from 'node:path'
import type { ArgumentsCamelCase, Argv, Options } from 'yargs'
import { FIGURES, type RunAnalysis } from '../analysis/model.js'
import { EXIT } from '../errors.js'
import { printable } from '../printable.js'
import { isDrawn, type Figure } from '../report/figure.js'
import { figuresOf } from '../report/figures.js'
import { renderPage } from '../report/page.js'
import { readPageScripts } from '../report/scripts.js'
import { analyzeResults } from './analyze-results.js'
import type { Command } from './commands.js'
import { ONE_RUN, oneRunCommand } from './results-argument.js'
import { byteSize, colors } from './text.js'
import { assertFree, writeFiles, type Output } from './write-files.js'

const OPTIONS = {
  out: { type: 'string', default: 'report.html', describe: 'The page to write; its figures go beside it' },
  figures: {
    type: 'boolean',
    default: true,
    describe:
      "Write the figures' specifications too (Vega-Lite: figures/*.vl.json); --no-figures leaves them",
  },
  run: ONE_RUN.run,
  overwrite: { type: 'boolean', default: false, describe: 'Replace the files' },
  json: { type: 'boolean', default: false, describe: 'Print what was written, and the findings, as JSON' },
} as const satisfies Record<string, Options>

type OptionsOf<B> = B extends Argv<infer A> ? A : never
type ReportArguments = ArgumentsCamelCase<OptionsOf<ReturnType<typeof options>>>

function options(yargs: Argv) {
  return oneRunCommand(yargs, OPTIONS)
}

const EXAMPLES: readonly [string, string][] = [
  ['$0 report results', 'report.html: one file that needs no network, to look at, print and pass on'],
  ['$0 report results --out pages/lenet.html --no-figures', 'the page alone, elsewhere'],
  ['$0 report archive --run first', 'a run of a tree that retrograd batch wrote'],
]

export const reportCommand: Command<OptionsOf<ReturnType<typeof options>>> = {
  builder: (yargs) => EXAMPLES.reduce((all, [line, what]) => all.example(line, what), options(yargs)),
  handler: async (argv) => {
    process.exitCode = await report(argv)
  },
}

/** Findings that the terminal shows; the page has all. */
const MOST_FINDINGS = 5

async function report(argv: ReportArguments): Promise<number> {
  const { results, out, overwrite, run: name } = argv
  const possible = argv.figures ? FIGURES.map((figure) => specificationPath(out, figure)) : []
  await assertFree([out, ...possible], overwrite)
  const scripts = await readPageScripts()
  const run = await analyzeResults(results, name)
  const figures = figuresOf(run)
  const page = { path: out, content: renderPage(run, scripts, figures) }
  const specifications = argv.figures
    ? figures.filter(isDrawn).map((figure) => specification(out, figure))
    : []
  await writeFiles([page, ...specifications])
  if (argv.json) printJson(run, page, specifications)
  else print(run, page, specifications)
  return EXIT.done
}

function specificationPath(out: string, figure: string): string {
  return join(dirname(out), 'figures', `${figure}.vl.json`)
}

function specification(out: string, { name, spec }: Figure): Output {
  return { path: specificationPath(out, name), content: `${JSON.stringify(spec)}\n` }
}

function printJson({ findings }: RunAnalysis, page: Output, specifications: readonly Output[]): void {
  const facts = { out: page.path, figures: specifications.map(({ path }) => path), findings }
  process.stdout.write(`${JSON.stringify(facts, null, 2)}\n`)
}

function print({ facts, findings }: RunAnalysis, page: Output, specifications: readonly Output[]): void {
  const color = colors()
  const shown = findings
    .slice(0, MOST_FINDINGS)
    .flatMap(({ text, advice }, i) => [
      `  ${i + 1}. ${printable(text)}`,
      ...(advice === undefined ? [] : [color.dim(`     ${printable(advice)}`)]),
    ])
  const more = findings.length - MOST_FINDINGS
  const lines = [
    `${color.bold(page.path)}  ${byteSize(Buffer.byteLength(page.content))}`,
    ...(specifications.length === 0
      ? []
      : [`${join(dirname(page.path), 'figures')}  ${specifications.length} specifications (Vega-Lite)`]),
    '',
    ...facts.warnings.map((warning) => color.yellow(`! ${printable(warning)}`)),
    ...(findings.length === 0
      ? ['No finding: nothing stands out from chance in this run.']
      : ['Findings', ...shown]),
    ...(more > 0 ? [color.dim(`     and ${more} more on the page`)] : []),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
