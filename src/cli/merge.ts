import type { ArgumentsCamelCase, Argv, Options } from 'yargs'
import { EXIT } from '../errors.js'
import { checkOptions } from './check-options.js'
import type { Command } from './commands.js'

const OPTIONS = {
  out: { type: 'string', demandOption: true, describe: 'Folder that the joined tables are written to' },
  overwrite: { type: 'boolean', default: false, describe: 'Replace results that are in --out' },
  json: { type: 'boolean', default: false, describe: 'Print the summary as JSON' },
} as const satisfies Record<string, Options>

type OptionsOf<B> = B extends Argv<infer A> ? A : never
type MergeArguments = ArgumentsCamelCase<OptionsOf<ReturnType<typeof options>>>

function options(yargs: Argv) {
  return yargs
    .positional('parts', {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'Results folders of the parts, in any order',
    })
    .options(OPTIONS)
    .middleware(checkOptions({ ...OPTIONS, parts: { array: true } }), true)
}

const EXAMPLES: readonly [string, string][] = [
  ['$0 merge part-0 part-1 part-2 --out results', 'the tables that one run gives, in every bit'],
  [
    '$0 run checkpoints/ --model m.onnx --train x.npz --loss mse --intervals 0:320 --out part-0',
    'what makes a part: intervals 0 to 319 of the run',
  ],
]

export const mergeCommand: Command<OptionsOf<ReturnType<typeof options>>> = {
  builder: (yargs) => EXAMPLES.reduce((all, [line, what]) => all.example(line, what), options(yargs)),
  handler: async (argv) => {
    process.exitCode = await merge(argv)
  },
}

async function merge({ parts, out, overwrite, json }: MergeArguments): Promise<number> {
  const started = Date.now()
  const { mergeParts } = await import('../replay/merge.js')
  const manifest = await mergeParts({ parts, out, overwrite })
  const { report } = await import('./report-run.js')
  await report({ out, json, manifest, started })
  return manifest.result.converged === manifest.result.intervals ? EXIT.done : EXIT.notConverged
}
