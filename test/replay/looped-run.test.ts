import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import type { Engine, MicroBatch, SplitData } from '../../src/engines/engine.js'
import type { RunOptions } from '../../src/replay/options.js'
import { runReplay } from '../../src/replay/run.js'
import { ReplayStore } from '../../src/replay/store/store.js'
import { PointEvaluator } from '../../src/replay/workers/point-evaluator.js'
import { StartedWorkers, startWorkers } from '../../src/replay/workers/start.js'
import { WorkerProcess } from '../../src/replay/workers/worker-process.js'
import { openResults } from '../../src/tables/read.js'
import { newFolder, removeFolders } from '../cli/command.js'
import { normalized } from '../cli/normalized.js'

const MAIN = join(dirname(fileURLToPath(import.meta.url)), 'looping-worker.js')
const RUN = 'fixtures/mnist-lenet'

function optionsOf(changes: Partial<RunOptions>): RunOptions {
  return {
    checkpoints: `${RUN}/checkpoints`,
    model: `${RUN}/model.onnx`,
    splits: new Map([
      ['train', `${RUN}/train.npz`],
      ['val', `${RUN}/val.npz`],
    ]),
    loss: { kind: 'cross-entropy' },
    scale: 'auto',
    steps: { from: 0, to: 3, stride: 1 },
    ...{ tolerance: 1, maxSplits: 2, granularity: 'unit', batchNorm: 'running' },
    // 300 samples of val leave a remainder of 12
    batchSize: 32,
    workers: 1,
    device: 'cpu',
    out: join(newFolder(), 'out'),
    overwrite: false,
    ...changes,
  }
}

type Way = 'loop' | 'each'

/** Workers of which one way is the quicker, and what each was set up with. */
function loopingWorkers(count: number, way: Way) {
  const log = join(newFolder(), 'setups')
  const start = (): WorkerProcess => {
    Object.assign(process.env, { QUICKER_WAY: way, SETUPS_FILE: log })
    try {
      return new WorkerProcess({ main: MAIN })
    } finally {
      for (const name of ['QUICKER_WAY', 'SETUPS_FILE']) Reflect.deleteProperty(process.env, name)
    }
  }
  const setups = (): string[] => readFileSync(log, 'utf8').trim().split('\n')
  return { workers: new StartedWorkers(count, start), setups }
}

async function resultsOf(options: RunOptions, workers: StartedWorkers = startWorkers(options)) {
  const run = await runReplay(options, {}, workers)
  const results = await openResults(options.out)
  const names = results.tables
  const tables = await Promise.all(names.map(async (name) => (await results.readTable(name)).columns))
  return { tables, device: run!.manifest.device as Record<string, unknown> }
}

/** Numbers of all columns, one behind the other, but for counts that hang on a sign. */
function lcaOf({ tables }: Awaited<ReturnType<typeof resultsOf>>): number[] {
  return tables.flatMap((columns) =>
    ['loss_from', 'loss_to', 'lca', 'fisher'].flatMap((name) => {
      const values = (columns as unknown as Record<string, ArrayLike<number> | undefined>)[name]
      return values === undefined ? [] : Array.from(values)
    }),
  )
}

function expectNear(found: number[], expected: number[]): void {
  expect(found.length).to.equal(expected.length).and.be.above(100)
  const size = Math.max(...expected.filter((value) => !Number.isNaN(value)).map(Math.abs))
  found.forEach((value, i) => {
    if (!Number.isNaN(expected[i])) expect(value).to.be.closeTo(expected[i]!, 1e-8 * size)
  })
}

