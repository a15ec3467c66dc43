import { statSync } from 'node:fs'
import type { ArgumentsCamelCase, Argv, Options } from 'yargs'
import { configOfFolders, readBatchFile } from '../batch/config.js'
import type { BatchConfig } from '../batch/config.js'
import { estimate } from '../batch/estimate.js'
import { inputsOf } from '../batch/inputs.js'
import { runBatch } from '../batch/loop.js'
import type { Job, RunRecord } from '../batch/loop.js'
import { planBatch } from '../batch/plan.js'
import type { Plan } from '../batch/plan.js'
import { EXIT, RetrogradError, UsageError } from '../errors.js'
import { printable } from '../printable.js'
import { renderEstimates, totalOf } from './batch-estimates.js'
import type { EstimateRow } from './batch-estimates.js'
import { BATCH_TABLE, givenOptions, readOptionsOf, SHARED_OPTIONS } from './batch-options.js'
import { batchDisplay } from './batch-progress.js'
import type { BatchDisplay } from './batch-progress.js'
import { batchRows, renderBatch } from './batch-summary.js'
import type { BatchRow } from './batch-summary.js'
import { checkOptions } from './check-options.js'
import type { Command } from './commands.js'
import { onInterrupt } from './interrupt.js'
import { countDisplay, formatSeconds } from './progress.js'
import { resumeLine } from './resume-line.js'
import { colors } from './text.js'

type OptionsOf<B> = B extends Argv<infer A> ? A : never
type BatchOptionTypes = OptionsOf<ReturnType<typeof options>>
type BatchArguments = ArgumentsCamelCase<BatchOptionTypes>

const EXAMPLES: readonly [string, string][] = [
  ['$0 batch batch.yaml', 'the runs that a file names, with options for all and for each (docs/batch.md)'],
  ['$0 batch batch.yaml --dry-run', 'what they would take: gradients, time, memory, bytes'],
  [
    '$0 batch archive --model model.onnx --train train.npz --loss cross-entropy --out results',
    'every folder of checkpoints below a folder, as archive/lr-0.1/checkpoints, called lr-0.1',
  ],
  [
    "$0 batch archive --model '{run}/model.onnx' --train data/train.npz --loss mse --out results",
    'each run with the network that lies in its own folder',
  ],
  [
    "$0 batch 'archive/*/weights.h5' --model model.onnx --train train.h5 --loss cross-entropy --out results",
    'files of many saves, by a pattern',
  ],
]

const OPTIONS = {
  out: { type: 'string', describe: 'Folder that the results of all runs are written to' },
  'dry-run': { type: 'boolean', default: false, describe: 'Say what the runs would take, and write nothing' },
  overwrite: {
    type: 'boolean',
    default: false,
    describe: 'Replay finished runs too, and replace their results',
  },
  json: { type: 'boolean', default: false, describe: 'Print the summary as JSON' },
} as const satisfies Record<string, Options>

export const batchCommand: Command<BatchOptionTypes> = {
  builder: (yargs) =>
    EXAMPLES.reduce((all, [line, what]) => all.example(line, what), options(yargs)).epilogue(
      'Options are those of run; given here they hold for all runs, but for those that a file gives to single runs. ' +
        "{run} in a path stands for a run's folder, {name} for its name. Finished runs are skipped while their options and " +
        'files are as they were; a run that was interrupted goes on; one that fails does not stop the others. ' +
        'Exit codes: 1 when a run failed, 4 when some interval did not converge; else as retrograd --help says.',
    ),
  handler: async (argv) => {
    process.exitCode = await batch(argv)
  },
}

function options(yargs: Argv) {
  const parser = yargs
    .positional('runs', {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'A batch file (.yaml), or folders in which every folder of checkpoints is a run',
    })
    .options({ ...OPTIONS })
    .middleware(checkOptions({ ...SHARED_OPTIONS, ...OPTIONS, runs: { array: true } }), true)
  // read by name, so that their types don't matter here
  parser.options(SHARED_OPTIONS)
  return parser
}

async function batch(argv: BatchArguments): Promise<number> {
  const config = await configOf(argv.runs)
  const given = { options: givenOptions(argv), ...(argv.out !== undefined && { out: argv.out }) }
  const plan = await planBatch(config, given, BATCH_TABLE)
  for (const note of plan.notes) process.stderr.write(`· ${printable(note)}\n`)
  const jobs = await jobsOf(plan)
  return argv.dryRun ? dryRun(jobs, argv) : replayAll(jobs, plan.out, argv)
}

