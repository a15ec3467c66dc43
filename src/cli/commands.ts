import type { Argv, CommandModule } from 'yargs'

/** What a command's own file holds: its options, and what it does. */
export type Command<Options> = Pick<CommandModule<object, Options>, 'builder' | 'handler'>

/** Adds the commands to a parser; the code of each is loaded when it is the one that is called. */
export function withCommands(parser: Argv): Argv {
  return parser
    .command(
      onDemand(
        'run <checkpoints>',
        'Replay recorded checkpoints and allocate every change of the loss to the parameters that caused it',
        async () => (await import('./run.js')).runCommand,
      ),
    )
    .command(
      onDemand(
        'batch <runs..>',
        'Replay many recorded runs, one after another, into one tree of results',
        async () => (await import('./batch.js')).batchCommand,
      ),
    )
    .command(
      onDemand(
        'merge <parts..>',
        'Join parts of a run (run --intervals) into the tables that one run gives',
        async () => (await import('./merge.js')).mergeCommand,
      ),
    )
    .command(
      onDemand(
        'verify <results>',
        'Compute some intervals of finished results again, in finer parts or elsewhere, and tell the distance',
        async () => (await import('./verify.js')).verifyCommand,
      ),
    )
    .command(
      onDemand(
        'report <results>',
        'Write what a run says as one page: findings, figures and tables',
        async () => (await import('./report.js')).reportCommand,
      ),
    )
    .command(
      onDemand(
        'figures <results>',
        "Draw the report's figures as files, for papers: SVG, PNG or Vega-Lite",
        async () => (await import('./figures.js')).figuresCommand,
      ),
    )
    .command(
      onDemand(
        'query <results> [sql]',
        'Ask the tables of a results folder in SQL, or list them',
        async () => (await import('./query.js')).queryCommand,
      ),
    )
    .command(
      onDemand(
        'compare <runs..>',
        'Put runs side by side: layers, helping shares and findings, by step or by loss',
        async () => (await import('./compare.js')).compareCommand,
      ),
    )
    .command(
      onDemand(
        'inspect <checkpoints>',
        'Look an archive of checkpoints over: steps, tensors, and what is wrong with it',
        async () => (await import('./inspect.js')).inspectCommand,
      ),
    )
    .command(
      onDemand(
        'gradient <model>',
        "Write the gradient of a network's loss as an ONNX file that any runtime can run",
        async () => (await import('./gradient.js')).gradientCommand,
      ),
    )
    .command(
      onDemand(
        'doctor',
        'Say what this machine can compute with: devices, engines, memory, versions',
        async () => (await import('./doctor.js')).doctorCommand,
      ),
    )
}

function onDemand<Options>(
  command: string,
  describe: string,
  load: () => Promise<Command<Options>>,
): CommandModule<object, Options> {
  return {
    command,
    describe,
    builder: async (yargs) => {
      const { builder } = await load()
      return typeof builder === 'function' ? builder(yargs) : (yargs as Argv<Options>)
    },
    handler: async (argv) => (await load()).handler(argv),
  }
}
