import { expect } from 'chai'
import { flattenNotes } from '../../src/replay/flatten-note.js'
import { describeTensors, layerOf } from '../../src/replay/tensors.js'
import type { BoundPair } from '../../src/trajectory/bind.js'
import { graphOf, node, tensor } from '../support/graphs.js'

const zeros = (shape: readonly number[]) =>
  tensor('float32', shape, new Array<number>(shape.reduce((product, size) => product * size, 1)).fill(0))

/** The units of a pair that one node reads as its second input. */
function unitsOf(op: string, network: readonly number[], pair: Partial<BoundPair>) {
  const graph = graphOf({
    inputs: [],
    outputs: ['y'],
    initializers: { w: zeros(network) },
    nodes: [node(op, ['x', 'w'], 'y')],
  })
  const whole: BoundPair = { parameter: 'w', tensor: 't', name: 'n', shape: network, by: 'value', ...pair }
  const rest = { how: '', constants: [], ignored: [], tied: [], unmoved: [] }
  const [described] = describeTensors(graph, { pairs: [whole], ...rest })
  return described!.units
}

describe('the units of a tensor', () => {
  it("lie along the checkpoint's axis that the network's output axis is", () => {
    expect(unitsOf('MatMul', [5, 3], {})).to.deep.equal({ axis: 1, count: 3, inner: 1 })
    const transposed = { shape: [3, 5], permutation: [1, 0] }
    expect(unitsOf('MatMul', [5, 3], transposed)).to.deep.equal({ axis: 0, count: 3, inner: 5 })
    const single = { shape: [1, 5], permutation: [1, 0] }
    expect(unitsOf('MatMul', [5, 1], single)).to.deep.equal({ axis: 0, count: 1, inner: 5 })
    const kernel = { shape: [3, 3, 2, 7], permutation: [3, 2, 0, 1] }
    expect(unitsOf('Conv', [7, 2, 3, 3], kernel)).to.deep.equal({ axis: 3, count: 7, inner: 1 })
  })

  it('of a depthwise kernel are its channels, whose multiplier lies inside', () => {
    const depthwise = { shape: [3, 3, 4, 2], permutation: [2, 3, 0, 1], reshaped: [8, 1, 3, 3] }
    expect(unitsOf('Conv', [8, 1, 3, 3], depthwise)).to.deep.equal({ axis: 2, count: 4, inner: 2 })
  })

  it('of a vector that the network keeps among axes of size 1 are its elements', () => {
    const vector = { shape: [4], reshaped: [1, 4, 1, 1] }
    expect(unitsOf('Add', [1, 4, 1, 1], vector)).to.deep.equal({ axis: 0, count: 4, inner: 1 })
  })
})

describe('a kernel that reads flattened images', () => {
  const graph = graphOf({
    inputs: [],
    outputs: ['y'],
    initializers: { k: zeros([2, 1, 3, 3]), w: zeros([5, 8]), v: zeros([3, 5]) },
    nodes: [
      node('Conv', ['x', 'k'], 'c'),
      node('Flatten', ['c'], 'f'),
      node('Gemm', ['f', 'w'], 'h', { transB: 1 }),
      node('Gemm', ['h', 'v'], 'y', { transB: 1 }),
    ],
  })
  const pair = (parameter: string, tensor: string, by: BoundPair['by']): BoundPair => ({
    parameter,
    tensor,
    name: tensor,
    shape: [8, 5],
    permutation: [1, 0],
    by,
  })
  const notes = (...pairs: BoundPair[]): string[] =>
    flattenNotes(graph, { pairs, how: '', constants: [], ignored: [], tied: [], unmoved: [] })

  it('and was found by a translated name is told of: the order of its rows is not known', () => {
    const both = [pair('w', 'fc1/kernel', 'translated name'), pair('v', 'fc2/kernel', 'translated name')]
    expect(notes(...both)).to.have.length(1)
    expect(notes(...both)[0]).to.match(/^fc1\/kernel: reads flattened images/)
  })

  it('and was found by its numbers is not doubted', () => {
    expect(notes(pair('w', 'fc1/kernel', 'value'))).to.deep.equal([])
  })
})

describe('the layer of a tensor', () => {
  it('is its name without the last part, whatever TensorFlow puts behind it', () => {
    expect(layerOf('h.0.qkv.weight')).to.equal('h.0.qkv')
    expect(layerOf('conv1/conv1/kernel:0')).to.equal('conv1/conv1')
    expect(layerOf('net/conv1/kernel/.ATTRIBUTES/VARIABLE_VALUE')).to.equal('net/conv1')
    expect(layerOf('scale')).to.equal('scale')
  })
})