async function configOf(paths: readonly string[]): Promise<BatchConfig> {
  const files = paths.filter((path) => /\.ya?ml$/i.test(path) && !isFolder(path))
  const [file] = files
  if (file === undefined) return configOfFolders(paths)
  if (paths.length > 1)
    throw new UsageError(
      `${file} is a batch file: name it alone; other runs are added in it, under find or runs`,
    )
  return readBatchFile(file, BATCH_TABLE)
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

/** Reads the options of all runs before any begins, so that a slip in the last one is told at once. */
async function jobsOf({ out, runs }: Plan): Promise<Job[]> {
  const jobs: Job[] = []
  for (const run of runs)
    jobs.push({ run, inputs: inputsOf(run, out, BATCH_TABLE), options: await readOptionsOf(run, out) })
  return jobs
}

async function dryRun(jobs: readonly Job[], { json }: BatchArguments): Promise<number> {
  const display = countDisplay(process.stderr, 'opening runs')
  const rows: EstimateRow[] = []
  try {
    for (const job of jobs) {
      rows.push(await estimateRow(job))
      display.update(rows.length, jobs.length)
    }
  } finally {
    display.stop()
  }
  const text = json ? `${JSON.stringify({ runs: rows, total: totalOf(rows) }, null, 2)}\n` : undefined
  process.stdout.write(text ?? renderEstimates(rows, colors()))
  return rows.some(({ reason }) => reason !== undefined) ? EXIT.failed : EXIT.done
}

async function estimateRow({ run, options }: Job): Promise<EstimateRow> {
  const row = { name: run.name, path: run.checkpoints }
  if (options instanceof RetrogradError) return { ...row, reason: options.message }
  try {
    return { ...row, estimate: await estimate(options) }
  } catch (error) {
    if (error instanceof RetrogradError) return { ...row, reason: error.message }
    throw error
  }
}

async function replayAll(jobs: readonly Job[], out: string, argv: BatchArguments): Promise<number> {
  const display = batchDisplay(process.stderr)
  const interrupt = onInterrupt(() => {
    display.line('stopping: finished intervals stay')
  })
  try {
    const { overwrite } = argv
    const records = await runBatch(
      jobs,
      { out, overwrite },
      { ...eventsOf(display), signal: interrupt.signal },
    )
    display.stop()
    const rows = await batchRows(out, records)
    const text = argv.json
      ? `${JSON.stringify({ out, runs: rows }, null, 2)}\n`
      : renderBatch(rows, out, colors())
    process.stdout.write(text)
    return exitCode(rows)
  } finally {
    display.stop()
    interrupt.done()
  }
}

function eventsOf(display: BatchDisplay) {
  const told = new Set<string>()
  let [ended, total] = [0, 0]
  return {
    onPlan: (toReplay: number, finished: number) => {
      total = toReplay
      if (finished > 0) display.line(`${finished} ${finished === 1 ? 'run is' : 'runs are'} finished already`)
      display.start(toReplay)
    },
    onBegin: ({ name }: Job['run'], changed: readonly string[]) => {
      display.begin(name)
      if (changed.length > 0) display.line(`· ${name}: replayed anew: ${changed.join('; ')}`)
    },
    // what holds for one run mostly holds for all of them
    onNote: ({ name }: Job['run'], note: string) => {
      if (!told.has(note)) display.line(`· ${name}: ${printable(note)}`)
      told.add(note)
    },
    onProgress: display.update.bind(display),
    onEnd: (record: RunRecord) => {
      ended += 1
      display.end()
      display.line(`[${ended}/${total}] ${record.name}: ${ending(record)}`)
    },
  }
}

function ending({ status, reason, seconds = 0 }: RunRecord): string {
  return `${status}${reason === undefined ? '' : `: ${reason}`} (${formatSeconds(seconds)})`
}

function exitCode(rows: readonly BatchRow[]): number {
  if (rows.some(({ status }) => status === 'interrupted' || status === 'waiting')) {
    process.stderr.write(`interrupted; to go on:\n  ${resumeLine(process.argv.slice(2))}\n`)
    return EXIT.interrupted
  }
  if (rows.some(({ status }) => status === 'failed')) return EXIT.failed
  return rows.every(({ intervals, converged }) => converged === intervals) ? EXIT.done : EXIT.notConverged
}
