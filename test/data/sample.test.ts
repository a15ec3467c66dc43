import { expect } from 'chai'
import type { DataSet, Samples } from '../../src/data/needs.js'
import { chooseSamples, drawSample } from '../../src/data/sample.js'
import type { Sample, SampleOptions } from '../../src/data/sample.js'
import { UsageError } from '../../src/errors.js'

const hash = (): Promise<string> => Promise.resolve('hash')

/** A split whose every number is its sample's index: float images, int64 tokens, bytes, and a label per position. */
function numbered(samples: number): DataSet {
  const each = (width: number): number[] =>
    Array.from({ length: samples * width }, (_, i) => Math.floor(i / width))
  // a view that does not start where its buffer starts
  const images = new Float32Array([-1, -1, -1, ...each(4)]).subarray(3)
  return {
    path: 'train.npz',
    samples,
    inputs: new Map<string, Samples>([
      ['images', { dtype: 'float32', sampleShape: [2, 2], data: images }],
      ['tokens', { dtype: 'int64', sampleShape: [3], data: BigInt64Array.from(each(3), BigInt) }],
      ['mask', { dtype: 'bool', sampleShape: [], data: Uint8Array.from(each(1)) }],
    ]),
    target: { dtype: 'int64', sampleShape: [3, 1], data: BigInt64Array.from(each(3), BigInt) },
    notes: ['divided by 255'],
    sha256: hash,
  }
}

/** A split of one number per sample. */
function plain(samples: number): DataSet {
  const data = Float64Array.from({ length: samples }, (_, i) => i)
  const inputs = new Map<string, Samples>([['x', { dtype: 'float64', sampleShape: [], data }]])
  return { path: 'train.npz', samples, inputs, notes: [], sha256: hash }
}

function sampled(data: DataSet, options: SampleOptions): Sample {
  const sample = drawSample(data, options)
  if (sample === undefined) throw new Error('nothing was sampled')
  return sample
}

const numbers = ({ data }: Samples): number[] => Array.from(data as Iterable<number | bigint>, Number)

const shape = (samples: number, options: SampleOptions): [groups: number, groupSize: number] => {
  const { groups, groupSize } = sampled(plain(samples), options)
  return [groups, groupSize]
}

describe('a sample of a split', () => {
  it('keeps the rows of all arrays together, whatever their type, width and place in memory', () => {
    const original = numbered(200)
    const { data } = sampled(original, { maximum: 96 })
    const rows = numbers(data.inputs.get('mask')!)
    const wide = (width: number): number[] => rows.flatMap((row) => new Array<number>(width).fill(row))
    expect(numbers(data.inputs.get('images')!)).to.deep.equal(wide(4))
    expect(numbers(data.inputs.get('tokens')!)).to.deep.equal(wide(3))
    expect(numbers(data.target!)).to.deep.equal(wide(3))
    for (const [name, array] of original.inputs) {
      const { dtype, sampleShape, data: values } = data.inputs.get(name)!
      expect({ dtype, sampleShape }).to.deep.equal({ dtype: array.dtype, sampleShape: array.sampleShape })
      expect(values.constructor).to.equal(array.data.constructor)
    }
    expect(data.target).to.deep.include({ dtype: 'int64', sampleShape: [3, 1] })
    expect(data.target!.data).to.be.instanceOf(BigInt64Array)
  })

  it('repeats no sample, and fills all groups alike', () => {
    const { data, groups, groupSize, population } = sampled(plain(1000), { maximum: 500 })
    const rows = numbers(data.inputs.get('x')!)
    expect(population).to.equal(1000)
    expect(data.samples).to.equal(groups * groupSize)
    expect(new Set(rows).size).to.equal(data.samples)
    expect(rows.every((row) => Number.isInteger(row) && row >= 0 && row < 1000)).to.equal(true)
  })

  it('is the same for the same seed, 0 unless given, and another for another', () => {
    const rows = (seed?: number): number[] =>
      numbers(sampled(plain(100), { maximum: 16, ...(seed !== undefined && { seed }) }).data.inputs.get('x')!)
    // chosen by an implementation of the generator in Python (random.test.ts)
    expect(rows()).to.deep.equal([5, 56, 58, 47, 94, 64, 66, 22, 51, 20, 31, 92, 36, 19, 52, 83])
    expect(rows(0)).to.deep.equal(rows())
    expect(rows(1)).not.to.deep.equal(rows())
  })

  it('leaves the split as it was, and says what was drawn', () => {
    const data = numbered(200)
    const before = numbers(data.target!)
    const sample = sampled(data, { maximum: 101, seed: 3 })
    expect(numbers(data.target!)).to.deep.equal(before)
    expect(data.notes).to.deep.equal(['divided by 255'])
    expect(sample.data).to.deep.include({ path: 'train.npz', sha256: hash })
    expect(sample.data.notes).to.deep.equal([
      'divided by 255',
      "train.npz: 100 of 200 samples, drawn at random (seed 3) in 25 groups of 4; 101 don't make equal groups",
    ])
    expect(sampled(data, { maximum: 128 }).data.notes[1]).to.equal(
      'train.npz: 128 of 200 samples, drawn at random (seed 0) in 32 groups of 4',
    )
  })

  it('begins with what a smaller choice of single samples holds', () => {
    const rows = numbers(sampled(plain(1000), { maximum: 320, seed: 9 }).data.inputs.get('x')!)
    for (const count of [1, 10, 320])
      expect(chooseSamples(count, 1000, 9)).to.deep.equal(rows.slice(0, count))
    for (const count of [5, 6]) expect(chooseSamples(count, 5, 9)).to.deep.equal([0, 1, 2, 3, 4])
  })

  it('is not drawn where the whole split is no more than asked for', () => {
    expect(drawSample(plain(200), { maximum: 200 })).to.equal(undefined)
    expect(drawSample(plain(10), { maximum: 12 })).to.equal(undefined)
    expect(drawSample(plain(201), { maximum: 200 })).not.to.equal(undefined)
  })
})

