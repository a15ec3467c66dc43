import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { chooseSamples } from '../../src/data/sample.js'
import type { Engine } from '../../src/engines/engine.js'
import { CheckpointError, DataError, EngineError } from '../../src/errors.js'
import { encodeModel } from '../../src/onnx/write.js'
import { blocksOf } from '../../src/replay/fisher.js'
import type { RunOptions } from '../../src/replay/options.js'
import { runReplay } from '../../src/replay/run.js'
import { startWorkers } from '../../src/replay/workers/start.js'
import type { StartedWorkers } from '../../src/replay/workers/start.js'
import { openResults } from '../../src/tables/read.js'
import { openTrajectory } from '../../src/trajectory/open-trajectory.js'
import { newFolder, removeFolders } from '../cli/command.js'
import { graphOf, input, node, tensor as constant } from '../support/graphs.js'
import { writeNpyFolder } from '../support/npy.js'
import { Random } from '../support/random.js'
import { rejection } from '../support/rejection.js'
import { FormulaEngine, MemorySink, replayFormula, tensor } from './closed-form.js'
import type { Formula } from './closed-form.js'
import { withFaults } from './faults.js'

const RUN = 'fixtures/mnist-lenet'
const SAMPLES = 300

/** The last two steps of the recorded run, on its 300 images for validation. */
function recordedRun(changes: Partial<RunOptions> = {}): RunOptions {
  return {
    checkpoints: `${RUN}/checkpoints`,
    model: `${RUN}/model.onnx`,
    splits: new Map([['val', `${RUN}/val.npz`]]),
    loss: { kind: 'cross-entropy' },
    scale: 'auto',
    steps: { from: 58, to: 60, stride: 1 },
    tolerance: 1e-3,
    maxSplits: 2,
    granularity: 'tensor',
    batchNorm: 'running',
    fisher: { samples: SAMPLES, seed: 0 },
    out: join(newFolder(), 'out'),
    overwrite: false,
    ...changes,
  }
}

/** The table of totals of a run, with notes and manifest. */
async function totalsOf(options: RunOptions, workers: StartedWorkers = startWorkers(options)) {
  const notes: string[] = []
  await runReplay(options, { onNote: (note) => notes.push(note) }, workers)
  const results = await openResults(options.out)
  const { columns } = await results.readTable('totals')
  return { columns, notes, manifest: results.manifest }
}

