import { differentiate } from '../../src/autodiff/differentiate.js'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import { loopedGradient } from '../../src/autodiff/looped.js'
import { openData } from '../../src/data/open-data.js'
import { createEngine } from '../../src/engines/create.js'
import { DEVICE_FORMS } from '../../src/engines/devices/forms.js'
import { DEVICES } from '../../src/engines/devices/names.js'
import type { Device } from '../../src/engines/devices/names.js'
import { probe } from '../../src/engines/devices/probe.js'
import { knownObstacle } from '../../src/engines/devices/why-not.js'
import type { Engine, MicroBatch, MicroBatchResult, Parameters, SplitData } from '../../src/engines/engine.js'
import { openLoopedEngine } from '../../src/engines/looped.js'
import { programOf } from '../../src/engines/program.js'
import { sumOneByOne } from '../../src/engines/quicker.js'
import type { Graph } from '../../src/onnx/graph.js'
import { readModel } from '../../src/onnx/read.js'
import { encodeModel } from '../../src/onnx/write.js'
import { median, reference } from './common.js'
import { NETWORKS } from './gradient.js'
import { GradientPeer } from './peer.js'

/** What may follow `device` on the command line, beside names of networks. */
export interface DeviceBench {
  /** This device alone; by default the CPU and all that pass a probe. */
  readonly device?: string
  /** Samples of a micro-batch, instead of the network's own. */
  readonly batch?: number
}

/** Micro-batches of a group. */
const GROUP = 4
const ROUNDS = 5
/** TF32 rounds factors to 2^-11: a product of a thousand of them would be farther off than this. */
const LOSS_TOLERANCE = 1e-5
const GRADIENT_TOLERANCE = 1e-4

/**
 * Times the gradient of a reference network on devices, and compares its numbers with the CPU's: one micro-batch, a group of
 * them run one by one, and (CUDA) looped over inside the graph; beside them PyTorch on the same device. Rounding to TF32 is
 * forbidden as in a run.
 */
export async function benchDevice(name: string, { device, batch }: DeviceBench): Promise<void> {
  process.env.NVIDIA_TF32_OVERRIDE = '0'
  const network = NETWORKS[name]
  if (network === undefined)
    throw new Error(`no network ${name}; networks: ${Object.keys(NETWORKS).join(' ')}`)
  const size = batch ?? network.batch
  const model = await readModel(`${reference(network.folder)}/model.onnx`)
  const samples = await samplesOf(model, network.folder)
  const batches = inRow(
    Math.min(GROUP, Math.max(1, Math.floor(samples.samples / size))),
    size,
    samples.samples,
  )
  const expected = await resultOn('cpu', model, samples, batches)
  for (const one of await devicesOf(device)) {
    const found = one === 'cpu' ? expected : await resultOn(one, model, samples, batches)
    console.log(
      `${name} on ${one}, micro-batches of ${batches[0]!.size}, ${batches.length} in a group: ${found.times}`,
    )
    if (one !== 'cpu') compare(name, one, found, expected)
    await besidePyTorch(name, one, batches[0]!.size, found.each)
  }
}

async function devicesOf(asked: string | undefined): Promise<Device[]> {
  const named = DEVICES.find((device) => device === asked)
  if (named !== undefined) return [named]
  if (asked !== undefined) throw new Error(`no device ${asked}; devices: ${DEVICES.join(' ')}`)
  return (passing ??= thatPass())
}

/** Probed once for all networks. */
let passing: Promise<Device[]> | undefined

async function thatPass(): Promise<Device[]> {
  const found: Device[] = ['cpu']
  for (const device of DEVICES.filter((one) => one !== 'cpu')) {
    const known = knownObstacle(device)
    const result = known === undefined ? await probe(device) : { obstacle: known }
    if ('obstacle' in result) console.log(`${device}: ${result.obstacle.reason}`)
    else found.push(device)
  }
  return found
}

function inRow(count: number, size: number, samples: number): MicroBatch[] {
  const fitting = Math.min(size, samples)
  return Array.from({ length: count }, (_, i) => ({ start: i * fitting, count: fitting, size: fitting }))
}

function gradientFor(device: Device, model: Graph): GradientGraph {
  return differentiate(model, {
    parameters: weightsOf(model),
    loss: { kind: 'cross-entropy' },
    forms: DEVICE_FORMS[device],
  })
}

function weightsOf(model: Graph): string[] {
  return [...model.initializers].flatMap(([name, { literal, dtype, shape }]) =>
    literal !== true && dtype === 'float32' && shape.length > 0 ? [name] : [],
  )
}

