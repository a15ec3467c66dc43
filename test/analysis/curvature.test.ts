import { join } from 'node:path'
import { expect } from 'chai'
import { curvatureWarnings, measureCurvature } from '../../src/analysis/curvature.js'
import type { StepColumns } from '../../src/analysis/curvature.js'
import { openResults } from '../../src/tables/read.js'
import { newFolder, removeFolders, retrograd, runArguments } from '../cli/command.js'
import { describeWithShared } from '../shared.js'

interface Row {
  readonly from: number
  readonly to: number
  readonly first: number
  readonly change: number
  readonly splits?: number
  readonly converged?: boolean
  readonly split?: string
  readonly lca?: number
  readonly residual?: number
}

function steps(rows: readonly Row[], unit = 'step'): StepColumns {
  const numbers = (of: (row: Row) => number): Float64Array => Float64Array.from(rows, of)
  return {
    columns: {
      split: rows.map(({ split }) => split ?? 'train'),
      step_from: numbers(({ from }) => from),
      step_to: numbers(({ to }) => to),
      step_unit: rows.map(() => unit),
      first_order: numbers(({ first }) => first),
      loss_change: numbers(({ change }) => change),
      lca: numbers(({ lca, change }) => lca ?? change),
      residual: numbers(({ residual }) => residual ?? 0),
      splits: Int32Array.from(rows, ({ splits }) => splits ?? 2),
      converged: rows.map(({ converged }) => converged ?? true),
    },
  }
}

/** An interval of ten steps on a parabola whose slope is `start` at its start and `end` at its end. */
const parabola = (start: number, end: number): Row => ({
  from: 0,
  to: 10,
  first: start,
  change: (start + end) / 2,
})

describe('the stride of a run', () => {
  it('is told by its smallest, median and largest', () => {
    const even = (from: number, to: number): Row => ({ from, to, first: -1, change: -1 })
    expect(measureCurvature(steps([even(0, 1), even(1, 3), even(3, 13)]), 32).stride).to.deep.equal({
      min: 1,
      median: 2,
      max: 10,
    })
    expect(
      measureCurvature(steps([even(0, 1), even(1, 3), even(3, 7), even(7, 17)]), 32).stride.median,
    ).to.equal(3)
  })
})

describe('the curvature of a segment', () => {
  const counts = (...rows: Row[]): { curved: number; doubtful: number; share: number } => {
    const { curved, doubtful, share } = measureCurvature(steps(rows), 32)
    return { curved, doubtful, share }
  }

  it('is nothing where the slope stays within a factor of two', () => {
    expect(counts(parabola(-1, -1), parabola(-1, -0.6), parabola(-1, -1.9), parabola(2, 3))).to.deep.equal({
      curved: 0,
      doubtful: 0,
      share: 0,
    })
  })

  it('counts where the slope turns round, doubles or halves', () => {
    for (const end of [0.1, 5, -0.4, -2.1]) expect(counts(parabola(-1, end)).curved, String(end)).to.equal(1)
    // downhill from a flat start, and a start that is flat to the last bit
    expect(counts(parabola(0, -1)).curved).to.equal(1)
    expect(counts(parabola(0, 0)).curved).to.equal(0)
  })

  it('is weighed by how far the loss moved', () => {
    // the turn at the minimum is worth 0.01 of loss by its slope, the descent before 1
    expect(counts(parabola(-1, -0.9), parabola(-0.01, 0.01))).to.deep.equal({
      curved: 1,
      doubtful: 1,
      share: 0.01 / 1.01,
    })
  })

  it('is in doubt only where steps were skipped', () => {
    const turn = { ...parabola(-1, 1), to: 1 }
    const share = (unit: string, row: Row): number => measureCurvature(steps([row], unit), 32).share
    expect(share('step', turn)).to.equal(0)
    expect(share('iteration', turn)).to.equal(0)
    expect(share('save', turn)).to.equal(0)
    expect(share('epoch', turn)).to.equal(1)
    expect(share('step', { ...turn, to: 2 })).to.equal(1)
    expect(measureCurvature(steps([turn]), 32).curved).to.equal(1)
  })

  it('is that of the first split', () => {
    const val = { ...parabola(-1, 1), split: 'val' }
    expect(measureCurvature(steps([parabola(-1, -1), val]), 32)).to.include({ intervals: 1, curved: 0 })
  })

  it('is that of the chosen tensors where LCA is restricted to some', () => {
    // the chosen tensors go straight down by 1, the others raise the loss by 3
    const row = { ...parabola(-1, -1), change: 2, lca: -1, residual: NaN }
    expect(counts(row).curved).to.equal(0)
  })
})