describe('Fisher information', function () {
  this.timeout(120_000)
  let whole: Awaited<ReturnType<typeof totalsOf>>

  before(async () => {
    whole = await totalsOf(recordedRun({ workers: 1 }))
  })
  after(removeFolders)

  it("is PyTorch's mean of squared gradients of single samples", async () => {
    const [file] = (await openTrajectory(twice(`${RUN}/fisher.safetensors`))).checkpoints
    for (const name of file!.tensors.keys()) {
      const expected = (await file!.read(name)).data
      const most = Math.max(...expected)
      const got = whole.columns.fisher.filter((_, row) => whole.columns.tensor[row] === name)
      expect(got).to.have.length(expected.length)
      // PyTorch's numbers are float64's; the engine's gradients are float32
      got.forEach((value, i) => {
        expect(value, `${name} ${i}`).to.be.closeTo(expected[i]!, 1e-5 * expected[i]! + 1e-6 * most)
      })
    }
  })

  it('is told: a note, the manifest', () => {
    expect(whole.notes).to.include(
      'Fisher information at the last checkpoint, one sample at a time: all 300 samples of val',
    )
    expect(whole.manifest.options).to.include({ fisher_samples: SAMPLES, fisher_seed: 0 })
    expect(whole.manifest.data[0]).to.include({ fisher_samples: SAMPLES })
  })

  it('has the same bits with any number of workers', async () => {
    for (const workers of [2, 5]) {
      const { columns } = await totalsOf(recordedRun({ workers }))
      expect(columns, `${workers} workers`).to.deep.equal(whole.columns)
    }
  })

  it('has the same bits after an interrupt, which loses the blocks on their way', async () => {
    const options = recordedRun({ workers: 2 })
    const controller = new AbortController()
    await runReplay(options, {
      signal: controller.signal,
      onProgress: ({ phase, done }) => {
        if (phase === 'Fisher information' && done >= 1.5) controller.abort()
      },
    })
    expect(existsSync(join(options.out, 'manifest.json'))).to.equal(false)
    const shares: number[] = []
    await runReplay(options, {
      onProgress: ({ phase, done }) => {
        if (phase === 'Fisher information') shares.push(done - 1)
      },
    })
    // half of 19 blocks of 16, less those that two workers and four tasks in waiting had not finished
    expect(shares[0]).to.be.within(0.25, 0.75)
    expect(shares.at(-1)).to.be.closeTo(1, 1e-12)
    const { columns } = await (await openResults(options.out)).readTable('totals')
    expect(columns).to.deep.equal(whole.columns)
  })

  it('has the same bits when workers die', async () => {
    const faults = [
      { kind: 'killed', at: 'fisher-block-0-3.', times: 1 },
      { kind: 'exit', at: 'fisher-block-0-18.', times: 1 },
    ] as const
    const { columns, notes } = await withFaults(faults, 2, (workers) =>
      totalsOf(recordedRun({ workers: 2 }), workers),
    )
    expect(columns).to.deep.equal(whole.columns)
    expect(notes.filter((note) => note.includes('worker process'))).to.have.length(2)
  })

  it('for which memory is short ends the run with an error that says what helps', async () => {
    const faults = [{ kind: 'bad_alloc', at: 'fisher-block-0-3.', times: 1 }] as const
    const error = await rejection(
      withFaults(faults, 2, (workers) => totalsOf(recordedRun({ workers: 2 }), workers)),
    )
    expect(error).to.be.instanceOf(EngineError)
    expect(error.message).to.match(/memory was short, with one sample at a time; use fewer --workers/)
  })

  it('of a random sample is that of the samples which the same seed chooses of all', async () => {
    const changes = { fisher: { samples: 40, seed: 3 }, tolerance: 1 }
    const all = await totalsOf(recordedRun(changes))
    const sampled = await totalsOf(recordedRun({ ...changes, sample: { maximum: 96, seed: 3 } }))
    expect(sampled.manifest.data[0]).to.include({ samples: 96, fisher_samples: 40 })
    expect(sampled.columns.fisher).to.deep.equal(all.columns.fisher)
    expect(sampled.columns.lca).to.not.deep.equal(all.columns.lca)
    const other = await totalsOf(recordedRun({ ...changes, fisher: { samples: 40, seed: 4 } }))
    expect(other.columns.fisher).to.not.deep.equal(all.columns.fisher)
  })

  it('is not that of another run: a run with other samples does not go on with it', async () => {
    const options = recordedRun()
    const controller = new AbortController()
    const onProgress = ({ phase }: { phase: string }): void => {
      if (phase === 'Fisher information') controller.abort()
    }
    await runReplay(options, { signal: controller.signal, onProgress })
    const error = await rejection(runReplay({ ...options, fisher: { samples: 20, seed: 0 } }, {}))
    expect(error.message).to.match(/unfinished run with other options: fisher_samples was 300, is 20/)
  })
})

/** A folder of two checkpoints that are one file: a trajectory has two at least. */
function twice(path: string): string {
  const folder = newFolder()
  for (const step of [1, 2]) copyFileSync(path, join(folder, `step-${step}.safetensors`))
  return folder
}

const [FEATURES, CLASSES, POSITIONS, SEQUENCES] = [3, 4, 5, 20]
const CLASS_WEIGHTS = [1, 0.5, 0, 2]
const IGNORED = -100

/** A softmax regression at every position of a sequence, in float64, with labels that don't count. */
interface Regression {
  readonly weight: readonly number[]
  readonly bias: readonly number[]
  /** By sample, position and feature; labels by sample and position. */
  readonly x: readonly (readonly (readonly number[])[])[]
  readonly labels: readonly (readonly number[])[]
}

function regression(): Regression {
  const random = new Random('softmax regression')
  return {
    weight: random.uniform(FEATURES * CLASSES, -1, 1),
    bias: random.uniform(CLASSES, -1, 1),
    x: Array.from({ length: SEQUENCES }, () =>
      Array.from({ length: POSITIONS }, () => random.uniform(FEATURES, -2, 2)),
    ),
    labels: Array.from({ length: SEQUENCES }, (_, s) =>
      Array.from({ length: POSITIONS }, () =>
        // nothing of every fifth sample counts
        s % 5 === 2 || random.next() < 0.3 ? IGNORED : Math.floor(CLASSES * random.next()),
      ),
    ),
  }
}

