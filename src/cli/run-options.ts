import type { Options } from 'yargs'
import { UsageError } from '../errors.js'
import { DEVICE_CHOICES, ENGINES, PRECISIONS } from '../engines/devices/names.js'
import type { DeviceChoice, EngineName, Precision } from '../engines/devices/names.js'
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
    describe: 'The network as ONNX, or a model.json for --engine tfjs [the last checkpoint, where it is one]',
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
  engine: {
    choices: ENGINES,
    default: 'onnxruntime' as const,
    describe: 'What computes gradients: ONNX Runtime, or TensorFlow.js for its own models',
  },
  device: {
    choices: DEVICE_CHOICES,
    default: 'auto' as const,
    describe: 'Where gradients are computed; auto takes the first that passes its probe',
  },
  'strict-device': {
    type: 'boolean',
    default: false,
    describe: 'Fail where an operator would be computed on another device',
  },
  precision: {
    choices: PRECISIONS,
    default: 'float32' as const,
    describe: "Type of the network's values; float16 on devices that have it",
  },
  tf32: {
    type: 'boolean',
    default: false,
    describe: "Let NVIDIA's matrix units round to TF32: quicker, with larger residuals",
  },
  'device-memory': {
    type: 'string',
    describe: "Use no more of the device's memory: 8GB, 500MB [what is free]",
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
  readonly engine: EngineName
  readonly device: DeviceChoice
  readonly strictDevice: boolean
  readonly precision: Precision
  readonly tf32: boolean
  readonly deviceMemory?: string | undefined
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
    engine: argv.engine,
    device: argv.device,
    strictDevice: argv.strictDevice,
    precision: argv.precision,
    tf32: argv.tf32,
    ...(argv.deviceMemory !== undefined && { deviceMemory: byteCount('--device-memory', argv.deviceMemory) }),
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

/** Throws UsageError where it is anything but a whole number from 1 on. */
export function wholeNumber(option: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value
  throw new UsageError(`${option} ${value}: a whole number from 1 on is needed`)
}

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
}

/** Reads `8GB`. Throws UsageError where it is something else. */
export function byteCount(option: string, text: string): number {
  const [, number = '', unit = 'B'] = /^(\d+(?:\.\d+)?)\s*([kmg]?i?b)?$/i.exec(text) ?? []
  const bytes = Math.floor(Number(number) * (UNITS[unit.toUpperCase()] ?? Number.NaN))
  if (number !== '' && bytes >= 1) return bytes
  throw new UsageError(`${option} ${text}: a size is needed, such as 8GB or 500MB`)
}

function powerOfTwo(option: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1 && Number.isInteger(Math.log2(value))) return value
  throw new UsageError(`${option} ${value}: a power of two is needed (2 is one Simpson panel)`)
}
