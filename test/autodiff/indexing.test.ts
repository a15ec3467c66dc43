import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { UnsupportedOperatorError } from '../../src/errors.js'
import type { Graph, Shape } from '../../src/onnx/graph.js'
import { checkGradient } from '../support/check-gradient.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { runOnce } from '../support/ort.js'
import { INDEXING_CASES } from '../support/cases/indexing.js'
import { gradientCheckOf } from '../support/operator-case.js'

/** A table of `size` rows of which data picks some, a row of the loss each. */
function embedding(size: number, as: Shape = ['N', 'T']): Graph {
  return graphOf({
    inputs: [input('tokens', as, 'int64')],
    initializers: {
      table: tensor(
        'float32',
        [size, 3],
        Array.from({ length: size * 3 }, (_, i) => i),
      ),
    },
    nodes: [node('Gather', ['table', 'tokens'], 'y')],
    outputs: ['y'],
  })
}

function gradientOf(graph: Graph, parameter: string) {
  return differentiate(graph, { parameters: [parameter], loss: { kind: 'output', name: 'y' } })
}

function operatorsOf({ nodes }: Graph): Set<string> {
  return new Set(nodes.map(({ op }) => op))
}

describe('rows of a table that are picked several times', () => {
  it('are added up by a matrix product where there are few, by ScatterElements where there are many', () => {
    const few = operatorsOf(gradientOf(embedding(256), 'table').graph)
    const many = operatorsOf(gradientOf(embedding(257), 'table').graph)
    expect([few.has('MatMul'), few.has('ScatterElements')]).to.deep.equal([true, false])
    expect([many.has('MatMul'), many.has('ScatterElements')]).to.deep.equal([false, true])
  })

  for (const size of [256, 257])
    it(`are counted exactly among ${size}`, async () => {
      const { graph, gradients, weight } = gradientOf(embedding(size), 'table')
      const tokens = Array.from({ length: 6000 }, (_, i) => (i * i) % 7)
      const results = await runOnce(graph, {
        tokens: { dtype: 'int64', shape: [6, 1000], values: tokens },
        [weight.name]: { dtype: 'float32', shape: [6], values: [1, 1, 1, 1, 1, 1] },
        table: { dtype: 'float32', shape: [size, 3], values: new Array<number>(size * 3).fill(1) },
      })
      const counts = Array.from({ length: size }, (_, row) => tokens.filter((token) => token === row).length)
      expect(results[gradients.get('table')!]!.values).to.deep.equal(
        counts.flatMap((count) => [count, count, count]),
      )
    })

  it('are never added up by ScatterND, which loses additions when it runs in several threads', async () => {
    for (const test of INDEXING_CASES) {
      const { graph, parameters } = await gradientCheckOf(test)
      const gradient = differentiate(graph, {
        parameters: Object.keys(parameters),
        loss: { kind: 'output', name: 'loss' },
      })
      expect(operatorsOf(gradient.graph).has('ScatterND'), `${test.op} ${test.title}`).to.equal(false)
    }
  })
})

describe('one place of a symbolic axis', () => {
  it('gets zeros around it', () => {
    const graph = graphOf({
      inputs: [input('x', ['N', 'T', 3])],
      initializers: { w: tensor('float32', [3], [1, 2, 3]), last: tensor('int64', [], [-1]) },
      nodes: [node('Mul', ['x', 'w'], 'scaled'), node('Gather', ['scaled', 'last'], 'y', { axis: 1 })],
      outputs: ['y'],
    })
    const operators = operatorsOf(gradientOf(graph, 'w').graph)
    expect([operators.has('Pad'), operators.has('ScatterElements')]).to.deep.equal([true, false])
  })
})

describe('Scatter, the old name of ScatterElements', () => {
  const parameters = {
    x: { dtype: 'float64', shape: [2, 3], values: [1, 2, 3, 4, 5, 6] },
    u: { dtype: 'float64', shape: [2, 2], values: [7, 8, 9, 10] },
  } as const

  it('is differentiated', async () => {
    const graph = graphOf({
      inputs: [input('sample', [1], 'float64')],
      initializers: {
        x: tensor('float64', [2, 3], parameters.x.values),
        u: tensor('float64', [2, 2], parameters.u.values),
        at: tensor('int64', [2, 2], [2, 0, 1, 2]),
        weights: tensor('float64', [2, 3], [1, -2, 3, -4, 5, -6]),
        row: tensor('int64', [2], [1, -1]),
      },
      nodes: [
        node('Scatter', ['x', 'at', 'u'], 'y', { axis: 1 }),
        node('Mul', ['y', 'weights'], 'weighted'),
        node('Reshape', ['weighted', 'row'], 'loss'),
      ],
      outputs: ['loss'],
      opset: 10,
    })
    const data = { sample: { dtype: 'float64', shape: [1], values: [0] } } as const
    await checkGradient({ graph, parameters, data, loss: 'loss' })
  })
})

describe('forms without a derivative are refused with the reason', () => {
  const refusal = (op: string, inputs: string[], values: Record<string, number | string>, opset = 18) => {
    const graph = graphOf({
      inputs: [input('data', [1, 2], 'int64'), input('tuples', [1, 'K'], 'int64')],
      initializers: { w: tensor('float32', [3], [1, 2, 3]), pads: tensor('int64', [2], [4, 0]) },
      nodes: [
        node(op, inputs, 'made', values),
        node('Cast', ['made'], 'real', { to: 1 }),
        node('ReduceSum', ['real'], 'y', { keepdims: 0 }),
      ],
      outputs: ['y'],
      opset,
    })
    return () => gradientOf(graph, 'w')
  }

  it('bits read as another type', () => {
    expect(refusal('BitCast', ['w'], { to: 6 }, 26)).to.throw(
      UnsupportedOperatorError,
      "node BitCast (computes 'made') can't be differentiated: the bits of a number",
    )
  })

  it('padding that wraps around more than once', () => {
    expect(refusal('Pad', ['w', 'pads'], { mode: 'wrap' }, 19)).to.throw(
      UnsupportedOperatorError,
      'it wraps around more than once',
    )
  })

  it('index tuples of unknown length', () => {
    expect(refusal('ScatterND', ['w', 'tuples', 'w'], {})).to.throw(
      UnsupportedOperatorError,
      'the length of its index tuples is not known',
    )
  })
})
