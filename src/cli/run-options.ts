import type { Options } from 'yargs'
import { UsageError } from '../errors.js'
import type { RunOptions } from '../replay/options.js'
import { GRANULARITIES } from '../tables/schema.js'
import type { WeightKind } from '../trajectory/formats/format.js'
import { parseIntervals } from '../replay/range.js'
import { QUADRATURES } from '../replay/quadrature/names.js'
import type { QuadratureName } from '../replay/quadrature/names.js'
import { parseStepRange } from '../trajectory/step-range.js'
import { WEIGHTS_OPTION } from './checkpoint-options.js'
import { DATA_OPTIONS, readDataOptions } from './data-options.js'
import type { DataArguments } from './data-options.js'
import { LOSS_OPTIONS, readLoss } from './loss-options.js'
import type { LossArguments } from './loss-options.js'

/** The options of a replay, of every command that replays. */
export const RUN_OPTIONS = {
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
  quadrature: {
    choices: QUADRATURES,
    default: 'simpson' as const,
    describe: 'How the gradient is integrated between checkpoints; auto takes the cheapest rule that will do',
  },
  tolerance: {
    type: 'number',
    default: 0.001,
    describe:
      'Largest |LCA - loss change| of a converged interval (auto: and error of a tensor), in units of the loss',
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
  'max-samples': {
    type: 'number',
    describe: 'Take a random sample of so many from each data set, with standard errors of what it says',
  },
  'fisher-samples': {
    type: 'number',
    describe:
      'Measure the empirical Fisher information at the last checkpoint, on so many random samples of each data set',
  },
  seed: { type: 'number', default: 0, describe: 'Of random samples (--max-samples, --fisher-samples)' },
  tensors: {
    type: 'string',
    array: true,
    nargs: 1,
    default: [] as string[],
    describe: "Allocate to tensors of these names only ('*' stands for anything; repeatable)",
  },
  intervals: {
    type: 'string',
    describe:
      'Replay only intervals FROM:TO (TO left out), cut at multiples of 32; `retrograd merge` joins them',
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

/** Their values, as yargs gives them. */
export interface RunArguments extends LossArguments, DataArguments {
  readonly checkpoints: string
  readonly model?: string | undefined
  readonly train: string
  readonly val: readonly string[]
  readonly out: string
  readonly map?: string | undefined
  readonly steps?: string | undefined
  readonly weights: WeightKind
  readonly tolerance: number
  readonly maxSplits: number
  readonly granularity: RunOptions['granularity']
  readonly batchnorm: RunOptions['batchNorm']
  readonly batchSize?: number | undefined
  readonly quadrature: QuadratureName
  readonly maxSamples?: number | undefined
  readonly fisherSamples?: number | undefined
  readonly seed: number
  readonly tensors: readonly string[]
  readonly intervals?: string | undefined
  readonly workers?: number | undefined
  readonly threads?: number | undefined
  readonly overwrite: boolean
}

/**
 * What the options say to replay. Throws UsageError where one is malformed or they don't fit together, and what reading
 * a loss or its weights from a file throws.
 */
export async function readRunOptions(argv: RunArguments): Promise<RunOptions> {
  const { model, map, steps, batchSize, maxSamples, fisherSamples, intervals, workers, threads } = argv
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
    quadrature: argv.quadrature,
    tensors: argv.tensors,
    out: argv.out,
    overwrite: argv.overwrite,
    ...(model !== undefined && { model }),
    ...(map !== undefined && { map }),
    ...(steps !== undefined && { steps: parseStepRange(steps) }),
    ...(batchSize !== undefined && { batchSize: wholeNumber('--batch-size', batchSize) }),
    ...(maxSamples !== undefined && {
      sample: { maximum: wholeNumber('--max-samples', maxSamples), seed: argv.seed },
    }),
    ...(fisherSamples !== undefined && {
      fisher: { samples: wholeNumber('--fisher-samples', fisherSamples), seed: argv.seed },
    }),
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
  if (Number.isSafeInteger(value) && value >= 1 && Number.isInteger(Math.log2(value))) return value
  throw new UsageError(`${option} ${value}: a power of two is needed (2 is one Simpson panel)`)
}
