import * as z from 'zod'
import { checkChoices, parseLoss } from '../autodiff/losses.js'
import type { LossChoices, LossSpec } from '../autodiff/losses.js'
import { SCALES } from '../data/needs.js'
import { ENGINES } from '../engines/devices/names.js'
import type { EngineName } from '../engines/devices/names.js'
import { ResultsError, UsageError } from '../errors.js'
import { readModel } from '../onnx/read.js'
import type { RunOptions } from '../replay/options.js'
import type { Manifest } from '../tables/manifest.js'
import { GRANULARITIES } from '../tables/schema.js'
import { QUADRATURES } from '../replay/quadrature/names.js'
import { MOST_PARTS } from './finer.js'
import { locate } from './locate.js'
import type { VerifyOptions } from './model.js'

const numbers = z.array(z.number())
const count = z.int().positive()

/** The options of a run as its manifest has them (replay/manifest.ts), as far as they say what the numbers are. */
const recordedOptions = z.looseObject({
  checkpoints: z.string(),
  model: z.string().nullish(),
  map: z.string().nullish(),
  splits: z.record(z.string(), z.string()),
  loss: z.string(),
  loss_options: z
    .looseObject({
      classAxis: z.int(),
      ignoreIndex: z.int(),
      classWeights: numbers,
      labelSmoothing: z.number(),
      softLabels: z.boolean(),
      positiveWeights: numbers,
    })
    .partial()
    .nullish(),
  steps: z.object({ from: z.int(), to: z.int(), stride: count }).partial().nullish(),
  weights: z.enum(['raw', 'ema']).nullish(),
  tolerance: z.number().positive(),
  quadrature: z.enum(QUADRATURES).nullish(),
  granularity: z.enum(GRANULARITIES),
  batch_size_given: count.nullish(),
  batchnorm: z.enum(['running', 'batch']),
  tensors: z.array(z.string()).nullish(),
  sample: z.object({ maximum: count, seed: z.int() }).nullish(),
  engine: z.enum(ENGINES).nullish(),
  input: z.string().nullish(),
  inputs: z.record(z.string(), z.string()).nullish(),
  target: z.string().nullish(),
  scale: z.enum(SCALES),
  transform: z.object({ mean: numbers, std: numbers }).nullish(),
  context: count.nullish(),
})
type RecordedOptions = z.infer<typeof recordedOptions>

/** What a run was, and how to run it again. */
export interface Rebuilt {
  readonly options: RunOptions
  /** What computed the results. */
  readonly engine: EngineName
  readonly device: string
}

/**
 * The options of a run from its manifest, with the files where they are now.
 * @param folder the results
 * @throws ResultsError where the manifest does not say what is needed
 * @throws UsageError where a file is not there any more, or what is given does not fit the run
 */
