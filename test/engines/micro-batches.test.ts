import { expect } from 'chai'
import { defaultBatchSize, microBatches, rows, weights } from '../../src/engines/micro-batches.js'

describe('micro-batches', () => {
  it('cut samples in their order; the last one is smaller', () => {
    expect(microBatches(7, { size: 3 }, false)).to.deep.equal([
      { start: 0, count: 3, size: 3 },
      { start: 3, count: 3, size: 3 },
      { start: 6, count: 1, size: 1 },
    ])
  })

  it('are all of one size where the network demands it', () => {
    expect(microBatches(4, { size: 3 }, true)).to.deep.equal([
      { start: 0, count: 3, size: 3 },
      { start: 3, count: 1, size: 3 },
    ])
  })

  it('may begin with a shorter one, and still hold every sample once', () => {
    const batches = microBatches(8, { size: 3, first: 2 }, true)
    expect(batches.map(({ start, count }) => [start, count])).to.deep.equal([
      [0, 2],
      [2, 3],
      [5, 3],
    ])
  })

  it('are views of the data, not copies', () => {
    const data = Float32Array.from({ length: 12 }, (_, i) => i)
    const view = rows({ dtype: 'float32', sampleShape: [2], data }, { start: 2, count: 3, size: 3 })
    expect([...view]).to.deep.equal([4, 5, 6, 7, 8, 9])
    expect(view.buffer).to.equal(data.buffer)
  })

  it('are padded with the first sample, of weight zero', () => {
    const batch = { start: 2, count: 1, size: 3 }
    const array = { dtype: 'int64', sampleShape: [], data: BigInt64Array.of(5n, 6n, 7n) } as const
    expect([...rows(array, batch)]).to.deep.equal([7n, 5n, 5n])
    expect([...weights(batch, false)]).to.deep.equal([1, 0, 0])
    expect(weights(batch, true)).to.be.instanceOf(Float64Array)
  })

  it('have a default size that depends on the model alone: a power of two, from 1 to 1024', () => {
    expect(defaultBatchSize(1)).to.equal(1024)
    expect(defaultBatchSize(100_000)).to.equal(128)
    expect(defaultBatchSize(1e9)).to.equal(1)
    expect(defaultBatchSize(10_000_000)).to.equal(1)
    expect(defaultBatchSize(10_000_000, 100_000)).to.equal(1)
    expect(defaultBatchSize(10_000_000, 124_000_000)).to.equal(32)
  })
})
