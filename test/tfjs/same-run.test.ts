import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { BACKEND_VARIABLE } from '../../src/engines/tfjs/choose.js'
import { loadTfjs } from '../../src/engines/tfjs/load.js'
import type { Tf } from '../../src/engines/tfjs/load.js'
import { parseLoss } from '../../src/autodiff/losses.js'
import { encodeModel } from '../../src/onnx/write.js'
import type { RunOptions } from '../../src/replay/options.js'
import { runReplay } from '../../src/replay/run.js'
import type { Manifest } from '../../src/tables/manifest.js'
import { openResults } from '../../src/tables/read.js'
import { newFolder, removeFolders } from '../cli/command.js'
import { record } from './models.js'
import type { Recording } from './models.js'
import { describeWithNative } from './native.js'
import { TWINS } from './twins.js'

const SAMPLES = 20
const STEPS = 2
/** What two engines may differ by: of the interval's change of the loss. */
const OF_THE_INTERVAL = 1e-4

interface Recorded extends Recording {
  readonly onnx: string
}

interface Replayed {
  /** LCA by step_from and tensor. */
  readonly lca: ReadonlyMap<string, number>
  /** The change of the loss by step_from. */
  readonly change: ReadonlyMap<string, number>
  readonly manifest: Manifest
  readonly notes: readonly string[]
}

type Means = Partial<RunOptions> & Pick<RunOptions, 'checkpoints'>

const known = new Map<string, Promise<Replayed>>()

/** A replay, each that is asked for more than once only once. */
function replayed(data: string, means: Means): Promise<Replayed> {
  const key = JSON.stringify([data, means, process.env[BACKEND_VARIABLE]])
  const replay = known.get(key) ?? replayAnew(data, means)
  known.set(key, replay)
  return replay
}

async function replayAnew(data: string, means: Means): Promise<Replayed> {
  const out = join(newFolder(), 'out')
  const notes: string[] = []
  const options: RunOptions = {
    splits: new Map([['train', data]]),
    loss: parseLoss('cross-entropy'),
    scale: 'auto',
    tolerance: 1e-4,
    maxSplits: 2,
    granularity: 'unit',
    batchNorm: 'running',
    batchSize: 10,
    workers: 1,
    out,
    overwrite: false,
    ...means,
  }
  await runReplay(options, { onNote: (text) => notes.push(text) })
  const results = await openResults(out)
  const { columns: steps } = await results.readTable('steps')
  const { columns: tensors } = await results.readTable('tensors')
  return {
    lca: new Map(
      Array.from(tensors.lca, (lca, i) => [`${tensors.step_from[i]!} ${tensors.tensor[i]!}`, lca]),
    ),
    change: new Map(Array.from(steps.loss_change, (change, i) => [String(steps.step_from[i]!), change])),
    manifest: results.manifest,
    notes,
  }
}

/** Every tensor's LCA in every interval, to 1e-4 of what the loss changed by there. */
function expectSame(got: Replayed, want: Replayed): void {
  expect([...got.lca.keys()]).to.have.members([...want.lca.keys()])
  expect(got.lca.size).to.be.above(STEPS)
  for (const [key, lca] of want.lca) {
    const change = Math.abs(want.change.get(key.split(' ')[0]!)!)
    expect(change).to.be.above(1e-3)
    expect(got.lca.get(key), key).to.be.closeTo(lca, OF_THE_INTERVAL * change)
  }
}

describeWithNative('the same run in TensorFlow.js and as ONNX', () => {
  const runs = new Map<string, Recorded>()
  let tf: Tf

  const runOf = async (name: keyof typeof TWINS): Promise<Recorded> => {
    const known = runs.get(name)
    if (known !== undefined) return known
    const { shape, classes, model: build, graph } = TWINS[name]
    const folder = newFolder()
    const model = build(tf)
    const samples = { count: SAMPLES, shape, classes, seed: name }
    const recording = await record(tf, model, samples, { folder, steps: STEPS, rate: 0.5 })
    const onnx = join(folder, 'model.onnx')
    writeFileSync(onnx, encodeModel(graph(model)))
    model.dispose()
    runs.set(name, { ...recording, onnx })
    return runs.get(name)!
  }

  before(async () => {
    ;({ tf } = await loadTfjs('js'))
  })
  after(() => {
    Reflect.deleteProperty(process.env, BACKEND_VARIABLE)
    removeFolders()
  })
  afterEach(() => Reflect.deleteProperty(process.env, BACKEND_VARIABLE))

  for (const [name, batchNorm] of [
    ['dense', 'running'],
    ['convolutional', 'running'],
    ['BatchNorm', 'running'],
    ['BatchNorm', 'batch'],
  ] as const)
    it(`gives the same LCA per tensor: ${name} network, ${batchNorm} statistics`, async () => {
      const { tfjs, safetensors, onnx, data } = await runOf(name)
      const own = await replayed(data, { checkpoints: tfjs, engine: 'tfjs', batchNorm })
      const other = await replayed(data, { checkpoints: safetensors, model: onnx, batchNorm })
      expectSame(own, other)
      expect(own.manifest.device).to.include({
        engine: 'tfjs',
        provider: 'cpu',
        backend: 'tfjs-node',
        version: '4.22.0',
      })
      expect(own.manifest.retrograd.tfjs).to.equal('4.22.0')
      expect(own.manifest.retrograd.onnxruntime).to.equal(undefined)
      expect(own.notes.join('\n')).to.match(
        /holds probabilities: cross-entropy is taken of what stands before Softmax/,
      )
    })

  it('gives the same LCA in pure JavaScript as natively, moving statistics included', async () => {
    const { tfjs, data } = await runOf('BatchNorm')
    const native = await replayed(data, { checkpoints: tfjs, engine: 'tfjs', batchNorm: 'running' })
    process.env[BACKEND_VARIABLE] = 'js'
    const script = await replayed(data, { checkpoints: tfjs, engine: 'tfjs' })
    expectSame(script, native)
    expect(script.manifest.device).to.include({ backend: 'js' })
    expect(script.notes.join('\n')).to.match(/pure JavaScript/)
    const moving = [...native.lca].filter(([key]) => key.endsWith('moving_variance'))
    expect(Math.max(...moving.map(([, lca]) => Math.abs(lca)))).to.be.above(1e-4)
  })

  it('gives the same LCA in WebAssembly, which has what a dense network needs', async () => {
    const { tfjs, safetensors, onnx, data } = await runOf('dense')
    process.env[BACKEND_VARIABLE] = 'wasm'
    const own = await replayed(data, { checkpoints: tfjs, engine: 'tfjs' })
    expect(own.manifest.device).to.include({ backend: 'wasm' })
    expectSame(own, await replayed(data, { checkpoints: safetensors, model: onnx, batchNorm: 'running' }))
  })

  it('gives the same bits whatever the number of workers', async () => {
    const { tfjs, data } = await runOf('convolutional')
    const one = await replayed(data, { checkpoints: tfjs, engine: 'tfjs', batchNorm: 'running' })
    const two = await replayed(data, { checkpoints: tfjs, engine: 'tfjs', workers: 2 })
    expect([...two.lca]).to.deep.equal([...one.lca])
  })
})
