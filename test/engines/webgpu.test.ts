import { join } from 'node:path'
import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import { parseLoss } from '../../src/autodiff/losses.js'
import type { Forms, Settings } from '../../src/autodiff/rule.js'
import { openData } from '../../src/data/open-data.js'
import { createEngine, evaluate } from '../../src/engines/create.js'
import type { SampleArray, SplitData } from '../../src/engines/engine.js'
import { rows } from '../../src/engines/micro-batches.js'
import { programOf } from '../../src/engines/program.js'
import type { Graph } from '../../src/onnx/graph.js'
import { readModel } from '../../src/onnx/read.js'
import { encodeModel } from '../../src/onnx/write.js'
import { bindNetwork } from '../../src/replay/binding.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { SHARED } from '../shared.js'
import { Arrays, expectGradients, kept, NETWORKS, samplesOf } from '../support/exported-networks.js'
import { describeWithWebGpu } from '../support/webgpu.js'
import type { DeviceResult, DeviceTask } from '../support/webgpu.js'

type Evaluate = (task: DeviceTask) => Promise<DeviceResult>

/** Distance allowed between the mean losses of device and CPU. */
const LOSS_LIMIT = 1e-5

/** Of the reference networks' data: a software adapter needs its time for every shape and every sample. */
const SAMPLES = 4

/** Beside those below: convolutions of all kinds, losses of all kinds, layers that become loops. */
const EXPORTED = ['mobile', 'autoencoder', 'gated', 'lstm', 'gru'] as const

interface Network {
  readonly model: Graph
  readonly parameters: ReadonlyMap<string, Float32Array>
  readonly gradient: (forms: Forms) => GradientGraph
  readonly split: SplitData
}

/** A recorded network, its weights at the first checkpoint, and the first samples of its data. */
async function recorded(
  folder: string,
  data: string,
  samples: number,
  {
    batchNorm = 'running',
    opset,
  }: { readonly batchNorm?: Settings['batchNorm']; readonly opset?: number } = {},
): Promise<Network> {
  const path = join(folder, 'model.onnx')
  const trajectory = await openTrajectory(join(folder, 'checkpoints'))
  const { binding, graph } = await bindNetwork({ model: path }, await readModel(path), trajectory)
  const model = opset === undefined ? graph : { ...graph, opsets: new Map([['', opset]]) }
  const parameters = new Map<string, Float32Array>()
  for (const { name, tensor } of binding.pairs)
    parameters.set(name, (await trajectory.checkpoints[0]!.read(tensor)).data as Float32Array)
  const gradient = (forms: Forms): GradientGraph =>
    differentiate(model, {
      parameters: [...parameters.keys()],
      loss: { kind: 'cross-entropy' },
      batchNorm,
      forms,
    })
  const { inputs, target } = gradient('webgpu')
  const needs = inputs.map(({ name, dtype, shape }) => ({ name, dtype: dtype!, dims: shape! }))
  const positions = target!.input.shape!.slice(1)
  const whole = await openData(
    join(folder, data),
    { inputs: needs, target: { kind: 'labels', positions } },
    { scale: 'auto' },
  )
  return { model, parameters, gradient, split: first(whole, samples) }
}

function first({ inputs, target }: SplitData, samples: number): SplitData {
  const cut = (array: SampleArray): SampleArray => ({
    ...array,
    data: rows(array, { start: 0, count: samples, size: samples }),
  })
  return {
    samples,
    inputs: new Map([...inputs].map(([name, array]) => [name, cut(array)])),
    target: target && cut(target),
  }
}

async function onCpu({ gradient, parameters, split }: Network, size: number) {
  const graph = gradient('cpu')
  const gradients = new Map(
    [...graph.gradients.keys()].map((name) => [name, new Float64Array(parameters.get(name)!.length)]),
  )
  const engine = await createEngine(graph, { threads: 1 })
  try {
    const { loss } = await evaluate(engine, parameters, split, { size }, gradients)
    return { loss, gradients }
  } finally {
    await engine.close()
  }
}

/** Holds loss and gradient of a network on the device, in micro-batches of a size, against the CPU's. */
async function compare(onDevice: Evaluate, network: Network, size: number): Promise<DeviceResult> {
  const gradient = network.gradient('webgpu')
  const { parameters, split } = network
  const result = await onDevice({
    model: encodeModel(gradient.graph),
    program: programOf(gradient),
    parameters,
    split,
    size,
  })
  const expected = await onCpu(network, size)
  expect(result.loss).to.be.closeTo(expected.loss, LOSS_LIMIT)
  expectGradients(result.gradients, expected.gradients)
  return result
}

describeWithWebGpu('on WebGPU, no node on the CPU, the loss and gradient are the CPU’s', (onDevice) => {
  it('of the recorded LeNet in opset 22, in micro-batches with a remainder', async () => {
    const network = await recorded('fixtures/mnist-lenet', 'val.npz', 5, { opset: 22 })
    const { description } = await compare(onDevice, network, 3)
    expect(description).to.match(/^onnxruntime [\d.]+, webgpu$/)
  })

  it('and numbers beyond 32 bits are refused by name', async () => {
    const network = await recorded('fixtures/mnist-lenet', 'val.npz', 4)
    const labels = {
      dtype: 'int64',
      sampleShape: [],
      data: new BigInt64Array(4).fill(3_000_000_000n),
    } as const
    const split = { ...network.split, target: labels }
    const error: unknown = await compare(onDevice, { ...network, split }, 4).catch(
      (reason: unknown) => reason,
    )
    expect((error as Error).message).to.match(
      /^the input 'target' holds 3000000000, .* 32 bits; use --device cpu$/,
    )
  })

  if (SHARED === undefined) {
    it.skip('of the reference networks [skipped: the reference data ../shared is not here]')
    return
  }
  const reference = join(SHARED, 'reference')
  for (const name of ['mnist-fc', 'lenet', 'gpt'])
    it(`of ${name}`, async () => {
      await compare(onDevice, await recorded(join(reference, name), 'train.npz', SAMPLES), SAMPLES)
    })
  for (const batchNorm of ['running', 'batch'] as const)
    it(`of resnet-bn, BatchNorm ${batchNorm}`, async () => {
      const network = await recorded(join(reference, 'resnet-bn'), 'train.npz', SAMPLES, { batchNorm })
      await compare(onDevice, network, SAMPLES)
    })

  for (const network of EXPORTED)
    it(`of the exported network ${network}`, async () => {
      await compare(onDevice, await exported(reference, network), 4)
    })
})

async function exported(reference: string, network: keyof typeof NETWORKS): Promise<Network> {
  const arrays = await Arrays.open(join(reference, 'gradients', `${network}.npz`))
  const model = await readModel(join(reference, 'gradients', `${network}.plain.onnx`))
  const names = await kept(model, arrays)
  const parameters = new Map<string, Float32Array>()
  for (const name of names) parameters.set(name, Float32Array.from(await arrays.values(`param/${name}`)))
  const gradient = (forms: Forms): GradientGraph =>
    differentiate(model, {
      parameters: names,
      loss: parseLoss(NETWORKS[network].loss),
      forms,
    })
  const split = await samplesOf(arrays, gradient('webgpu').inputs[0]!.name)
  return { model, parameters, gradient, split }
}