describe('a run whose device loops over micro-batches in the graph', function () {
  this.timeout(120_000)
  after(removeFolders)

  for (const [title, changes] of [
    ['of two data sets with remainders, and Fisher information', { fisher: { samples: 20, seed: 0 } }],
    ['of a loss that micro-batches are part of', { batchNorm: 'batch' }],
  ] as const)
    it(`gives the numbers of one by one: ${title}`, async () => {
      const model = 'batchNorm' in changes ? { model: await normalized() } : {}
      const { workers, setups } = loopingWorkers(1, 'loop')
      const looped = await resultsOf(optionsOf({ ...changes, ...model }), workers)
      const each = await resultsOf(optionsOf({ ...changes, ...model }))
      expect(looped.device.loops_in_graph).to.equal(true)
      expect(each.device).not.to.have.property('loops_in_graph')
      expect(setups()).to.deep.equal(['undefined'])
      expectNear(lcaOf(looped), lcaOf(each))
    })

  it('goes on the way that was measured first, whatever is quicker then, to the same bits', async () => {
    for (const [first, later] of [
      ['loop', 'each'],
      ['each', 'loop'],
    ] as const) {
      const whole = await resultsOf(optionsOf({}), loopingWorkers(1, first).workers)
      const options = optionsOf({})
      const abort = new AbortController()
      const onProgress = ({ residual }: { residual: number }): void => {
        if (!Number.isNaN(residual)) abort.abort()
      }
      const begun = await runReplay(
        options,
        { signal: abort.signal, onProgress },
        loopingWorkers(1, first).workers,
      )
      expect(begun).to.equal(undefined)
      const { workers, setups } = loopingWorkers(1, later)
      const { tables, device } = await resultsOf(options, workers)
      expect(setups()).to.deep.equal([String(first === 'loop')])
      expect(device.loops_in_graph).to.equal(first === 'loop')
      expect(tables).to.deep.equal(whole.tables)
    }
  })
})

describe('sums of a group whose data are too large for one run', () => {
  after(removeFolders)

  /** An engine that counts samples; it never looks at the data. */
  function counting(quicker: Way | 'nothing to measure') {
    const runs: number[] = []
    const result = (batches: readonly MicroBatch[]) => {
      const count = batches.reduce((sum, batch) => sum + batch.count, 0)
      runs.push(count)
      return Promise.resolve({ numerator: count, denominator: count, gradient: () => Float64Array.of(count) })
    }
    const sum: Engine['sum'] = (_, __, batches) => result(batches)
    const engine = {
      ...{ description: '', precision: 'float32', fixedBatch: false },
      run: (_: unknown, __: unknown, batch: MicroBatch) => result([batch]),
      close: () => Promise.resolve(),
      ...(quicker !== 'nothing to measure' && {
        settle: () => {
          settled.push(runs.length)
          Object.assign(engine, { loops: quicker === 'loop', ...(quicker === 'loop' && { sum }) })
          return Promise.resolve()
        },
      }),
    } as Engine
    const settled: number[] = []
    return { engine, runs, settled }
  }

  /** 24 samples of 64 MiB each. */
  const data: SplitData = {
    samples: 24,
    inputs: new Map([['x', { dtype: 'float32', sampleShape: [2 ** 24], read: () => new Float32Array() }]]),
  }

  for (const [quicker, runs] of [
    ['loop', Array.from({ length: 12 }, () => 2)],
    ['each', Array.from({ length: 24 }, () => 1)],
    ['nothing to measure', Array.from({ length: 24 }, () => 1)],
  ] as const)
    it(`are made of what fits, the way settled before the first of them: ${quicker}`, async () => {
      const store = new ReplayStore(newFolder())
      for (const checkpoint of [0, 1])
        writeFileSync(store.path(`weights-${checkpoint}`), new Uint8Array(Float32Array.of(checkpoint).buffer))
      const made = counting(quicker)
      const facts = { tensors: [{ name: 'w', size: 1 }], allocated: 1, weightElements: 'float32' as const }
      const evaluator = new PointEvaluator(made.engine, store, facts, [{ data }])
      const task = { split: 0, from: 0, to: 1, a: 0, cut: { size: 1 }, out: 'gradient', movements: [] }
      const groups = await evaluator.evaluate({ task, first: 0, last: 4, whole: true }, () => undefined)
      expect(groups.map(({ denominator }) => denominator)).to.deep.equal([6, 6, 6, 6])
      expect(made.runs).to.deep.equal(runs)
      expect(made.settled).to.deep.equal(quicker === 'nothing to measure' ? [] : [0])
    })
})