/** Writes it as a run whose last checkpoint it is. */
function writeRun({ weight, bias, x, labels }: Regression, batch: number | string = 'batch'): RunOptions {
  const folder = newFolder()
  const f8 = (shape: number[], values: readonly number[]) =>
    ({ type: '<f8', shape, values: Float64Array.from(values) }) as const
  for (const [step, scale] of [0.5, 1].entries())
    writeNpyFolder(join(folder, 'checkpoints', String(step)), {
      weight: f8(
        [FEATURES, CLASSES],
        weight.map((value) => scale * value),
      ),
      bias: f8([CLASSES], bias),
    })
  const graph = graphOf({
    inputs: [input('x', [batch, POSITIONS, FEATURES], 'float64')],
    outputs: ['logits'],
    initializers: {
      weight: constant('float64', [FEATURES, CLASSES], weight),
      bias: constant('float64', [CLASSES], bias),
    },
    nodes: [node('MatMul', ['x', 'weight'], 'products'), node('Add', ['products', 'bias'], 'logits')],
  })
  writeFileSync(join(folder, 'model.onnx'), encodeModel(graph))
  const data = writeNpyFolder(join(folder, 'data'), {
    x: f8([SEQUENCES, POSITIONS, FEATURES], x.flat(2)),
    y: {
      type: '<i8',
      shape: [SEQUENCES, POSITIONS],
      values: BigInt64Array.from(labels.flat(), BigInt),
    },
  })
  return recordedRun({
    checkpoints: join(folder, 'checkpoints'),
    model: join(folder, 'model.onnx'),
    splits: new Map([['train', data]]),
    loss: { kind: 'cross-entropy', classWeights: CLASS_WEIGHTS, classAxis: 2 },
    steps: { from: 0, to: 1, stride: 1 },
    tolerance: 10,
    out: join(folder, 'out'),
  })
}

/**
 * sum_s (dy_s)^2 / d_s over sum_s d_s, by hand: y_s is the sum over positions of w_label times the cross-entropy, whose
 * gradient with respect to logit k is softmax_k - [k = label], and d_s the sum of w_label.
 */
function byHand({ weight, bias, x, labels }: Regression, samples: readonly number[]): number[] {
  const sums = new Array<number>(FEATURES * CLASSES + CLASSES).fill(0)
  let total = 0
  for (const s of samples) {
    const gradient = new Array<number>(sums.length).fill(0)
    let denominator = 0
    labels[s]!.forEach((label, position) => {
      if (label === IGNORED) return
      const features = x[s]![position]!
      const logits = bias.map((b, k) =>
        features.reduce((sum, feature, f) => sum + feature * weight[f * CLASSES + k]!, b),
      )
      const normalizer = logits.reduce((sum, logit) => sum + Math.exp(logit), 0)
      logits.forEach((logit, k) => {
        const seed = CLASS_WEIGHTS[label]! * (Math.exp(logit) / normalizer - (k === label ? 1 : 0))
        features.forEach((feature, f) => (gradient[f * CLASSES + k]! += seed * feature))
        gradient[FEATURES * CLASSES + k]! += seed
      })
      denominator += CLASS_WEIGHTS[label]!
    })
    total += denominator
    if (denominator > 0) gradient.forEach((value, i) => (sums[i]! += value ** 2 / denominator))
  }
  return sums.map((value) => value / total)
}

describe('Fisher information where samples weigh differently', () => {
  after(removeFolders)

  const expectClose = (got: ArrayLike<number>, want: readonly number[]): void => {
    expect(got).to.have.length(want.length)
    want.forEach((value, i) => {
      expect(got[i]).to.be.closeTo(value, 1e-12)
    })
  }

  it('weighs each as the loss does, one without weight as nothing, on a choice of them', async () => {
    const made = regression()
    for (const samples of [SEQUENCES, 7]) {
      const options = { ...writeRun(made), fisher: { samples, seed: 5 } }
      const { columns, notes } = await totalsOf(options)
      expectClose(columns.fisher, byHand(made, chooseSamples(samples, SEQUENCES, 5)))
      expect(notes.join('\n')).to.include(
        samples === 7 ? '7 of 20 samples of train' : 'all 20 samples of train',
      )
    }
  })

  it('pads a network of fixed batch with samples that count as nothing', async () => {
    const made = regression()
    const { columns } = await totalsOf({ ...writeRun(made, 8), fisher: { samples: 9, seed: 1 } })
    expectClose(columns.fisher, byHand(made, chooseSamples(9, SEQUENCES, 1)))
  })

  it('refuses to be a mean of nothing: exit 1', async () => {
    const made = regression()
    const seed = Array.from({ length: 100 }, (_, i) => i).find(
      (one) => chooseSamples(1, SEQUENCES, one)[0]! % 5 === 2,
    )!
    const error = await rejection(totalsOf({ ...writeRun(made), fisher: { samples: 1, seed } }))
    expect(error).to.be.instanceOf(DataError)
    expect(error.message).to.match(/--fisher-samples 1: none of the samples of train .* another --seed/)
  })
})

