/** The argument and the option by which a command takes one run's results. */
export const ONE_RUN = {
  results: {
    type: 'string',
    demandOption: true,
    describe: 'Results folder of retrograd run, or a tree of many runs and --run',
  },
  run: { type: 'string', describe: 'The run, of a tree of many (retrograd batch)' },
} as const