function samplesOf(model: Graph, folder: string): Promise<SplitData> {
  const { inputs, target } = gradientFor('cpu', model)
  const specs = inputs.map(({ name, dtype, shape }) => ({ name, dtype: dtype!, dims: shape! }))
  const positions = target!.input.shape!.slice(1)
  return openData(
    `${reference(folder)}/train.npz`,
    { inputs: specs, target: { kind: 'labels', positions } },
    { scale: 'auto' },
  )
}

interface Found {
  readonly numerator: number
  readonly gradients: ReadonlyMap<string, Float64Array>
  /** Milliseconds of one micro-batch, run by itself. */
  readonly each: number
  readonly times: string
}

async function resultOn(
  device: Device,
  model: Graph,
  samples: SplitData,
  batches: readonly MicroBatch[],
): Promise<Found> {
  const gradient = gradientFor(device, model)
  const parameters: Parameters = new Map(
    weightsOf(model).map((name) => [
      name,
      new Float32Array(Uint8Array.from(model.initializers.get(name)!.read()).buffer),
    ]),
  )
  const options = { threads: 1, placing: { device, strict: false } }
  const single = await timed(
    () => createEngine(gradient, options),
    (engine) => sumOneByOne(engine, parameters, samples, batches),
  )
  const each = single.ms / batches.length
  const texts = [`${each.toFixed(2)} ms for each, one by one`]
  if (device === 'cuda' || device === 'cpu') {
    const looped = await timed(
      () => openLoopedEngine(encodeModel(loopedGradient(gradient)), programOf(gradient), options),
      (engine) => engine.sum!(parameters, samples, batches),
    )
    texts.push(`${(looped.ms / batches.length).toFixed(2)} ms looped over in the graph`)
  }
  const gradients = [...gradient.gradients.keys()].map((name): [string, Float64Array] => [
    name,
    Float64Array.from(single.result.gradient(name)!),
  ])
  const { numerator } = single.result
  return { numerator, gradients: new Map(gradients), each, times: texts.join(', ') }
}

/** The median time after two runs that make ready. */
async function timed(
  open: () => Promise<Engine>,
  run: (engine: Engine) => Promise<MicroBatchResult>,
): Promise<{ readonly ms: number; readonly result: MicroBatchResult }> {
  const engine = await open()
  try {
    await run(engine)
    let result = await run(engine)
    const times: number[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      const start = performance.now()
      result = await run(engine)
      times.push(performance.now() - start)
    }
    return { ms: median(times), result }
  } finally {
    await engine.close()
  }
}

/** A device whose numbers are wrong ends the benchmark: its times would say nothing. */
function compare(name: string, device: Device, found: Found, expected: Found): void {
  const loss = Math.abs(found.numerator - expected.numerator) / Math.abs(expected.numerator)
  const distances = [...expected.gradients].map(([parameter, values]) => {
    const own = found.gradients.get(parameter)!
    let [difference, norm] = [0, 0]
    values.forEach((value, i) => {
      difference += (own[i]! - value) ** 2
      norm += value ** 2
    })
    return norm === 0 ? 0 : Math.sqrt(difference / norm)
  })
  const gradient = Math.max(...distances)
  console.log(`  loss ${loss.toExponential(1)}, gradients ${gradient.toExponential(1)} from the CPU's`)
  if (!(loss < LOSS_TOLERANCE && gradient < GRADIENT_TOLERANCE))
    throw new Error(`${name} on ${device}: numbers differ from the CPU's by more than ${GRADIENT_TOLERANCE}`)
}

/** PyTorch's device for one of ONNX Runtime's: it has none for the others. */
const PYTORCH: Partial<Record<Device, string>> = { cpu: 'cpu', cuda: 'cuda', tensorrt: 'cuda' }

async function besidePyTorch(name: string, device: Device, batch: number, own: number): Promise<void> {
  const theirs = PYTORCH[device]
  if (theirs === undefined) return
  const { folder } = NETWORKS[name]!
  const peer = new GradientPeer(name, folder, batch, { device: theirs, threads: 1 })
  try {
    await peer.time(3)
    const ms = median(await peer.time(ROUNDS * GROUP))
    console.log(`  PyTorch ${ms.toFixed(2)} ms on ${theirs}: ratio ${(own / ms).toFixed(2)}`)
  } catch (error) {
    console.log(`  PyTorch on ${theirs}: ${String(error)}`)
  } finally {
    peer.close()
  }
}