describe('warnings about segments', () => {
  const warnings = (rows: readonly Row[], unit = 'step'): string[] =>
    curvatureWarnings(measureCurvature(steps(rows, unit), 32), 32)
  const dense = (row: Row): Row => ({ ...row, to: 1 })

  it('are none where all steps were recorded and converged, however much the slope turns', () => {
    expect(warnings([parabola(-1, 1), parabola(1, -1), parabola(-1, 3)].map(dense))).to.deep.equal([])
  })

  it('are none where steps were skipped on a straight descent', () => {
    expect(warnings([parabola(-1, -0.9), parabola(-0.8, -0.6)])).to.deep.equal([])
  })

  it('say where the path is not seen, how much lies there, and what to do', () => {
    expect(warnings([parabola(-1, -0.9), parabola(-3, 1)])).to.deep.equal([
      "checkpoints are 10 steps apart, and in 1 of 2 intervals, with 75 % of the loss's movement, its slope along the straight segment between them turns round, doubles or halves: the steps in between probably went another way, and LCA tells little of them; replay every recorded checkpoint, or record more often",
    ])
    const mixed = [{ ...parabola(-1, 1), to: 1 }, { ...parabola(-9, 9), to: 50 }, parabola(-9, 9)]
    expect(warnings(mixed)[0]).to.match(
      /^checkpoints are 1 to 50 steps \(median 10\) apart, and in 2 of 3 intervals/,
    )
    expect(warnings([dense(parabola(-1, 1))], 'epoch')[0]).to.match(/^checkpoints are 1 epoch apart/)
  })

  it('say how many intervals miss the tolerance at the limit of splits', () => {
    const open: Row = { ...dense(parabola(-1, 1)), splits: 32, converged: false }
    const closed: Row = { ...open, converged: true }
    // rounding, not curvature, ended the splitting of this one
    const rounding: Row = { ...open, splits: 4 }
    expect(warnings([open, closed, rounding])).to.deep.equal([
      '1 of 3 intervals did not converge in 32 parts: raise --max-splits',
    ])
    expect(warnings([{ ...parabola(-1, -1), splits: 32, converged: false }])).to.deep.equal([
      '1 of 1 intervals did not converge in 32 parts: raise --max-splits, or record more often',
    ])
  })
})

/** What a replay at a stride says, and its tensors' LCA over the run. */
interface Strided {
  readonly warnings: readonly string[]
  readonly lca: ReadonlyMap<string, number>
}

async function atStride(
  run: Readonly<Record<string, string>>,
  last: number,
  stride: number,
): Promise<Strided> {
  const out = join(newFolder(), 'out')
  const given = { ...run, steps: `0:${last}:${stride}`, granularity: 'tensor', out }
  const { status, stderr } = await retrograd(runArguments(given))
  expect(status, stderr).to.be.oneOf([0, 4])
  const results = await openResults(out)
  const { columns } = await results.readTable('tensors')
  const lca = new Map<string, number>()
  for (const [row, tensor] of columns.tensor.entries())
    lca.set(tensor, (lca.get(tensor) ?? 0) + columns.lca[row]!)
  return { warnings: curvatureWarnings(measureCurvature(await results.readTable('steps'), 32), 32), lca }
}

/** How far tensors' LCA over the run is from that of a replay of every step, relative to its sum without signs. */
function distance({ lca }: Strided, every: Strided): number {
  let [apart, all] = [0, 0]
  for (const [tensor, value] of every.lca) {
    apart += Math.abs(lca.get(tensor)! - value)
    all += Math.abs(value)
  }
  return apart / all
}

describe('the demo', function () {
  this.timeout(120_000)
  after(removeFolders)

  it('gives no warning where every step is replayed, and one where tenths are, which tell another story', async () => {
    const every = await atStride({}, 40, 1)
    const tenth = await atStride({}, 40, 10)
    expect(every.warnings).to.deep.equal([])
    expect(tenth.warnings[0]).to.match(/^checkpoints are 10 steps apart/)
    expect(distance(tenth, every)).to.be.above(0.3)
  })
})

describeWithShared('reference runs at larger strides', (shared) => {
  after(removeFolders)
  const cases = [
    { name: 'mnist-fc', last: 12, straight: [3], curved: [12] },
    { name: 'lenet', last: 5, straight: [5], curved: [] },
    { name: 'gpt', last: 6, straight: [3], curved: [] },
    { name: 'resnet-bn', last: 4, straight: [], curved: [4] },
  ]
  for (const { name, last, straight, curved } of cases) {
    it(`${name}: are warned of where they tell another story than single steps`, async () => {
      const folder = join(shared, 'reference', name)
      const run = {
        checkpoints: join(folder, 'checkpoints'),
        model: join(folder, 'model.onnx'),
        train: join(folder, 'train.npz'),
      }
      const every = await atStride(run, last, 1)
      expect(every.warnings).to.deep.equal([])
      for (const stride of straight) {
        const sparse = await atStride(run, last, stride)
        expect(sparse.warnings).to.deep.equal([])
        expect(distance(sparse, every)).to.be.below(0.04)
      }
      for (const stride of curved) {
        const sparse = await atStride(run, last, stride)
        expect(sparse.warnings).to.have.length(1)
        expect(distance(sparse, every)).to.be.above(0.1)
      }
    }).timeout(120_000)
  }
})
