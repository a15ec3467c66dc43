import type { ArgumentsCamelCase, Argv, Options } from 'yargs'
import { analyzeRun } from '../analysis/analyze.js'
import { ALIGNMENTS, compareRuns } from '../analysis/compare.js'
import type { RunAnalysis } from '../analysis/model.js'
import { EXIT, UsageError } from '../errors.js'
import { checkOptions } from './check-options.js'
import type { Command } from './commands.js'
import { renderComparison } from './comparison.js'
import { openRuns } from './open-runs.js'
import { colors } from './text.js'

const OPTIONS = {
  by: {
    choices: ALIGNMENTS,
    default: 'step',
    describe: 'Compare over the steps that all runs cover, or over the losses that all went through',
  },
  split: { type: 'string', describe: 'Data set to compare on; by default the first of the first run' },
  json: { type: 'boolean', default: false, describe: 'Print the comparison as JSON' },
} as const satisfies Record<string, Options>

type OptionsOf<B> = B extends Argv<infer A> ? A : never
type CompareArguments = ArgumentsCamelCase<OptionsOf<ReturnType<typeof options>>>

function options(yargs: Argv) {
  return yargs
    .positional('runs', {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'Results folders, or trees of many runs (retrograd batch), of which every run counts',
    })
    .options(OPTIONS)
    .middleware(checkOptions({ ...OPTIONS, runs: { array: true } }), true)
}

const EXAMPLES: readonly [string, string][] = [
  ['$0 compare results-a results-b', 'layers, helping shares and findings, over the steps both cover'],
  ['$0 compare slow fast --by loss', 'runs of unlike speed, over the same learning'],
  ['$0 compare archive --split val --json', 'all runs of a tree, on val, for a program'],
]

export const compareCommand: Command<OptionsOf<ReturnType<typeof options>>> = {
  builder: (yargs) => EXAMPLES.reduce((all, [line, what]) => all.example(line, what), options(yargs)),
  handler: async (argv) => {
    process.exitCode = await compare(argv)
  },
}

async function compare({ runs: dirs, by, split, json }: CompareArguments): Promise<number> {
  const runs = await openRuns(dirs)
  if (runs.length < 2)
    throw new UsageError('compare needs two runs or more: name several results folders, or a tree of runs')
  const analyses: RunAnalysis[] = []
  for (const { name, results } of runs) analyses.push(await analyzeRun(results, { name }))
  const comparison = compared(analyses, { by, split })
  process.stdout.write(
    json ? `${JSON.stringify(comparison, null, 2)}\n` : renderComparison(comparison, colors()),
  )
  return EXIT.done
}

function compared(analyses: readonly RunAnalysis[], how: Parameters<typeof compareRuns>[1]) {
  try {
    return compareRuns(analyses, how)
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message, { cause: error })
    throw error
  }
}
