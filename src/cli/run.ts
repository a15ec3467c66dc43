import type { ArgumentsCamelCase, Argv, CommandModule, Options } from 'yargs'
import { summarize } from '../analysis/summary.js'
import { EXIT, UsageError } from '../errors.js'
import type { Interruption, RunOptions } from '../replay/options.js'
import { parseIntervals } from '../replay/range.js'
import { runReplay } from '../replay/run.js'
import type { RunResult } from '../replay/run.js'
import { openResults } from '../tables/read.js'
import { GRANULARITIES } from '../tables/schema.js'
import { parseStepRange } from '../trajectory/step-range.js'
import { checkpointCommand, WEIGHTS_OPTION } from './checkpoint-options.js'
import { DATA_OPTIONS, readDataOptions } from './data-options.js'
import { onInterrupt } from './interrupt.js'
import { LOSS_OPTIONS, readLoss } from './loss-options.js'
import { formatSeconds, progressDisplay } from './progress.js'
import { resumeLine } from './resume-line.js'
import { renderSummary } from './summary.js'
import { colors } from './text.js'

type OptionsOf<B> = B extends Argv<infer A> ? A : never
type RunOptionTypes = OptionsOf<ReturnType<typeof options>>
type RunArguments = ArgumentsCamelCase<RunOptionTypes>

const EXAMPLES: readonly [string, string][] = [
  [
    '$0 run checkpoints/ --model model.onnx --train train.npz --val val.npz --loss cross-entropy --out results',
    'LCA of a classifier, on two data sets',
  ],
  [
    '$0 run checkpoints/ --model model.onnx --train x.npz --loss mse --steps 0:1000:10 --out results',
    'every tenth step',
  ],
  [
    '$0 run weights.h5 --model model.onnx --train train.h5 --val val.h5 --loss cross-entropy --granularity parameter --out results',
    "a file of many saves, with every parameter's LCA in every interval",
  ],
  [
    '$0 run checkpoints/ --model resnet.onnx --train train.npz --loss cross-entropy --batchnorm batch --batch-size 128 --out results',
    'BatchNorm on the statistics of each micro-batch, as in training',
  ],
  [
    "$0 run checkpoints/ --model resnet.onnx --train cifar-10-batches-bin --transform '[0.49,0.48,0.45],[0.25,0.24,0.26]' --loss cross-entropy --out results",
    'inputs normalized as in training, channel by channel',
  ],
  [
    '$0 run checkpoints/ --model gpt.onnx --train train.bin --context 128 --loss cross-entropy --out results',
    'sequences of 128 tokens cut from one long file, each against the next token',
  ],
  [
    '$0 run checkpoints/ --model with-loss.onnx --train train.npz --loss output:loss --val test=test.npz --out results',
    'a loss that the graph computes; a split with a name of its own',
  ],
]

export const runCommand: CommandModule<object, RunOptionTypes> = {
  command: 'run <checkpoints>',
  describe:
    'Replay recorded checkpoints and allocate every change of the loss to the parameters that caused it',
  builder: (yargs) => EXAMPLES.reduce((all, [line, what]) => all.example(line, what), options(yargs)),
  handler: async (argv) => {
    process.exitCode = await run(argv)
  },
}

const OPTIONS = {
  model: {
    type: 'string',
    describe: 'The network as ONNX [the last checkpoint, where they are ONNX themselves]',
  },
  train: {
    type: 'string',
    demandOption: true,
    describe:
      'Data that the loss is averaged over: .npz .npy .h5 .safetensors .parquet .arrow .csv .tsv, MNIST, CIFAR, or a folder',
  },
  val: {
    type: 'string',
    array: true,
    nargs: 1,
    default: [] as string[],
    describe: 'Further data sets, FILE or NAME=FILE (repeatable)',
  },
  ...LOSS_OPTIONS,
  out: { type: 'string', demandOption: true, describe: 'Folder that the tables are written to' },
  map: {
    type: 'string',
    describe: 'JSON file that says which tensor is which: {"NAME IN THE NETWORK": "NAME IN THE CHECKPOINTS"}',
  },
  ...DATA_OPTIONS,
  steps: { type: 'string', describe: 'Use only these steps: FROM:TO:STRIDE, inclusive' },
  ...WEIGHTS_OPTION,
  tolerance: {
    type: 'number',
    default: 0.001,
    describe: 'Largest |LCA - loss change| of a converged interval, in units of the loss',
  },
  'max-splits': {
    type: 'number',
    default: 32,
    describe: 'Most parts an interval is cut into (a power of 2)',
  },
  granularity: {
    choices: GRANULARITIES,
    default: 'unit' as const,
    describe: 'How far the tables per interval go down',
  },
  batchnorm: {
    choices: ['running', 'batch'] as const,
    default: 'running' as const,
    describe: "BatchNorm's statistics: the checkpoints' own, or each micro-batch's (needs --batch-size)",
  },
  'batch-size': { type: 'number', describe: 'Samples per micro-batch [chosen for the model]' },
  intervals: {
    type: 'string',
    describe:
      'Replay only intervals FROM:TO (half-open, cut at multiples of 32), for `retrograd merge` to join',
  },
  workers: { type: 'number', describe: 'Worker processes [as many as cores and memory allow]' },
  threads: { type: 'number', describe: "Threads of each worker's engine [1; for large networks all cores]" },
  overwrite: {
    type: 'boolean',
    default: false,
    describe: 'Begin anew, and replace results that are in --out',
  },
  json: { type: 'boolean', default: false, describe: 'Print the summary as JSON' },
} as const satisfies Record<string, Options>