describe('the groups of a sample', () => {
  it('are 32, or somewhat fewer where that leaves out fewer samples', () => {
    expect(shape(60000, { maximum: 10_000 })).to.deep.equal([32, 312])
    // 32 groups of 3 leave out 4 of 100
    expect(shape(60000, { maximum: 100 })).to.deep.equal([25, 4])
    expect(shape(60000, { maximum: 17 })).to.deep.equal([17, 1])
  })

  it('hold a micro-batch where that leaves at least 8', () => {
    expect(shape(60000, { maximum: 10_000, microBatch: 1024 })).to.deep.equal([9, 1111])
    expect(shape(60000, { maximum: 2000, microBatch: 1024 })).to.deep.equal([8, 250])
    expect(shape(60000, { maximum: 10_000, microBatch: 64 })).to.deep.equal([32, 312])
  })

  it('are whole micro-batches where these define the loss', () => {
    expect(shape(60000, { maximum: 10_000, multipleOf: 128 })).to.deep.equal([26, 384])
    // 39 micro-batches: 13 groups of 3 leave out none, 32 of 1 seven
    expect(shape(60000, { maximum: 5000, multipleOf: 128 })).to.deep.equal([13, 384])
    expect(shape(60000, { maximum: 1024, multipleOf: 128 })).to.deep.equal([8, 128])
  })

  it('are always from 8 to 32, equal, and of nearly as many samples as asked for', () => {
    for (let maximum = 16; maximum < 3000; maximum += 7) {
      const [groups, groupSize] = shape(3000, { maximum, microBatch: 100 })
      expect(groups).to.be.within(8, 32)
      expect(groupSize).to.be.at.least(1)
      expect(groups * groupSize).to.be.within(maximum < 100 ? maximum - 7 : maximum * 0.93, maximum)
    }
  })

  it('that are too few are refused with the remedy', () => {
    const refused = (samples: number, options: SampleOptions): string => {
      try {
        drawSample(plain(samples), options)
      } catch (error) {
        expect(error).to.be.instanceOf(UsageError)
        return (error as UsageError).message
      }
      throw new Error('not refused')
    }
    expect(refused(100, { maximum: 15 })).to.equal(
      '--max-samples 15: standard errors need at least 16 samples; raise it to 16, or leave it out, which uses all 100 samples of train.npz',
    )
    expect(refused(16, { maximum: 10 })).to.equal(
      '--max-samples 10: standard errors need at least 16 samples; leave it out, which uses all 16 samples of train.npz',
    )
    expect(refused(60000, { maximum: 1000, multipleOf: 128 })).to.equal(
      '--max-samples 1000: the loss is that of micro-batches of 128 samples, and standard errors need 8 of them, 1024 samples; ' +
        'raise it to 1024, or lower --batch-size, or leave it out, which uses all 60000 samples of train.npz',
    )
    expect(refused(1001, { maximum: 1000, multipleOf: 128 })).to.match(
      /1024 samples; lower --batch-size, or leave it out/,
    )
    for (const maximum of [0, -5, 20.5, NaN])
      expect(refused(100, { maximum })).to.equal(
        `--max-samples ${maximum}: a whole number from 16 on is needed`,
      )
    expect(refused(100, { maximum: 50, seed: 0.5 })).to.equal('seed 0.5: a whole number is needed')
  })
})
