import { NO_BATCH_NORM } from '../autodiff/coupling.js'
import { drawSample } from '../data/sample.js'
import type { Sample } from '../data/sample.js'
import { openSource, readData } from '../data/open-data.js'
import type { DataSource } from '../data/open-data.js'
import type { DataNeeds, DataSet, InputSpec } from '../data/needs.js'
import type { NamedValue } from '../onnx/graph.js'
import { chooseDevice } from '../engines/devices/choose.js'
import type { ChosenDevice } from '../engines/devices/choose.js'
import type { ChosenTfjs } from '../engines/tfjs/choose.js'
import { deviceMemory } from '../engines/devices/memory.js'
import { readModel } from '../onnx/read.js'
import type { Trajectory } from '../trajectory/checkpoint.js'
import { openTrajectory } from '../trajectory/open-trajectory.js'
import { askedBatchSize, checkRemainder, chooseBatchSize, fittingBatchSize } from './batch-size.js'
import { checkFisher, fisherNote, fisherSamples } from './fisher-samples.js'
import { listNames } from '../listing.js'
import type { Differentiated, ReplayNetwork } from './network.js'
import { openOnnxNetwork } from './onnx-network.js'
import type { RunEvents, RunOptions } from './options.js'
import { checkTfjsOptions } from './tfjs-options.js'
import type { LcaTensor } from './tensors.js'

/** Everything that a replay needs, opened and checked against each other. */
export interface Prepared {
  readonly trajectory: Trajectory
  readonly device: ChosenDevice
  readonly network: ReplayNetwork
  /** Its arrays are let go when the workers have them. */
  readonly data: Map<string, DataSet>
  /** By split, where its data are a random sample: then they are what `data` holds. */
  readonly samples: ReadonlyMap<string, Sample>
  /** Numbers of the samples that Fisher information is measured on, by split, where it is asked for. */
  readonly fisher?: ReadonlyMap<string, readonly number[]>
  readonly batchSize: number
  /** Why it is what it is, where it follows from a device's memory (ChosenSize). */
  readonly fromMemory?: string
  /** The statistics that the network's BatchNormalization uses; undefined where it has none. */
  readonly batchNorm?: RunOptions['batchNorm']
  /** What was told to the user on the way. */
  readonly notes: readonly string[]
}

/** Opens checkpoints, network and data, binds names and differentiates. Everything cheap is checked before any work. */
export async function prepare(options: RunOptions, events: RunEvents): Promise<Prepared> {
  const notes: string[] = []
  const note = (text: string): void => {
    notes.push(text)
    events.onNote?.(text)
  }
  const sources = beginSources(options)
  const choosing = chooseMeans(options)
  choosing.catch(() => undefined)
  const onnx = options.engine !== 'tfjs' && options.model !== undefined
  const named = onnx ? await readModel(options.model) : undefined
  const { steps, weights = 'raw' } = options
  const trajectory = await openTrajectory(options.checkpoints, { weights, ...(steps && { steps }) })
  trajectory.notes.forEach(note)
  const { device: chosen, tfjs } = await choosing
  chosen.notes?.forEach(note)
  tfjs?.notes.forEach(note)
  const network =
    tfjs === undefined
      ? await openOnnxNetwork(options, trajectory, { named, device: chosen }, note)
      : await (await import('./tfjs-network.js')).openTfjsNetwork(options, trajectory, tfjs, note)
  const { gradient, tensors, allocated, normalizes, device = chosen } = network
  checkFisher(options, gradient)
  gradient.notes.forEach(note)
  const wanted = tensors.slice(0, allocated)
  if (allocated < tensors.length)
    note(
      `LCA of ${allocated} of ${tensors.length} tensors: ${listNames(
        wanted.map(({ name }) => name),
        8,
      )}`,
    )
  batchNormNotes(options, normalizes).forEach(note)
  unreached(wanted, gradient).forEach(note)
  const asked = askedBatchSize(options, gradient, note)
  const data = await readSplits(sources, options, gradient, note)
  // what is drawn must not depend on a device's memory
  const suits = asked ?? fittingBatchSize(network, data.values())
  if (options.deviceMemory !== undefined && (asked !== undefined || device.device === 'cpu'))
    note(
      `--device-memory has no effect ${asked === undefined ? 'on the CPU' : 'where micro-batches have a given size'}`,
    )
  const samples = sampled(data, options, { gradient, batchSize: suits }, note)
  for (const [split, { data: part }] of samples) data.set(split, part)
  const { size: batchSize, fromMemory } =
    asked === undefined
      ? chooseBatchSize(network, [...data.values()], await memoryOf(options, device))
      : { size: asked, fromMemory: undefined }
  for (const set of data.values()) checkRemainder(set, gradient, batchSize)
  const fisher = fisherSamples(options, data, samples)
  if (fisher !== undefined) note(fisherNote(fisher, data))
  const prepared = {
    trajectory,
    device,
    network,
    data,
    samples,
    ...(fisher && { fisher }),
    batchSize,
    ...(fromMemory !== undefined && { fromMemory }),
    notes,
  }
  return normalizes ? { ...prepared, batchNorm: options.batchNorm } : prepared
}