describe('Fisher information of a formula', () => {
  const TENSORS = [tensor('w', [2]), tensor('running_mean', [1], 'buffer'), tensor('b', [1], 'bias')]
  const CUBIC: Formula = {
    value: (theta) => theta.reduce((sum, x) => sum + x ** 3, 0),
    gradient: (theta) => theta.map((x) => 3 * x ** 2),
  }
  const SAVES = [
    [0, 0, 0, 0],
    [0.5, 1, 1.5, 2],
  ]
  const splits = { train: 64 }
  const fisher = [Array.from({ length: 64 }, (_, i) => i)]

  it('is that of the last checkpoint; buffers have none', async () => {
    const sink = new MemorySink()
    const run = { engine: new FormulaEngine(CUBIC), tensors: TENSORS, saves: SAVES, splits }
    await replayFormula({ ...run, options: { fisher } }, sink)
    const values = sink.rows.totals.map((row) => row.fisher)
    expect([values[0], values[1], values[3]]).to.deep.equal([0.75 ** 2, 3 ** 2, 12 ** 2])
    expect(values[2]).to.be.NaN
  })

  it('keeps sums that the disk may still have to begin from, until the journal is synced', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'retrograd-'))
    const controller = new AbortController()
    // two ends, a middle, the noise floor; then two blocks of 16 samples, and some of the third
    const engine = new FormulaEngine(CUBIC, (count) => {
      if (count === 4 + 2 * 16 + 8) controller.abort()
    })
    const options = { fisher, signal: controller.signal }
    const sink = new MemorySink()
    const run = { tensors: TENSORS, saves: SAVES, splits, folder }
    const outcome = await replayFormula({ ...run, engine, options }, sink)
    expect(outcome.interrupted).to.equal(true)
    expect(readdirSync(folder)).to.include.members(['fisher-0-1', 'fisher-0-2'])
    const again = new FormulaEngine(CUBIC)
    await replayFormula({ ...run, engine: again, options: { fisher } }, sink)
    expect(again.points).to.have.length(2 * 16)
    expect(sink.rows.totals[0]!.fisher).to.equal(0.75 ** 2)
    rmSync(folder, { recursive: true })
  })

  it('that is not finite is an error that names the split and the tensor: NaN says that nothing was measured', async () => {
    const error = await rejection(measured(() => Infinity))
    expect(error).to.be.instanceOf(CheckpointError)
    expect(error.message).to.match(/at step 10: .* a sample's loss on train with respect to w is not finite/)
  })

  it('says that it was measured where a network takes no micro-batch of one sample', async () => {
    const error = await rejection(
      measured(() => {
        throw new EngineError('no such shape')
      }),
    )
    expect(error).to.be.instanceOf(EngineError)
    expect(error.message).to.equal('--fisher-samples, in a micro-batch of one sample: no such shape')
  })

  /** Replays with an engine whose gradients of single samples are something else. */
  function measured(single: (value: number) => number): Promise<unknown> {
    const formula = new FormulaEngine(CUBIC)
    const engine: Engine = {
      description: 'a formula, but for single samples',
      precision: 'float32',
      fixedBatch: false,
      run: async (parameters, split, batch) => {
        const result = await formula.run(parameters, split, batch)
        if (batch.count > 1) return result
        return { ...result, gradient: (name) => result.gradient(name)?.map(single) }
      },
      close: () => Promise.resolve(),
    }
    const run = { engine, tensors: TENSORS, saves: SAVES, splits, options: { fisher } }
    return replayFormula(run, new MemorySink())
  }
})

describe('blocks of samples', () => {
  it('are at most 128, of 16 samples at least but for the last, and hold all in their order', () => {
    for (const count of [1, 15, 16, 17, 2048, 2049, 60_000]) {
      const samples = Array.from({ length: count }, (_, i) => i)
      const blocks = blocksOf(samples)
      expect(blocks.length).to.be.at.most(128)
      for (const block of blocks.slice(0, -1)) expect(block.length).to.equal(blocks[0]!.length)
      expect(blocks[0]!.length).to.be.at.least(Math.min(16, count))
      expect(blocks.flat()).to.deep.equal(samples)
    }
  })
})
