import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { Node } from '../../src/onnx/graph.js'
import { gradientFeeds } from '../support/check-gradient.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { runOnce } from '../support/ort.js'

const FLOAT = 1
const shape = [2, 3]
const scores = [0.5, -1, 2, 1, 0, -2]
/** The second query may attend to no key. */
const bias = [0, 0, -Infinity, -Infinity, -Infinity, -Infinity]

/** The gradient of sum(weights * y) with respect to the scores. */
async function gradientOf(nodes: readonly Node[]): Promise<readonly number[]> {
  const dtype = 'float32'
  const graph = graphOf({
    inputs: [input('sample', [1])],
    initializers: {
      scores: tensor(dtype, shape, scores),
      bias: tensor(dtype, shape, bias),
      weights: tensor(dtype, shape, [1, 2, 3, 4, 5, 6]),
      zero: tensor(dtype, [], [0]),
      lowest: tensor(dtype, [], [-Infinity]),
      last: tensor('int64', [1], [-1]),
      row: tensor('int64', [2], [1, -1]),
    },
    nodes: [
      node('Add', ['scores', 'bias'], 'masked'),
      ...nodes,
      node('Mul', ['y', 'weights'], 'weighted'),
      node('Reshape', ['weighted', 'row'], 'loss'),
    ],
    outputs: ['loss'],
  })
  const check = {
    graph,
    parameters: { scores: { dtype, shape, values: scores } },
    data: { sample: { dtype, shape: [1], values: [0] } },
    loss: 'loss',
  } as const
  const gradient = differentiate(graph, { parameters: ['scores'], loss: { kind: 'output', name: 'loss' } })
  return (await runOnce(gradient.graph, gradientFeeds(gradient, check)))['gradient/scores']!.values
}

describe('the softmax of a row that is masked from end to end has no derivative', () => {
  const p = 1 / (1 + Math.exp(-1.5))
  // d p / d score of 1 p + 2 (1 - p)
  const expected = [-p * (1 - p), p * (1 - p), 0, 0, 0, 0]
  const forms: readonly [title: string, nodes: readonly Node[]][] = [
    [
      'where NaN is replaced, as PyTorch exports it',
      [
        node('Softmax', ['masked'], 'p', { axis: -1 }),
        node('IsNaN', ['p'], 'empty'),
        node('Where', ['empty', 'zero', 'p'], 'y'),
      ],
    ],
    [
      'where masked rows are replaced, as ONNX defines Attention',
      [
        node('Softmax', ['masked'], 'q', { axis: -1 }),
        node('Cast', ['q'], 'p', { to: FLOAT }),
        node('ReduceMax', ['bias', 'last'], 'most'),
        node('Equal', ['most', 'lowest'], 'empty'),
        node('Where', ['empty', 'zero', 'p'], 'y'),
      ],
    ],
  ]
  for (const [title, nodes] of forms)
    it(title, async () => {
      const found = await gradientOf(nodes)
      expect(found).to.have.length(expected.length)
      found.forEach((value, i) => expect(value).to.be.closeTo(expected[i]!, 1e-6))
    })
})