function options(yargs: Argv) {
  return checkpointCommand(yargs, OPTIONS)
}

async function run(argv: RunArguments): Promise<number> {
  const started = Date.now()
  const display = progressDisplay(process.stderr)
  const interrupt = onInterrupt(() => {
    display.line('stopping: the finished intervals stay')
  })
  let interruption: Interruption | undefined
  try {
    const result = await runReplay(await runOptions(argv), {
      signal: interrupt.signal,
      onNote: (note) => {
        display.line(`· ${note}`)
      },
      onProgress: (progress) => {
        display.update(progress)
      },
      onInterrupted: (how) => {
        interruption = how
      },
    })
    display.stop()
    if (result === undefined) {
      process.stderr.write(interrupted(argv, interruption))
      return EXIT.interrupted
    }
    await report(argv, result, formatSeconds((Date.now() - started) / 1000))
    return exitCode(result)
  } finally {
    display.stop()
    interrupt.done()
  }
}

function exitCode({ manifest: { result } }: RunResult): number {
  return result.converged === result.intervals ? EXIT.done : EXIT.notConverged
}

/** What an interrupted run leaves, and the line that goes on with it. */
function interrupted({ out }: RunArguments, how: Interruption | undefined): string {
  if (how === undefined || how.finished === 0)
    return `interrupted before the first interval was finished; ${out} was left as it was\n`
  return (
    `interrupted: ${how.finished} of ${how.intervals} intervals are finished and stay in ${out}; to go on:\n` +
    `  ${resumeLine(process.argv.slice(2))}\n`
  )
}

async function report(argv: RunArguments, { manifest }: RunResult, seconds: string): Promise<void> {
  const results = await openResults(argv.out)
  const summary = summarize(await results.readTable('steps'), await results.readTable('tensors'))
  const { tolerance, out } = argv
  if (argv.json) {
    const facts = {
      out,
      status: manifest.status,
      tolerance,
      result: manifest.result,
      batchnorm: manifest.model.batchnorm ?? null,
      ...summary,
      tables: manifest.tables,
    }
    process.stdout.write(`${JSON.stringify(facts, null, 2)}\n`)
    return
  }
  const facts = {
    summary,
    manifest,
    out,
    tolerance,
    noiseFloor: Number(manifest.result.noise_floor),
    seconds,
  }
  process.stdout.write(renderSummary(facts, colors()))
}

async function runOptions(argv: RunArguments): Promise<RunOptions> {
  const { model, map, steps, batchSize, intervals, workers, threads } = argv
  return {
    checkpoints: argv.checkpoints,
    splits: namedSplits(argv),
    loss: await readLoss(argv),
    weights: argv.weights,
    ...readDataOptions(argv),
    tolerance: positive('--tolerance', argv.tolerance),
    maxSplits: powerOfTwo('--max-splits', argv.maxSplits),
    granularity: argv.granularity,
    batchNorm: argv.batchnorm,
    out: argv.out,
    overwrite: argv.overwrite,
    ...(model !== undefined && { model }),
    ...(map !== undefined && { map }),
    ...(steps !== undefined && { steps: parseStepRange(steps) }),
    ...(batchSize !== undefined && { batchSize: wholeNumber('--batch-size', batchSize) }),
    ...(intervals !== undefined && { intervals: parseIntervals(intervals) }),
    ...(workers !== undefined && { workers: wholeNumber('--workers', workers) }),
    ...(threads !== undefined && { threads: wholeNumber('--threads', threads) }),
  }
}

/** `--val FILE` is called val, a second one val2; `--val NAME=FILE` has its own name. */
function namedSplits({ train, val }: RunArguments): Map<string, string> {
  const splits = new Map([['train', train]])
  for (const entry of val) {
    const [, name, file] = /^([\w.-]+)=(.+)$/.exec(entry) ?? [undefined, undefined, entry]
    const split = name ?? (splits.has('val') ? `val${splits.size}` : 'val')
    if (splits.has(split)) throw new UsageError(`--val ${entry}: there is a split named '${split}' already`)
    splits.set(split, file)
  }
  return splits
}

function positive(option: string, value: number): number {
  if (Number.isNaN(value)) throw new UsageError(`${option}: a number is needed`)
  if (value > 0 && Number.isFinite(value)) return value
  throw new UsageError(`${option} ${value}: a number above 0 is needed`)
}

function wholeNumber(option: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value
  throw new UsageError(`${option} ${value}: a whole number from 1 on is needed`)
}

function powerOfTwo(option: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 2 && Number.isInteger(Math.log2(value))) return value
  throw new UsageError(`${option} ${value}: a power of two from 2 on is needed (2 is one Simpson panel)`)
}
