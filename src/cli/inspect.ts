import type { ArgumentsCamelCase, Argv, CommandModule, Options } from 'yargs'
import { EXIT } from '../errors.js'
import { WEIGHT_KINDS } from '../trajectory/formats/format.js'
import { inspectTrajectory, type Inspection } from '../trajectory/inspect/inspect.js'
import { parseStepRange } from '../trajectory/step-range.js'
import { checkOptions } from './check-options.js'
import { renderInspection } from './inspect-summary.js'
import { countDisplay } from './progress.js'
import { colors } from './text.js'

type OptionsOf<B> = B extends Argv<infer A> ? A : never
type InspectOptionTypes = OptionsOf<ReturnType<typeof options>>
type InspectArguments = ArgumentsCamelCase<InspectOptionTypes>

const EXAMPLES: readonly [string, string][] = [
  ['$0 inspect checkpoints/', 'the trajectory at a glance, and what is wrong with it'],
  ['$0 inspect checkpoints/ --values --json', 'read every number, however large the archive; for scripts'],
]

export const inspectCommand: CommandModule<object, InspectOptionTypes> = {
  command: 'inspect <checkpoints>',
  describe: 'Look an archive of checkpoints over: steps, tensors, and what is wrong with it',
  builder: (yargs) =>
    EXAMPLES.reduce((all, [line, what]) => all.example(line, what), options(yargs)).epilogue(
      'Exit codes: 0 nothing is wrong; 1 something is; the others as retrograd --help says.',
    ),
  handler: async (argv) => {
    process.exitCode = await inspect(argv)
  },
}

const OPTIONS = {
  steps: { type: 'string', describe: 'Look at these steps only: FROM:TO:STRIDE, inclusive' },
  weights: {
    choices: WEIGHT_KINDS,
    default: 'raw' as const,
    describe: 'Of checkpoints that hold both: the weights themselves, or their running average',
  },
  values: {
    type: 'boolean',
    describe: 'Read all numbers, or with --no-values headers only [read up to 2 GiB]',
  },
  json: { type: 'boolean', default: false, describe: 'Print the findings as JSON' },
} as const satisfies Record<string, Options>

function options(yargs: Argv) {
  return yargs
    .positional('checkpoints', {
      type: 'string',
      demandOption: true,
      describe: 'Folder of checkpoints, or one file that holds many',
    })
    .options(OPTIONS)
    .middleware(checkOptions({ ...OPTIONS, checkpoints: {} }), true)
}

async function inspect(argv: InspectArguments): Promise<number> {
  const { checkpoints, steps, weights, values, json } = argv
  const display = countDisplay(process.stderr, 'reading')
  let inspection: Inspection
  try {
    inspection = await inspectTrajectory(checkpoints, {
      weights,
      ...(steps !== undefined && { steps: parseStepRange(steps) }),
      ...(values !== undefined && { values }),
      onProgress: (done, total) => {
        display.update(done, total)
      },
    })
  } finally {
    display.stop()
  }
  await inspection.trajectory.close()
  process.stdout.write(
    json
      ? `${JSON.stringify(facts(inspection), null, 2)}\n`
      : renderInspection(inspection, undefined, colors()),
  )
  return inspection.problems.length === 0 ? EXIT.done : EXIT.failed
}

function facts({
  trajectory,
  bytes,
  spacing,
  tensors,
  problems,
  valuesRead,
}: Inspection): Record<string, unknown> {
  const { path, format, stepUnit, checkpoints, leftOut, notes } = trajectory
  return {
    path,
    format,
    step_unit: stepUnit,
    bytes,
    spacing,
    checkpoints: checkpoints.map((one) => ({ step: one.step, path: one.path, bytes: one.bytes })),
    tensors: tensors.map(({ isWeight, normFirst, normLast, updates, ...tensor }) => ({
      ...tensor,
      is_weight: isWeight,
      ...(updates && { norm_first: normFirst, norm_last: normLast, update_norms: updates }),
    })),
    left_out: leftOut,
    notes,
    values_read: valuesRead,
    problems,
  }
}