/** The device, and TensorFlow.js where that is the engine. */
interface Means {
  readonly device: ChosenDevice
  readonly tfjs?: ChosenTfjs
}

async function chooseMeans(options: RunOptions): Promise<Means> {
  if (options.engine !== 'tfjs') return { device: await chooseDevice(options.device ?? 'auto') }
  const { chooseTfjs } = await import('../engines/tfjs/choose.js')
  checkTfjsOptions(options)
  const tfjs = await chooseTfjs(options.device ?? 'auto')
  return { device: { device: tfjs.gpu ? 'cuda' : 'cpu' }, tfjs }
}

/** The device's memory that each worker's engine may fill. */
async function memoryOf({ deviceMemory: limit, workers = 1 }: RunOptions, { device }: ChosenDevice) {
  const memory = await deviceMemory(device, { limit, engines: workers })
  return memory ?? (device === 'cpu' ? undefined : 'unknown')
}

/** Random samples of those splits that have more than are asked for. */
function sampled(
  data: ReadonlyMap<string, DataSet>,
  { sample }: RunOptions,
  { gradient, batchSize }: { readonly gradient: Differentiated; readonly batchSize: number },
  note: (text: string) => void,
): Map<string, Sample> {
  const samples = new Map<string, Sample>()
  if (sample === undefined) return samples
  const { coupledBy, perSample, batch } = gradient
  const whole = coupledBy !== undefined || (typeof batch === 'number' && !perSample)
  for (const [split, set] of data) {
    const drawn = drawSample(set, {
      ...sample,
      microBatch: batchSize,
      ...(whole && { multipleOf: batchSize }),
    })
    if (drawn === undefined) continue
    note(`${split}: ${drawn.data.notes.at(-1)!}`)
    samples.set(split, drawn)
  }
  return samples
}

function batchNormNotes({ batchNorm }: RunOptions, normalizes: boolean): string[] {
  if (batchNorm === 'running') return []
  return [
    normalizes
      ? 'BatchNorm takes its statistics from each micro-batch, cut in the order of the data: --batch-size is part of the loss'
      : NO_BATCH_NORM,
  ]
}

function unreached(tensors: readonly LcaTensor[], { gradients }: Differentiated): string[] {
  const without = tensors.filter(({ name }) => !gradients.has(name))
  const buffers = without.filter(({ role }) => role === 'buffer')
  const others = without.filter(({ role }) => role !== 'buffer').map(({ name }) => name)
  return [
    ...(buffers.length === 0
      ? []
      : [`the loss does not use the ${buffers.length} tensors of running statistics: their LCA is zero`]),
    ...(others.length === 0 ? [] : [`the loss does not depend on ${others.join(', ')}: their LCA is zero`]),
  ]
}

/**
 * Opens the data files before anything else, so that they are hashed while the network is read and differentiated. What
 * is wrong with them is said when it is their turn.
 */
function beginSources(options: RunOptions): ReadonlyMap<string, Promise<DataSource>> {
  return new Map(
    [...options.splits].map(([split, path]): [string, Promise<DataSource>] => {
      const source = openSource(path, options)
      source.catch(() => undefined)
      return [split, source]
    }),
  )
}

async function readSplits(
  sources: ReadonlyMap<string, Promise<DataSource>>,
  options: RunOptions,
  gradient: Differentiated,
  note: (text: string) => void,
): Promise<Map<string, DataSet>> {
  const data = new Map<string, DataSet>()
  for (const [split, source] of sources) {
    const set = await readData(await source, dataNeeds(gradient), options)
    for (const text of set.notes) note(`${split}: ${text}`)
    data.set(split, set)
  }
  return data
}

function dataNeeds({ inputs, target }: Differentiated): DataNeeds {
  const spec = ({ name, dtype, shape }: NamedValue): InputSpec => ({
    name,
    dtype: dtype ?? 'float32',
    dims: shape ?? [],
  })
  if (target === undefined) return { inputs: inputs.map(spec) }
  if (target.kind === 'values')
    return {
      inputs: inputs.map(spec),
      target: {
        kind: 'values',
        dims: target.input.shape ?? [],
        dtype: target.input.dtype ?? 'float32',
      },
    }
  const { classes, ignored, weights } = target
  return {
    inputs: inputs.map(spec),
    target: {
      kind: 'labels',
      positions: (target.input.shape ?? []).slice(1),
      ignored,
      ...(typeof classes === 'number' && { classes }),
      ...(weights && { weights }),
    },
  }
}
