import { expect } from 'chai'
import { UnsupportedModelError } from '../../src/errors.js'
import type { Graph } from '../../src/onnx/graph.js'
import { namesOf, withLayouts, type Relaid } from '../../src/onnx/layouts.js'
import { realsOf } from '../../src/onnx/tensors.js'
import { neighboursOf, weightUseOf } from '../../src/onnx/weight-use.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { runOnce } from '../support/ort.js'
import { transpose } from '../support/relaid-checkpoints.js'

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => Math.sin(i + 1))

function network(): Graph {
  return graphOf({
    inputs: [input('x', ['n', 2])],
    outputs: ['y'],
    initializers: {
      w: tensor('float32', [2, 3], numbers(6)),
      b: tensor('float32', [1, 3], [0.5, -1, 2]),
    },
    nodes: [node('MatMul', ['x', 'w'], 'h'), node('Add', ['h', 'b'], 'y')],
  })
}

const FEEDS = { x: { dtype: 'float32' as const, shape: [2, 2], values: [1, 2, -3, 0.5] } }

async function outputs(graph: Graph): Promise<readonly number[]> {
  return (await runOnce(graph, FEEDS)).y!.values
}

describe('weights in another layout', () => {
  const CASES: readonly [title: string, weights: readonly Relaid[]][] = [
    ['another name', [{ parameter: 'w', name: 'fc.weight', shape: [2, 3] }]],
    ['transposed', [{ parameter: 'w', name: 'fc.weight', shape: [3, 2], permutation: [1, 0] }]],
    ['transposed under its own name', [{ parameter: 'w', name: 'w', shape: [3, 2], permutation: [1, 0] }]],
    ['reshaped', [{ parameter: 'b', name: 'fc.bias', shape: [3] }]],
    ['reshaped under its own name', [{ parameter: 'b', name: 'b', shape: [3, 1] }]],
    ['transposed and reshaped', [{ parameter: 'w', name: 'k', shape: [3, 1, 2], permutation: [2, 1, 0] }]],
    [
      'two at once',
      [
        { parameter: 'w', name: 'fc.weight', shape: [3, 2], permutation: [1, 0] },
        { parameter: 'b', name: 'fc.bias', shape: [3] },
      ],
    ],
  ]
  for (const [title, weights] of CASES)
    it(`${title}: the network computes the same`, async () => {
      const changed = withLayouts(network(), weights)
      for (const { name, shape } of weights)
        expect(changed.initializers.get(name)!.shape).to.deep.equal(shape)
      expect(await outputs(changed)).to.deep.equal(await outputs(network()))
    })

  it('hold the numbers of the model in the new order', () => {
    const permutation = [1, 2, 0]
    const graph = graphOf({
      inputs: [],
      outputs: ['y'],
      initializers: { w: tensor('float32', [2, 3, 4], numbers(24)) },
      nodes: [node('Exp', ['w'], 'y')],
    })
    const { initializers } = withLayouts(graph, [
      { parameter: 'w', name: 'v', shape: [4, 2, 3], permutation },
    ])
    const held = realsOf(initializers.get('v')!)!
    expect(transpose(held, [4, 2, 3], permutation)).to.deep.equal(numbers(24).map(Math.fround))
  })

  it('leave the graph alone where nothing changes', () => {
    const graph = network()
    expect(withLayouts(graph, [{ parameter: 'w', name: 'w', shape: [2, 3] }])).to.equal(graph)
  })

  it('meet no name that the graph uses for what they add', async () => {
    const plain = network()
    const graph = {
      ...plain,
      nodes: [...plain.nodes, node('Exp', ['h'], 'retrograd/network/w')],
    }
    const changed = withLayouts(graph, [{ parameter: 'w', name: 'w', shape: [3, 2], permutation: [1, 0] }])
    expect(await outputs(changed)).to.deep.equal(await outputs(plain))
    expect(namesOf(plain)).to.deep.equal(new Set(['x', 'w', 'b', 'h', 'y']))
  })

  it('refuse a weight that is an output too and would change its layout', () => {
    const plain = network()
    const graph = { ...plain, outputs: [...plain.outputs, { name: 'w', dtype: undefined, shape: undefined }] }
    expect(() =>
      withLayouts(graph, [{ parameter: 'w', name: 'w', shape: [3, 2], permutation: [1, 0] }]),
    ).to.throw(UnsupportedModelError, "'w' is a weight and an output of the network")
  })
})

describe('what the axes of a weight mean', () => {
  const use = (rank: number, ...nodes: ReturnType<typeof node>[]) =>
    weightUseOf(graphOf({ inputs: [], nodes, outputs: [] }), 'w', rank)

  it('follows from the node that reads it, through transpositions', () => {
    expect(use(2, node('Gemm', ['x', 'w'], 'y', { transB: 1 }))?.axes).to.deep.equal(['output', 'input'])
    expect(use(2, node('Gemm', ['x', 'w'], 'y'))?.axes).to.deep.equal(['input', 'output'])
    expect(use(2, node('MatMul', ['x', 'w'], 'y'))?.axes).to.deep.equal(['input', 'output'])
    expect(use(2, node('MatMul', ['w', 'x'], 'y'))?.axes).to.deep.equal(['output', 'input'])
    const turned = node('Transpose', ['w'], 't', { perm: [1, 0] })
    expect(use(2, turned, node('MatMul', ['x', 't'], 'y'))?.axes).to.deep.equal(['output', 'input'])
    const hwio = node('Transpose', ['w'], 't', { perm: [3, 2, 0, 1] })
    expect(use(4, hwio, node('Conv', ['x', 't'], 'y'))).to.deep.equal({
      kind: 'convolution',
      axes: ['window', 'window', 'input', 'output'],
    })
  })

  it('is unknown for vectors, behind a reshape, and within a recurrent kernel', () => {
    expect(use(1, node('Add', ['x', 'w'], 'y'))).to.equal(undefined)
    const reshaped = node('Reshape', ['w', 's'], 'r')
    expect(use(3, reshaped, node('MatMul', ['x', 'r'], 'y'))).to.equal(undefined)
    expect(use(3, node('LSTM', ['x', 'w', 'r'], 'y'))).to.deep.equal({ kind: 'recurrent', axes: [] })
  })

  it('knows the bias beside a weight, and the weight beside a bias', () => {
    const neighbours = neighboursOf(network())
    expect([...neighbours.get('w')!]).to.deep.equal(['b'])
    expect([...neighbours.get('b')!]).to.deep.equal(['w'])
  })
})