export async function rebuild(folder: string, manifest: Manifest, how: VerifyOptions): Promise<Rebuilt> {
  const parsed = recordedOptions.safeParse(manifest.options)
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!
    throw new ResultsError(
      `the manifest of ${folder} does not say how to compute its numbers again: options.${path.join('.')}: ${message}`,
    )
  }
  const recorded = parsed.data
  const engine = recorded.engine ?? 'onnxruntime'
  const device = recordedDevice(manifest)
  const wanted = how.engine ?? engine
  const { model, map, sample, tensors } = recorded
  if (wanted === 'onnxruntime' && engine !== wanted && how.model === undefined)
    throw new UsageError(
      `--engine ${wanted}: the results were computed by ${engine}, whose network ${manifest.model.path} the other engine does not read; ` +
        'name the network in its form with --model',
    )
  const at = (given: string | undefined, path: string, option: string): string =>
    locate(given, path, { results: folder, option })
  const ownModel = wanted === engine ? model : undefined
  const modelPath = ownModel || how.model ? at(how.model, ownModel ?? '', '--model') : undefined
  const mapPath = map || how.map ? at(how.map, map ?? '', '--map') : undefined
  return {
    engine,
    device,
    options: {
      checkpoints: at(how.checkpoints, recorded.checkpoints, '--checkpoints'),
      ...(modelPath !== undefined && { model: modelPath }),
      ...(mapPath !== undefined && { map: mapPath }),
      splits: splitsOf(folder, manifest, recorded, how),
      loss: await lossOf(folder, recorded, how),
      ...stepsOf(manifest, recorded),
      weights: recorded.weights ?? 'raw',
      ...dataOptions(recorded),
      tolerance: recorded.tolerance,
      maxSplits: MOST_PARTS,
      quadrature: recorded.quadrature ?? 'simpson',
      granularity: recorded.granularity,
      // where none was given, numbers don't depend on it, and a device takes what its memory allows
      ...(recorded.batch_size_given && { batchSize: recorded.batch_size_given }),
      batchNorm: recorded.batchnorm,
      // names in the tables are the engine's own network's, so that patterns of them say nothing to another
      ...(tensors && wanted === engine && { tensors }),
      ...(sample && { sample }),
      engine: wanted,
      device: how.device ?? (device === 'cpu' ? 'auto' : 'cpu'),
      ...(how.deviceMemory !== undefined && { deviceMemory: how.deviceMemory }),
      ...(how.workers !== undefined && { workers: how.workers }),
      ...(how.threads !== undefined && { threads: how.threads }),
      out: folder,
      overwrite: false,
    },
  }
}

function recordedDevice(manifest: Manifest): string {
  const device = z.looseObject({ provider: z.string() }).safeParse(manifest.device)
  return device.success ? device.data.provider : 'cpu'
}

/** The run's splits in its order. */
function splitsOf(
  folder: string,
  manifest: Manifest,
  recorded: RecordedOptions,
  { splits = new Map<string, string>() }: VerifyOptions,
): Map<string, string> {
  const names = manifest.data.map(({ split }) => split)
  const strange = [...splits.keys()].find((name) => !names.includes(name))
  if (strange !== undefined)
    throw new UsageError(
      `${strange}=${splits.get(strange)!}: the results have no data set of that name, only ${names.join(', ')}`,
    )
  return new Map(
    manifest.data.map(({ split, path }) => {
      const option = split === names[0] ? '--train' : `--val ${split}=FILE`
      const where = recorded.splits[split] ?? path
      return [split, locate(splits.get(split), where, { results: folder, option })]
    }),
  )
}

async function lossOf(folder: string, recorded: RecordedOptions, how: VerifyOptions): Promise<LossSpec> {
  const choices = present(recorded.loss_options ?? {}) as LossChoices
  const { loss } = recorded
  if (loss.endsWith('.onnx') && !loss.startsWith('output:')) {
    const path = locate(how.loss, loss, { results: folder, option: '--loss' })
    return { kind: 'graph', graph: await readModel(path), path }
  }
  if (how.loss !== undefined)
    throw new UsageError(`--loss ${how.loss}: the loss of the results is ${loss}, which is no file`)
  checkChoices(loss, choices)
  return parseLoss(loss, choices)
}

/** Checkpoints that were recorded since belong to no run that is verified. */
function stepsOf({ status, checkpoints }: Manifest, { steps }: RecordedOptions): Pick<RunOptions, 'steps'> {
  if (steps) return { steps: present(steps) }
  const [first, last] = [checkpoints[0], checkpoints.at(-1)]
  if (status !== 'complete' || first === undefined || last === undefined) return {}
  return { steps: { from: first.step, to: last.step } }
}

function dataOptions(recorded: RecordedOptions): Pick<RunOptions, 'scale'> {
  const { input, inputs, target, scale, transform, context } = recorded
  return { scale, ...present({ input, inputs, target, transform, context }) }
}

/** What is given, without what is undefined or null. */
function present(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined && value !== null),
  )
}
