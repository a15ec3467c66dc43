import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import type { RunOptions } from '../../src/replay/options.js'
import { runReplay } from '../../src/replay/run.js'
import type { ColumnBatch } from '../../src/tables/schema.js'
import { openResults } from '../../src/tables/read.js'
import { describeWithShared } from '../shared.js'
import { readNpz } from '../support/npz.js'
import { newFolder, removeFolders } from './command.js'

const SPLITS = ['train', 'val'] as const

/** Replays a reference case and gives its tables. */
async function replayed(shared: string, name: string, changes: Partial<RunOptions>, type = 'npz') {
  const folder = join(shared, 'reference', name)
  const out = join(newFolder(), 'out')
  const options: RunOptions = {
    checkpoints: join(folder, type === 'npz' ? 'checkpoints' : 'weights.h5'),
    model: join(folder, 'model.onnx'),
    splits: new Map(SPLITS.map((split) => [split, join(folder, `${split}.${type}`)])),
    loss: { kind: 'cross-entropy' },
    scale: 'auto',
    tolerance: 1e-3,
    maxSplits: 32,
    granularity: 'tensor',
    out,
    overwrite: false,
    ...changes,
  }
  const run = await runReplay(options, {})
  const results = await openResults(out)
  const [steps, tensors] = [await results.readTable('steps'), await results.readTable('tensors')]
  const totals = await results.readTable('totals')
  return {
    steps,
    tensors,
    totals,
    outcome: run!.outcome,
    expected: await readNpz(join(folder, 'expected.npz')),
  }
}

type Replayed = Awaited<ReturnType<typeof replayed>>

function rowsOf(table: { readonly columns: { readonly split: readonly string[] } }, split: string): number[] {
  return table.columns.split.flatMap((name, row) => (name === split ? [row] : []))
}

function names(shared: string, name: string): string[] {
  const text = readFileSync(join(shared, 'reference', name, 'expected.json'), 'utf8')
  return (JSON.parse(text) as { tensors: string[] }).tensors
}

/** One value per interval and tensor, in the expected order of tensors. */
function perTensor(
  { columns }: ColumnBatch<'tensors'>,
  split: string,
  order: readonly string[],
  values: Float64Array,
): number[] {
  const placed: number[] = []
  for (const row of rowsOf({ columns }, split))
    placed[columns.interval[row]! * order.length + order.indexOf(columns.tensor[row]!)] = values[row]!
  return placed
}

/** The largest distance, relative to the sum of absolute values expected in the interval. */
function distance(got: readonly number[], want: Float64Array, width: number): number {
  expect(got).to.have.length(want.length)
  let worst = 0
  for (let start = 0; start < want.length; start += width) {
    const scale = want.slice(start, start + width).reduce((sum, value) => sum + Math.abs(value), 0)
    for (let i = start; i < start + width; i += 1)
      worst = Math.max(worst, Math.abs(got[i]! - want[i]!) / (scale + 1e-9))
  }
  return worst
}

async function checkLoss({ steps, expected }: Replayed): Promise<void> {
  for (const split of SPLITS) {
    const want = await expected(`loss_${split}`)
    const rows = rowsOf(steps, split)
    expect(rows).to.have.length(want.length - 1)
    rows.forEach((row, t) => {
      expect(steps.columns.loss_from[row]).to.be.closeTo(want[t]!, 2e-6)
      expect(steps.columns.loss_to[row]).to.be.closeTo(want[t + 1]!, 2e-6)
    })
  }
}

describeWithShared('a replay of the reference runs, against PyTorch in float64', (shared) => {
  after(removeFolders)

  for (const name of ['mnist-fc', 'lenet']) {
    it(`${name}: one Simpson panel gives PyTorch's Simpson, per tensor and per parameter`, async () => {
      const replay = await replayed(shared, name, { maxSplits: 2 })
      const order = names(shared, name)
      await checkLoss(replay)
      for (const split of SPLITS) {
        const [want, first] = [
          await replay.expected(`simpson/${split}`),
          await replay.expected(`first/${split}`),
        ]
        expect(
          distance(perTensor(replay.tensors, split, order, replay.tensors.columns.lca), want, order.length),
        ).to.be.below(1e-5)
        expect(
          distance(
            perTensor(replay.tensors, split, order, replay.tensors.columns.first_order),
            first,
            order.length,
          ),
        ).to.be.below(1e-5)
        await checkTotals(replay, split, order)
      }
    })
  }

  async function checkTotals(
    { totals, expected }: Replayed,
    split: string,
    order: readonly string[],
  ): Promise<void> {
    const { split: splits, tensor, index, lca } = totals.columns
    for (const name of order) {
      const want = await expected(`simpson_total/${split}/${name}`)
      const largest = want.reduce((max, value) => Math.max(max, Math.abs(value)), 0)
      const got = new Float64Array(want.length).fill(NaN)
      for (let row = 0; row < totals.rows; row += 1)
        if (splits[row] === split && tensor[row] === name) got[index[row]!] = lca[row]!
      want.forEach((value, i) => {
        if (!(Math.abs(got[i]! - value) <= 1e-4 * largest)) expect(got[i], `${name}[${i}]`).to.equal(value)
      })
    }
  }

  it('mnist-fc at tolerance 1e-5 is close to the exact path integral; two intervals stay open', async () => {
    const replay = await replayed(shared, 'mnist-fc', { tolerance: 1e-5 })
    const order = names(shared, 'mnist-fc')
    for (const split of SPLITS) {
      const want = await replay.expected(`exact/${split}`)
      expect(
        distance(perTensor(replay.tensors, split, order, replay.tensors.columns.lca), want, order.length),
      ).to.be.below(2e-3)
    }
    expect(replay.outcome.intervals - replay.outcome.converged).to.equal(2)
    expect(replay.outcome.largestResidual).to.be.below(3e-5)
    expect(replay.outcome.noiseFloor).to.be.below(1e-6)
  })

  it('lenet at tolerance 1e-5 is close to the exact path integral', async () => {
    const replay = await replayed(shared, 'lenet', { tolerance: 1e-5 })
    const order = names(shared, 'lenet')
    for (const split of SPLITS) {
      const want = await replay.expected(`exact/${split}`)
      expect(
        distance(perTensor(replay.tensors, split, order, replay.tensors.columns.lca), want, order.length),
      ).to.be.below(5e-3)
    }
    expect(replay.outcome.converged).to.equal(5)
  })

  it("lca-paper-fc: the paper code's losses, splits and LCA, from its own HDF5 files", async () => {
    const replay = await replayed(shared, 'lca-paper-fc', {}, 'h5')
    const order = ['fc_1/kernel', 'fc_1/bias', 'fc_2/kernel', 'fc_2/bias', 'fc_3/kernel', 'fc_3/bias']
    await checkLoss(replay)
    const splits = await replay.expected('num_splits')
    for (const split of SPLITS) {
      const rows = rowsOf(replay.steps, split)
      expect(rows.map((row) => replay.steps.columns.splits[row])).to.deep.equal([...splits])
      const want = await replay.expected(`tensors_${split}`)
      expect(
        distance(perTensor(replay.tensors, split, order, replay.tensors.columns.lca), want, order.length),
      ).to.be.below(1e-4)
      const helped = await replay.expected(`helped_${split}`)
      rows.forEach((row, t) => {
        expect(replay.steps.columns.helping[row]).to.be.closeTo(helped[t]!, 2)
      })
    }
  })
})
