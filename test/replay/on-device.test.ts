import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect } from 'chai'
import { DeviceError } from '../../src/errors.js'
import type { Graph } from '../../src/onnx/graph.js'
import { encodeModel } from '../../src/onnx/write.js'
import { ReplayJournal } from '../../src/replay/journal.js'
import { openOnnxNetwork } from '../../src/replay/onnx-network.js'
import type { RunEvents, RunOptions } from '../../src/replay/options.js'
import { runReplay } from '../../src/replay/run.js'
import { WorkerMemoryError } from '../../src/replay/workers/pool.js'
import { openResults } from '../../src/tables/read.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { newFolder, removeFolders } from '../cli/command.js'
import { describeWithWebgpu, withVulkanDriver } from '../engines/devices/swiftshader.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { rejection } from '../support/rejection.js'
import { safetensorsFile } from '../trajectory/write-checkpoints.js'

const SAMPLES = 6

/** The regression in float64. */
const DOUBLE = graphOf({
  inputs: [input('x', ['batch', 2], 'float64')],
  initializers: { w: tensor('float64', [2, 1], [0, 0]), b: tensor('float64', [1], [0]) },
  nodes: [node('MatMul', ['x', 'w'], 'p'), node('Add', ['p', 'b'], 'y')],
  outputs: ['y'],
})

/** A file of float32 tensors. */
function floats(tensors: Readonly<Record<string, readonly [readonly number[], readonly number[]]>>): Buffer {
  let offset = 0
  const header: Record<string, unknown> = {}
  const parts = Object.entries(tensors).map(([name, [shape, values]]) => {
    const bytes = Buffer.from(Float32Array.from(values).buffer)
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + bytes.length] }
    offset += bytes.length
    return bytes
  })
  return safetensorsFile(header, Buffer.concat(parts))
}

/** A linear regression, four checkpoints of it and six samples. */
function recorded(): Pick<RunOptions, 'checkpoints' | 'model' | 'splits'> {
  const folder = newFolder()
  const checkpoints = join(folder, 'checkpoints')
  mkdirSync(checkpoints)
  for (let step = 0; step < 4; step += 1)
    writeFileSync(
      join(checkpoints, `step-${step}.safetensors`),
      floats({
        w: [
          [2, 1],
          [0.1 * step, 0.5 - 0.2 * step],
        ],
        b: [[1], [0.05 * step]],
      }),
    )
  const model = join(folder, 'model.onnx')
  const network = graphOf({
    inputs: [input('x', ['batch', 2])],
    initializers: { w: tensor('float32', [2, 1], [0, 0]), b: tensor('float32', [1], [0]) },
    nodes: [node('MatMul', ['x', 'w'], 'p'), node('Add', ['p', 'b'], 'y')],
    outputs: ['y'],
  })
  writeFileSync(model, encodeModel(network))
  const data = join(folder, 'data.safetensors')
  const x = Array.from({ length: 2 * SAMPLES }, (_, i) => Math.sin(i))
  const y = Array.from({ length: SAMPLES }, (_, i) => Math.cos(i))
  writeFileSync(data, floats({ x: [[SAMPLES, 2], x], y: [[SAMPLES, 1], y] }))
  return { checkpoints, model, splits: new Map([['train', data]]) }
}

function optionsOf(run: ReturnType<typeof recorded>, changes: Partial<RunOptions>): RunOptions {
  return {
    ...run,
    loss: { kind: 'mse' },
    scale: 'auto',
    tolerance: 1e-3,
    maxSplits: 2,
    granularity: 'unit',
    batchNorm: 'running',
    workers: 1,
    overwrite: false,
    out: join(newFolder(), 'out'),
    ...changes,
  }
}

/** The record of where nodes ran in an unfinished run's journal. */
function placementIn(out: string): unknown {
  const file = readdirSync(out, { recursive: true }).find((name) => /(^|[\\/])journal$/.test(String(name)))
  const { journal, records } = ReplayJournal.open(dirname(join(out, String(file))))
  journal.close()
  return records.find(({ kind }) => kind === 'placement')
}

