import { join } from 'node:path'
import type { ArgumentsCamelCase, Argv, Options } from 'yargs'
import { FIGURES, type FigureName } from '../analysis/model.js'
import { EXIT, UsageError } from '../errors.js'
import { likelyName } from '../likely.js'
import { isDrawn, type AbsentFigure, type Figure } from '../report/figure.js'
import { figureOf } from '../report/figures.js'
import { assertDrawable, renderFigure, themed, THEMES } from '../report/render.js'
import { analyzeResults } from './analyze-results.js'
import type { Command } from './commands.js'
import { ONE_RUN, oneRunCommand } from './results-argument.js'
import { assertFree, writeFiles } from './write-files.js'

const OPTIONS = {
  format: {
    choices: ['svg', 'png', 'vl.json'] as const,
    default: 'svg' as const,
    describe: 'Pictures, or their specifications (Vega-Lite 6, which Altair opens)',
  },
  out: { type: 'string', default: 'figures', describe: 'Folder for the files' },
  only: {
    type: 'string',
    array: true,
    describe: `Figures to draw, separated by commas; all by default: ${FIGURES.join(', ')}`,
  },
  scale: { type: 'number', default: 2, describe: 'Size of a PNG: pixels for each of the 720 of the width' },
  theme: { choices: THEMES, default: 'light' as const, describe: 'Colours on white or on dark' },
  run: ONE_RUN.run,
  overwrite: { type: 'boolean', default: false, describe: 'Replace the files' },
} as const satisfies Record<string, Options>

type OptionsOf<B> = B extends Argv<infer A> ? A : never
type FiguresArguments = ArgumentsCamelCase<OptionsOf<ReturnType<typeof options>>>

function options(yargs: Argv) {
  return oneRunCommand(yargs, OPTIONS)
}

const EXAMPLES: readonly [string, string][] = [
  ['$0 figures results', 'figures/loss.svg and ten more'],
  ['$0 figures results --only loss,layers --format png --scale 4', 'two of them, for print'],
  [
    '$0 figures results --format vl.json --out specs',
    'alt.Chart.from_json(open("specs/loss.vl.json").read())',
  ],
]

export const figuresCommand: Command<OptionsOf<ReturnType<typeof options>>> = {
  builder: (yargs) => EXAMPLES.reduce((all, [line, what]) => all.example(line, what), options(yargs)),
  handler: async (argv) => {
    process.exitCode = await figures(argv)
  },
}

async function figures(argv: FiguresArguments): Promise<number> {
  const { results, out, only, format, scale, overwrite } = argv
  const names = chosenNames(only)
  if (!(scale > 0 && scale <= MOST_SCALE))
    throw new UsageError(`--scale ${scale}: a number above 0, at most ${MOST_SCALE}, is needed`)
  const path = (name: FigureName): string => join(out, `${name}.${format}`)
  await assertFree(names.map(path), overwrite)
  if (format !== 'vl.json') await assertDrawable(format)
  const run = await analyzeResults(results, argv.run)
  for (const name of names) {
    const figure = figureOf(run, name)
    if (isDrawn(figure)) await writeFiles([{ path: path(name), content: await contentOf(figure, argv) }])
    tell(figure, path(name))
  }
  return EXIT.done
}

/** Wider pictures than this are more than a canvas holds. */
const MOST_SCALE = 10

/** The figures that --only names, each once, in the report's order. Throws UsageError with the likely name. */
function chosenNames(only: readonly string[] | undefined): readonly FigureName[] {
  if (only === undefined) return FIGURES
  const given = only.flatMap((list) => list.split(',')).map((name) => name.trim())
  for (const name of given) {
    if (FIGURES.some((figure) => figure === name)) continue
    const likely = likelyName(name, FIGURES)
    const hint = likely === undefined ? `; there are ${FIGURES.join(', ')}` : `; did you mean ${likely}?`
    throw new UsageError(`--only ${name}: there is no such figure${hint}`)
  }
  return FIGURES.filter((figure) => given.includes(figure))
}

async function contentOf(
  { spec }: Figure,
  { format, theme, scale }: Pick<FiguresArguments, 'format' | 'theme' | 'scale'>,
): Promise<string | Uint8Array> {
  if (format === 'vl.json') return `${JSON.stringify(themed(spec, theme))}\n`
  return renderFigure(spec, format, format === 'png' ? { theme, scale } : { theme })
}

function tell(figure: Figure | AbsentFigure, path: string): void {
  if (isDrawn(figure)) process.stdout.write(`${path}\n`)
  else process.stderr.write(`· no figure ${figure.name}: ${figure.absent}\n`)
}
