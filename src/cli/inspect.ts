import type { ArgumentsCamelCase, Argv, Options } from 'yargs'
import { EXIT } from '../errors.js'
import { inspectTrajectory, type Inspection } from '../trajectory/inspect/inspect.js'
import { parseStepRange } from '../trajectory/step-range.js'
import { checkpointCommand, WEIGHTS_OPTION } from './checkpoint-options.js'
import type { Command } from './commands.js'
import { checkMapTarget, reportBinding, type BindingReport } from './inspect-binding.js'
import { renderInspection } from './inspect-summary.js'
import { countDisplay } from './progress.js'
import { colors } from './text.js'

type OptionsOf<B> = B extends Argv<infer A> ? A : never
type InspectOptionTypes = OptionsOf<ReturnType<typeof options>>
type InspectArguments = ArgumentsCamelCase<InspectOptionTypes>

const EXAMPLES: readonly [string, string][] = [
  ['$0 inspect checkpoints/', 'the trajectory at a glance, and what is wrong with it'],
  ['$0 inspect checkpoints/ --model model.onnx', 'and how its tensors go into a network'],
  [
    '$0 inspect checkpoints/ --model model.onnx --write-map names.json',
    'and a file for `run --map`, to look at or to finish',
  ],
  ['$0 inspect checkpoints/ --values --json', 'read every number, however large the archive; for scripts'],
]

export const inspectCommand: Command<InspectOptionTypes> = {
  builder: (yargs) =>
    EXAMPLES.reduce((all, [line, what]) => all.example(line, what), options(yargs)).epilogue(
      'Exit codes: 0 nothing is wrong; 1 something is; the others as retrograd --help says.',
    ),
  handler: async (argv) => {
    process.exitCode = await inspect(argv)
  },
}

const OPTIONS = {
  model: { type: 'string', describe: 'Network that the tensors are to go into, as ONNX' },
  map: { type: 'string', describe: 'JSON file that says which tensor is which, as for run' },
  'write-map': {
    type: 'string',
    describe: 'Write such a file: how names are matched, "?" where that is open',
  },
  steps: { type: 'string', describe: 'Look at these steps only: FROM:TO:STRIDE, inclusive' },
  ...WEIGHTS_OPTION,
  values: {
    type: 'boolean',
    describe: 'Read all numbers, or with --no-values headers only [read up to 2 GiB]',
  },
  overwrite: { type: 'boolean', default: false, describe: 'Replace the file that --write-map names' },
  json: { type: 'boolean', default: false, describe: 'Print the findings as JSON' },
} as const satisfies Record<string, Options>

function options(yargs: Argv) {
  return checkpointCommand(yargs, OPTIONS)
}

async function inspect(argv: InspectArguments): Promise<number> {
  const { checkpoints, steps, weights, values, json } = argv
  await checkMapTarget(argv)
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
  const binding = await reportBinding(argv, inspection.trajectory)
  const text = json
    ? `${JSON.stringify(facts(inspection, binding), null, 2)}\n`
    : renderInspection(inspection, binding, colors())
  process.stdout.write(text)
  return inspection.problems.length > 0 || binding?.failed === true ? EXIT.failed : EXIT.done
}

function facts(
  { trajectory, bytes, spacing, tensors, problems, valuesRead }: Inspection,
  binding: BindingReport | undefined,
): Record<string, unknown> {
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
    binding: binding ?? null,
  }
}