describeWithWebgpu('a replay on WebGPU', () => {
  after(removeFolders)

  it('gives the CPU’s numbers, names the device that warms up, and says where nodes ran', async () => {
    const run = recorded()
    const phases = new Set<string>()
    const onProgress: RunEvents['onProgress'] = ({ phase }) => phases.add(phase)
    const losses: number[][] = []
    for (const device of ['cpu', 'webgpu'] as const) {
      const options = optionsOf(run, { device, strictDevice: device === 'webgpu' })
      const { manifest } = (await withVulkanDriver(() => runReplay(options, { onProgress })))!
      const { columns } = await (await openResults(options.out)).readTable('steps')
      losses.push([...columns.loss_from, ...columns.loss_to])
      const facts = manifest.device as {
        provider: string
        adapter?: string
        placement?: Record<string, number>
      }
      expect(facts.provider).to.equal(device)
      if (device === 'cpu') expect(facts).to.not.have.any.keys('adapter', 'placement')
      else {
        expect(facts.adapter).to.match(/SwiftShader/)
        expect(facts.placement!.nodes_on_device).to.equal(facts.placement!.nodes)
        expect(facts.placement!.share_of_nodes).to.equal(1)
        expect(facts.placement!.nodes).to.be.greaterThan(5)
      }
    }
    losses[0]!.forEach((loss, i) => {
      expect(losses[1]![i]).to.be.closeTo(loss, 1e-5)
    })
    expect([...phases].filter((phase) => phase.startsWith('warming'))).to.have.members([
      'warming up webgpu (SwiftShader Device (Subzero))',
    ])
  })

  it('keeps where nodes ran when it goes on after an interruption', async () => {
    const options = optionsOf(recorded(), { device: 'webgpu' })
    const abort = new AbortController()
    await withVulkanDriver(async () => {
      const onProgress: RunEvents['onProgress'] = ({ done }) => {
        if (done >= 1) abort.abort()
      }
      expect(await runReplay(options, { signal: abort.signal, onProgress })).to.equal(undefined)
      const { placement } = placementIn(options.out) as { placement: { ms: number; nodes: number } }
      const { manifest } = (await runReplay(options, {}))!
      const facts = manifest.device as { placement: { ms: number; nodes: number } }
      expect(facts.placement).to.deep.include({ ms: placement.ms, nodes: placement.nodes })
    })
  })

  it('profiles in its own folder, so that killed workers leave nothing among the temporary files', async () => {
    const options = optionsOf(recorded(), { device: 'webgpu' })
    const [temporary, before] = [newFolder(), process.env.TMPDIR]
    const seen = { own: 0, temporary: 0 }
    const count = (folder: string): number =>
      existsSync(folder)
        ? readdirSync(folder, { recursive: true }).filter((name) => String(name).includes('profile')).length
        : 0
    const watch = setInterval(() => {
      seen.own += count(options.out)
      seen.temporary += readdirSync(temporary).filter((name) => !name.includes('probe')).length
    }, 2)
    try {
      process.env.TMPDIR = temporary
      await withVulkanDriver(() => runReplay(options, {}))
    } finally {
      clearInterval(watch)
      if (before === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = before
    }
    expect(seen.own).to.be.above(0)
    expect(seen.temporary).to.equal(0)
    expect(count(options.out)).to.equal(0)
  })

  it('ends with exit code 3 where an operator would run elsewhere and may not', async () => {
    const run = recorded()
    const network = graphOf({
      inputs: [input('x', ['batch', 2])],
      initializers: { w: tensor('float32', [2, 1], [0, 0]), b: tensor('float32', [1], [0]) },
      nodes: [
        node('MatMul', ['x', 'w'], 'p'),
        node('Add', ['p', 'b'], 'q'),
        // WebGPU has no kernel for it
        node('Hardmax', ['q'], 'h'),
        node('Add', ['q', 'h'], 'y'),
      ],
      outputs: ['y'],
    })
    writeFileSync(run.model!, encodeModel(network))
    const options = optionsOf(run, { device: 'webgpu', strictDevice: true })
    const error = await rejection(withVulkanDriver(() => runReplay(options, {})))
    if (!(error instanceof DeviceError)) throw error
    expect(error.exitStatus).to.equal(3)
    expect(error.message).to.match(/^--strict-device: webgpu leaves \d+ of \d+ nodes to the CPU: .*Hardmax/)
  })

  it('halves the micro-batch that its memory is short for, and ends with exit code 1 where one sample is too many', async () => {
    const run = recorded()
    const network = graphOf({
      inputs: [input('x', ['batch', 2])],
      initializers: {
        w: tensor('float32', [2, 1], [0, 0]),
        b: tensor('float32', [1], [0]),
        // 4 GiB for a sample, and no buffer of an adapter is so large
        wide: tensor('int64', [3], [1, 2, 2 ** 29]),
        third: tensor('int64', [1], [2]),
      },
      nodes: [
        node('MatMul', ['x', 'w'], 'p'),
        node('Add', ['p', 'b'], 'q'),
        node('Unsqueeze', ['x', 'third'], 'u'),
        node('Expand', ['u', 'wide'], 'large'),
        node('ReduceMax', ['large', 'third'], 'm', { keepdims: 0 }),
        node('Add', ['q', 'm'], 'r'),
        node('ReduceMean', ['r', 'one'], 'y', { keepdims: 1 }),
      ],
      outputs: ['y'],
    })
    const one = tensor('int64', [1], [1])
    const initializers = new Map([...network.initializers, ['one', one] as const])
    writeFileSync(run.model!, encodeModel({ ...network, initializers }))
    const notes: string[] = []
    const options = optionsOf(run, { device: 'webgpu', batchSize: 4 })
    const onNote = (note: string): void => void notes.push(note)
    const error = await rejection(withVulkanDriver(() => runReplay(options, { onNote })))
    if (!(error instanceof WorkerMemoryError)) throw error
    expect(error.exitStatus).to.equal(1)
    expect(error.message).to.match(/memory.*, with micro-batches of one sample; use --device cpu$/)
    expect(error.message).not.to.include('\n')
    const sizes = notes.flatMap(
      (note) => /micro-batches of (\d) samples instead of (\d)$/.exec(note)?.slice(1) ?? [],
    )
    expect(sizes).to.deep.equal(['2', '4', '1', '2'])
  })

  it('ends with exit code 3 for a network in float64', async () => {
    const run = recorded()
    writeFileSync(run.model!, encodeModel(DOUBLE))
    const error = await rejection(withVulkanDriver(() => runReplay(optionsOf(run, { device: 'webgpu' }), {})))
    if (!(error instanceof DeviceError)) throw error
    expect(error.exitStatus).to.equal(3)
    expect(error.message).to.match(
      /^--device webgpu: the network computes in float64, which webgpu does not have; use --device cpu/,
    )
  })
})

describe('a network on a device that auto found', () => {
  const chosen = { device: 'webgpu', adapter: 'some GPU' } as const

  it('is computed on the CPU where the device lacks something, and a note says so', async () => {
    const { gradient, device, notes } = await openedOn(DOUBLE, {})
    expect(device).to.deep.equal({ device: 'cpu' })
    expect(gradient.batch).to.equal('batch')
    expect(notes).to.include(
      'webgpu (some GPU) was not taken: the network computes in float64, which webgpu does not have',
    )
  })

  it('ends in an error where the device was asked for by name', async () => {
    const error = await rejection(openedOn(DOUBLE, { device: 'webgpu' }))
    expect(error).to.be.instanceOf(DeviceError)
  })

  async function openedOn(network: Graph, asked: Pick<RunOptions, 'device'>) {
    const run = recorded()
    const options = optionsOf(run, asked)
    const notes: string[] = []
    const trajectory = await openTrajectory(run.checkpoints)
    const opened = await openOnnxNetwork(options, trajectory, { named: network, device: chosen }, (note) =>
      notes.push(note),
    )
    return { ...opened, notes }
  }
})
