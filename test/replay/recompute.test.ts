import { readdirSync } from 'node:fs'
import { expect } from 'chai'
import type { MicroBatch, MicroBatchResult, Parameters, SplitData } from '../../src/engines/engine.js'
import { SIMPSON } from '../../src/replay/quadrature/simpson.js'
import { recompute } from '../../src/replay/recompute.js'
import type { RecomputedInterval, RecomputeOptions } from '../../src/replay/recompute.js'
import { ReplayStore } from '../../src/replay/store/store.js'
import { WorkerMemoryError } from '../../src/replay/workers/pool.js'
import { newFolder, removeFolders } from '../cli/command.js'
import { rejection } from '../support/rejection.js'
import { FormulaEngine, formulaInput, tensor } from './closed-form.js'
import type { Formula } from './closed-form.js'

/** L = sum theta^4, on which Simpson's rule in parts is not exact. */
const FOURTH: Formula = {
  value: (theta) => theta.reduce((sum, x) => sum + x ** 4, 0),
  gradient: (theta) => theta.map((x) => 4 * x ** 3),
}

/** Has memory for so many samples at once, from the given call on. */
class SmallDevice extends FormulaEngine {
  readonly sizes: number[] = []

  constructor(
    private readonly fits: number,
    private readonly from = 0,
  ) {
    super(FOURTH)
  }

  override run(parameters: Parameters, split: SplitData, batch: MicroBatch): Promise<MicroBatchResult> {
    this.sizes.push(batch.size)
    return this.sizes.length > this.from && batch.size > this.fits
      ? Promise.reject(new WorkerMemoryError('CUDA failure 2: out of memory'))
      : super.run(parameters, split, batch)
  }
}

async function recomputed(engine: FormulaEngine, options: Partial<RecomputeOptions> = {}) {
  const store = new ReplayStore(newFolder())
  const tensors = [tensor('a.weight', [2])]
  const saves = [0, 1, 2, 3].map((t) => [Math.fround(0.3 * t), Math.fround(1 - 0.2 * t)])
  const input = formulaInput({ engine, tensors, saves, splits: { train: 32 } }, store)
  const found = new Map<number, RecomputedInterval>()
  const notes: string[] = []
  try {
    await recompute(input, {
      tasks: [0, 1, 2].map((interval) => ({ interval, rule: SIMPSON, tolerance: 1, maxSplits: 2 })),
      ...{ batchSize: 32, mayHalve: true, granularity: 'tensor', noiseFloor: 0, window: 1 },
      onInterval: (one) => {
        expect(found.has(one.record.interval)).to.equal(false)
        found.set(one.record.interval, one)
        return Promise.resolve()
      },
      onEvaluated: () => undefined,
      onNote: (note) => notes.push(note),
      ...options,
    })
  } finally {
    await input.evaluator.close()
  }
  const lca = [...found.values()].map(({ tables }) => Number(tables.steps![0]!.lca))
  return { intervals: [...found.keys()], lca, notes, left: readdirSync(store.folder) }
}

describe('recomputation of intervals where memory is short', () => {
  after(removeFolders)

  it('halves the micro-batch until it fits, says so, and gives the same numbers', async () => {
    const whole = await recomputed(new SmallDevice(32))
    const device = new SmallDevice(8)
    const small = await recomputed(device)
    expect(small.intervals).to.deep.equal([0, 1, 2])
    small.lca.forEach((lca, i) => {
      expect(lca).to.be.closeTo(whole.lca[i]!, 1e-12)
    })
    expect(small.notes).to.deep.equal([
      'CUDA failure 2: out of memory; going on with micro-batches of 16 samples',
      'CUDA failure 2: out of memory; going on with micro-batches of 8 samples',
    ])
    expect(new Set(device.sizes)).to.deep.equal(new Set([32, 16, 8]))
    expect(whole.notes).to.deep.equal([])
    expect(small.left).to.deep.equal([])
  })

  it('hands no interval out twice that was finished before', async () => {
    // both ends and the middle of the first interval
    const device = new SmallDevice(16, 3)
    const { intervals, notes } = await recomputed(device)
    expect(intervals).to.deep.equal([0, 1, 2])
    expect(notes).to.have.length(1)
  })

  it('fails where not even one sample fits, or the micro-batch is part of the loss', async () => {
    expect(await rejection(recomputed(new SmallDevice(0)))).to.be.instanceOf(WorkerMemoryError)
    const device = new SmallDevice(8)
    expect(await rejection(recomputed(device, { mayHalve: false }))).to.be.instanceOf(WorkerMemoryError)
    expect(new Set(device.sizes)).to.deep.equal(new Set([32]))
  })
})
