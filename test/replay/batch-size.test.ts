import { expect } from 'chai'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import type { DataSet } from '../../src/data/needs.js'
import { DataError, UsageError } from '../../src/errors.js'
import {
  askedBatchSize,
  checkRemainder,
  chooseBatchSize,
  fittingBatchSize,
} from '../../src/replay/batch-size.js'
import { elementsOf } from '../../src/replay/onnx-network.js'
import type { RunOptions } from '../../src/replay/options.js'
import type { LcaTensor } from '../../src/replay/tensors.js'
import { graphOf, input, node } from '../support/graphs.js'

type Facts = Partial<Pick<GradientGraph, 'batch' | 'perSample' | 'coupledBy'>>

function gradient({ batch = 'batch', perSample = true, coupledBy }: Facts): GradientGraph {
  const graph = graphOf({ inputs: [input('x', [batch, 4])], nodes: [], outputs: ['x'] })
  const known = { inputs: graph.inputs, weight: input('weight', [batch]) }
  return { graph, batch, perSample, coupledBy, ...known } as unknown as GradientGraph
}

function choose(facts: Facts, batchSize?: number): { size: number | undefined; notes: string[] } {
  const notes: string[] = []
  const options = { model: 'm.onnx', ...(batchSize !== undefined && { batchSize }) } as RunOptions
  const size = askedBatchSize(options, gradient(facts), (note) => notes.push(note))
  return { size, notes }
}

function samplesOf(...sampleShape: number[]): DataSet {
  return { inputs: new Map([['x', { sampleShape }]]) } as unknown as DataSet
}

const check = (facts: Facts, samples: number, size: number) => (): void => {
  checkRemainder({ path: 'train.npz', samples } as DataSet, gradient(facts), size)
}

/** The size that suits a gradient graph of a network with so many parameters. */
function fitting(graph: GradientGraph, data: readonly DataSet[], parameters = 0): number {
  const tensors = [{ size: parameters }] as unknown as readonly LcaTensor[]
  return fittingBatchSize({ tensors, elementsPerSample: (set) => elementsOf(graph, set) }, data)
}

const coupledBy = 'BatchNormalization'

describe('the size of a micro-batch', () => {
  it('follows from the network where it is left out, and is taken as given', () => {
    expect(choose({}).size).to.equal(undefined)
    expect(choose({}, 7).size).to.equal(7)
    expect(fitting(gradient({}), [samplesOf(4)])).to.equal(1024)
  })

  it('is told to follow from memory wherever a device may have another when the run goes on', () => {
    const network = { tensors: [], elementsPerSample: () => 100, largestPerSample: () => 10 }
    const choose = (memory: Parameters<typeof chooseBatchSize>[2]) =>
      chooseBatchSize(network, [{ samples: 5000 } as DataSet], memory)
    expect(choose(undefined)).to.deep.equal({ size: 1024 })
    expect(choose('unknown').size).to.equal(1024)
    expect(choose('unknown').fromMemory).to.match(/as on the CPU, since the device's memory is not known/)
    expect(choose({ bytes: 2e5, source: 'a test' }).size).to.equal(256)
  })

  it('counts a size that only the data fix, in the largest of them', () => {
    // 2^24 elements fit: two values of batch x time x 1024
    const nodes = [node('Relu', ['x'], 'a'), node('Relu', ['a'], 'y')]
    const graph = graphOf({ inputs: [input('x', ['batch', 'time', 1024])], nodes, outputs: ['y'] })
    const open = { ...gradient({}), graph } as GradientGraph
    expect(fitting(open, [samplesOf(128, 1024)])).to.equal(64)
    expect(fitting(open, [samplesOf(128, 1024), samplesOf(1024, 1024)])).to.equal(8)
  })

  it('is larger where the parameters alone take more than it may otherwise', () => {
    // 2^24 elements fit, or four times the 2^25 parameters: two values of batch x 2^20
    const nodes = [node('Relu', ['x'], 'a'), node('Relu', ['a'], 'y')]
    const data = input('x', ['batch', 2 ** 20])
    const graph = graphOf({ inputs: [data], nodes, outputs: ['y'] })
    const large = { ...gradient({}), inputs: [data], graph } as GradientGraph
    expect(fitting(large, [samplesOf(2 ** 20)], 2 ** 25)).to.equal(64)
    expect(fitting(large, [samplesOf(2 ** 20)])).to.equal(8)
  })

  it('must be given where samples of a micro-batch meet', () => {
    expect(() => choose({ coupledBy })).to.throw(
      UsageError,
      /--batch-size is missing: BatchNormalization takes its statistics from each micro-batch/,
    )
    expect(choose({ coupledBy }, 32).size).to.equal(32)
  })

  it('is the fixed one of the export, which nothing else may be', () => {
    expect(choose({ batch: 16, coupledBy }).size).to.equal(16)
    expect(choose({ batch: 16 }).notes[0]).to.match(/fixed batch of 16/)
    expect(() => choose({ batch: 16 }, 8)).to.throw(UsageError, /fixed batch of 16/)
  })

  it('may leave a rest, which is then a smaller micro-batch', () => {
    expect(check({ coupledBy }, 300, 64)).to.not.throw()
    expect(check({ coupledBy }, 66, 64)).to.not.throw()
    expect(check({ coupledBy }, 10, 64)).to.not.throw()
    expect(check({}, 65, 64)).to.not.throw()
    expect(check({ batch: 64 }, 65, 64)).to.not.throw()
  })

  it('may not leave one sample alone where they meet, and says which size does not', () => {
    expect(check({ coupledBy }, 65, 64)).to.throw(
      UsageError,
      /--batch-size 64 puts the last of 65 samples of train\.npz into a micro-batch of its own/,
    )
    expect(check({ coupledBy }, 65, 64)).to.throw(/use another, such as 63$/)
    expect(check({ coupledBy }, 300, 23)).to.throw(/such as 22$/)
    expect(check({ coupledBy }, 300, 1)).to.throw(
      /puts each sample of train\.npz into a micro-batch of its own.*such as 2$/,
    )
    expect(check({ coupledBy }, 1, 8)).to.throw(UsageError, /needs two samples at least/)
  })

  it('must be filled where it is fixed and nothing can be padded', () => {
    expect(check({ batch: 64, coupledBy }, 300, 64)).to.throw(
      DataError,
      /300 samples don't fill micro-batches of 64, and BatchNormalization takes its statistics.*multiple of 64/,
    )
    expect(check({ batch: 64, perSample: false }, 300, 64)).to.throw(
      DataError,
      /the loss is one number for a whole micro-batch/,
    )
    expect(check({ batch: 64, coupledBy }, 128, 64)).to.not.throw()
  })
})
