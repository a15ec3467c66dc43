import { expect } from 'chai'
import { summarize, summarizeResults } from '../../src/analysis/summary.js'
import type { Results } from '../../src/tables/read.js'
import type { ColumnBatch, ColumnName, TableName } from '../../src/tables/schema.js'
import { columnsOf } from '../../src/tables/schema.js'

/** A table with the given columns; the others are zero, false or empty. */
function table<T extends TableName>(
  name: T,
  rows: number,
  given: Partial<Record<ColumnName<T>, readonly (number | string | boolean)[]>>,
): ColumnBatch<T> {
  const values: Readonly<Record<string, readonly unknown[] | undefined>> = given
  const columns = columnsOf(name).map(({ name: column, type }) => {
    const value = values[column]
    if (type === 'string') return [column, value ?? new Array(rows).fill('')]
    if (type === 'bool') return [column, value ?? new Array(rows).fill(false)]
    return [
      column,
      Float64Array.from((value as readonly number[] | undefined) ?? new Array<number>(rows).fill(0)),
    ]
  })
  return { rows, columns: Object.fromEntries(columns) as ColumnBatch<T>['columns'] }
}

async function* rowsOneByOne({ rows, columns }: ColumnBatch<'tensors'>): AsyncGenerator {
  for (let row = 0; row < rows; row += 1) {
    await Promise.resolve()
    const one = Object.entries(columns).map(([name, values]) => [name, values.slice(row, row + 1)])
    yield { rows: 1, columns: Object.fromEntries(one) as unknown }
  }
}

describe('the summary of a run', () => {
  // two intervals, two splits, layers a (two tensors) and b
  const steps = table('steps', 4, {
    split: ['train', 'val', 'train', 'val'],
    interval: [0, 0, 1, 1],
    step_from: [0, 0, 10, 10],
    step_to: [10, 10, 20, 20],
    step_unit: ['step', 'step', 'step', 'step'],
    loss_from: [4, 5, 3, 4.5],
    loss_to: [3, 4.5, 3.5, 4],
    lca: [-1.01, -0.5, 0.5, -0.5],
    residual: [-0.01, 0, 0, 0],
    converged: [false, false, true, true],
    first_order: [-3, -1, 0.25, -1],
    parameters: [10, 10, 10, 10],
    helping: [6, 5, 2, 5],
    hurting: [2, 5, 8, 5],
    still: [2, 0, 0, 0],
  })
  const tensors = table('tensors', 12, {
    split: ['train', 'train', 'train', 'val', 'val', 'val', 'train', 'train', 'train', 'val', 'val', 'val'],
    interval: [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
    tensor: ['a.w', 'a.b', 'b.w', 'a.w', 'a.b', 'b.w', 'a.w', 'a.b', 'b.w', 'a.w', 'a.b', 'b.w'],
    layer: ['a', 'a', 'b', 'a', 'a', 'b', 'a', 'a', 'b', 'a', 'a', 'b'],
    parameters: [5, 1, 4, 5, 1, 4, 5, 1, 4, 5, 1, 4],
    lca: [-1, 0.25, -0.26, -0.25, -0.25, 0, 0.75, -0.25, 0, -0.5, 0, 0],
  })
  const summary = summarize(steps, tensors)

  it('is the same from row groups that end within an interval', async () => {
    const results = {
      readTable: () => Promise.resolve(steps),
      batches: () => rowsOneByOne(tensors),
    } as unknown as Results
    expect(await summarizeResults(results)).to.deep.equal(summary)
  })

  const [train, val] = summary.splits

  it('takes losses from both ends and every checkpoint between', () => {
    expect(summary).to.deep.include({
      intervals: 2,
      steps: [0, 10, 20],
      stepUnit: 'step',
      parameters: 10,
      tensors: 3,
    })
    expect(train).to.deep.include({
      split: 'train',
      lossFrom: 4,
      lossTo: 3.5,
      lossChange: -0.5,
      losses: [4, 3, 3.5],
    })
    expect(val!.losses).to.deep.equal([5, 4.5, 4])
  })

  it('sums LCA and the first-order terms, and keeps the worst residual', () => {
    expect(train!.lca).to.be.closeTo(-0.51, 1e-12)
    expect(train).to.include({ firstOrder: -2.75, largestResidual: 0.01, converged: 1 })
  })

  it('gives shares of the parameters as means over intervals', () => {
    expect(train!.helping).to.be.closeTo((0.6 + 0.2) / 2, 1e-12)
    expect(train!.hurting).to.be.closeTo((0.2 + 0.8) / 2, 1e-12)
    expect(train!.still).to.be.closeTo((0.2 + 0) / 2, 1e-12)
  })

  it('adds the tensors of a layer up, interval by interval', () => {
    const [a, b] = train!.layers
    expect(a).to.deep.equal({
      layer: 'a',
      parameters: 6,
      lca: -0.25,
      hurtIn: 1,
      worst: { interval: 1, lca: 0.5 },
    })
    expect(b).to.deep.equal({
      layer: 'b',
      parameters: 4,
      lca: -0.26,
      hurtIn: 0,
      worst: { interval: 1, lca: 0 },
    })
  })
})
