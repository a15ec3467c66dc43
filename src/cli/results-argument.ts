import type { Argv, Options } from 'yargs'
import { checkOptions } from './check-options.js'

/** The argument and the option by which a command takes one run's results. */
export const ONE_RUN = {
  results: {
    type: 'string',
    demandOption: true,
    describe: 'Results folder of retrograd run, or a tree of many runs and --run',
  },
  run: { type: 'string', describe: 'The run, of a tree of many (retrograd batch)' },
} as const

/** A command of one run's results: its argument and its options, checked. */
export function oneRunCommand<O extends Record<string, Options>>(yargs: Argv, options: O) {
  return yargs
    .positional('results', ONE_RUN.results)
    .options(options)
    .middleware(checkOptions({ ...options, results: {} }), true)
}
