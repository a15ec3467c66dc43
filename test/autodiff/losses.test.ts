import { expect } from 'chai'
import { differentiate, DENOMINATORS, NUMERATORS } from '../../src/autodiff/differentiate.js'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import { parseLoss } from '../../src/autodiff/losses.js'
import { UnsupportedModelError, UsageError, UnsupportedOperatorError } from '../../src/errors.js'
import type { Dim, Graph, Node } from '../../src/onnx/graph.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { runOnce } from '../support/ort.js'
import type { Feed } from '../support/ort.js'

const W = [0.3, -0.8, 1.1, 0.6, -0.4, 0.9]
const X = [0.5, -1, 1.5, 0.25, 2, -0.75]

/** x [N, 2] times w [2, 3], and what a test appends to it. */
function network(nodes: readonly Node[], outputs: readonly string[], batch: Dim = 'N'): Graph {
  return graphOf({
    inputs: [input('x', [batch, 2], 'float64')],
    initializers: {
      w: tensor('float64', [2, 3], W),
      last: tensor('int64', [1], [-1]),
      flat: tensor('int64', [2], [-1, 1]),
    },
    nodes: [node('MatMul', ['x', 'w'], 'z'), ...nodes],
    outputs,
  })
}

function gradientOf(graph: Graph, loss: string): GradientGraph {
  return differentiate(graph, { parameters: ['w'], loss: parseLoss(loss) })
}

const real = (shape: readonly number[], values: readonly number[]): Feed => ({
  dtype: 'float64',
  shape,
  values,
})
const labels = (values: readonly number[]): Feed => ({ dtype: 'int64', shape: [values.length], values })

async function run(
  gradient: GradientGraph,
  weights: readonly number[],
  target?: Feed,
): Promise<Record<string, Feed>> {
  const feeds = { x: real([3, 2], X), w: real([2, 3], W), sample_weight: real([3], weights) }
  return runOnce(gradient.graph, { ...feeds, ...(target && { target }) })
}

/** Rows of x w as JavaScript computes them. */
const LOGITS = [0, 1, 2].map((row) =>
  [0, 1, 2].map((column) => X[2 * row]! * W[column]! + X[2 * row + 1]! * W[3 + column]!),
)

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).to.have.length(expected.length)
  actual.forEach((value, i) => expect(value).to.be.closeTo(expected[i]!, 1e-12))
}

describe('cross-entropy', () => {
  const minusLogSoftmax = (row: readonly number[], label: number): number =>
    Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0)) - row[label]!

  it('gives -log softmax(z)[label] for every sample, times its weight', async () => {
    const results = await run(gradientOf(network([], ['z']), 'cross-entropy'), [1, 0, 2], labels([2, 0, 1]))
    const expected = LOGITS.map((row, i) => minusLogSoftmax(row, [2, 0, 1][i]!) * [1, 0, 2][i]!)
    expectClose(results[NUMERATORS]!.values, expected)
    expect(results[DENOMINATORS]!.values).to.deep.equal([1, 0, 2])
  })

  it('has the gradient of its samples alone: one of weight 0 adds nothing', async () => {
    const gradient = gradientOf(network([], ['z']), 'cross-entropy')
    const some = await run(gradient, [1, 0, 1], labels([2, 0, 1]))
    const other = await run(gradient, [1, 0, 1], labels([2, 1, 1]))
    const all = await run(gradient, [1, 1, 1], labels([2, 0, 1]))
    expect(some['gradient/w']!.values).to.deep.equal(other['gradient/w']!.values)
    expect(some['gradient/w']!.values).to.not.deep.equal(all['gradient/w']!.values)
  })

  it('looks before a Softmax over classes, and says so', async () => {
    const graph = network([node('Softmax', ['z'], 'p', { axis: 1 })], ['p'])
    const gradient = gradientOf(graph, 'cross-entropy')
    expect(gradient.notes).to.deep.equal([
      "'p' holds probabilities: cross-entropy is taken of 'z' before Softmax",
    ])
    const results = await run(gradient, [1, 1, 1], labels([2, 0, 1]))
    expectClose(
      results[NUMERATORS]!.values,
      LOGITS.map((row, i) => minusLogSoftmax(row, [2, 0, 1][i]!)),
    )
  })

  it('looks before the flattening Softmax of old operator sets too', () => {
    const graph = { ...network([node('Softmax', ['z'], 'p')], ['p']), opsets: new Map([['', 11]]) }
    expect(gradientOf(graph, 'cross-entropy').notes).to.have.length(1)
  })

  it('takes a Softmax over the batch as the network means it', () => {
    const graph = network([node('Softmax', ['z'], 'p', { axis: 0 })], ['p'])
    expect(gradientOf(graph, 'cross-entropy').notes).to.deep.equal([])
  })

  it('refuses an output without classes, or with one', () => {
    const without = network([node('ReduceSum', ['z', 'last'], 'y', { keepdims: 0 })], ['y'])
    expect(() => gradientOf(without, 'cross-entropy')).to.throw(UnsupportedModelError, /'y' is N$/)
    const one = network([node('ReduceSum', ['z', 'last'], 'y')], ['y'])
    expect(() => gradientOf(one, 'cross-entropy')).to.throw(
      UnsupportedModelError,
      /'y' is N x 1: one class only .*use bce-with-logits/,
    )
  })

  it('refuses an output whose first axis is known not to be the batch', () => {
    const graph = network([node('Reshape', ['z', 'flat'], 'y')], ['y'])
    expect(() => gradientOf(graph, 'cross-entropy')).to.throw(
      UnsupportedModelError,
      /one row for each sample, but 'y' is 3\*N x 1 where the batch is N/,
    )
  })

  it('says which outputs it leaves aside', () => {
    const graph = network([node('Exp', ['z'], 'e')], ['z', 'e'])
    expect(gradientOf(graph, 'cross-entropy').notes).to.deep.equal([
      "the loss is taken of the first output 'z'; not used: e",
    ])
  })

  it('judges the first output of real numbers, in its type', () => {
    const graph = network([node('ArgMax', ['z'], 'best', { axis: 1 })], ['best', 'z'])
    const gradient = gradientOf(graph, 'cross-entropy')
    expect(gradient.weight.dtype).to.equal('float64')
    expect(gradient.target?.input).to.deep.equal({ name: 'target', dtype: 'int64', shape: ['N'] })
  })

  it('refuses a network without an output of real numbers', () => {
    const graph = network([node('ArgMax', ['z'], 'best', { axis: 1 })], ['best'])
    expect(() => gradientOf(graph, 'cross-entropy')).to.throw(UnsupportedModelError, /outputs: best/)
  })
})

describe('mse', () => {
  it('averages squares over all elements of all samples of weight 1', async () => {
    const target = real([3, 3], [0, 1, 2, 3, 4, 5, 6, 7, 8])
    const results = await run(gradientOf(network([], ['z']), 'mse'), [1, 0, 1], target)
    const squares = LOGITS.map((row, i) => row.reduce((sum, z, j) => sum + (z - (3 * i + j)) ** 2, 0))
    expectClose(results[NUMERATORS]!.values, [squares[0]!, 0, squares[2]!])
    expectClose(results[DENOMINATORS]!.values, [3, 0, 3])
  })

  it('counts elements of symbolic size when the graph runs', async () => {
    const graph = network([node('Transpose', ['z'], 't'), node('MatMul', ['z', 't'], 'gram')], ['gram'])
    const results = await run(gradientOf(graph, 'mse'), [1, 1, 1], real([3, 3], new Array<number>(9).fill(0)))
    expectClose(results[DENOMINATORS]!.values, [3, 3, 3])
  })

  it('refuses an output without a batch axis', () => {
    const graph = network([node('ReduceMean', ['z'], 'm', { keepdims: 0 })], ['m'])
    expect(() => gradientOf(graph, 'mse')).to.throw(
      UnsupportedModelError,
      /one row for each sample, but 'm' is scalar/,
    )
  })
})

describe('output:NAME', () => {
  const exponential = node('Exp', ['z'], 'e')
  const rows = LOGITS.map((row) => row.reduce((sum, z) => sum + Math.exp(z), 0))

  it('averages a value of shape [N, T] over its elements', async () => {
    const gradient = gradientOf(network([exponential], ['e']), 'output:e')
    const results = await run(gradient, [1, 0, 1])
    expectClose(results[NUMERATORS]!.values, [rows[0]!, 0, rows[2]!])
    expectClose(results[DENOMINATORS]!.values, [3, 0, 3])
    expect(gradient.perSample).to.equal(true)
  })

  it('takes a value of shape [N] as it is', async () => {
    const mean = node('ReduceSum', ['e', 'last'], 's', { keepdims: 0 })
    const results = await run(gradientOf(network([exponential, mean], ['s']), 'output:s'), [1, 0, 2])
    expectClose(results[NUMERATORS]!.values, [rows[0]!, 0, 2 * rows[2]!])
    expectClose(results[DENOMINATORS]!.values, [1, 0, 2])
  })

  it('counts one number as the mean of its micro-batch', async () => {
    const mean = node('ReduceMean', ['e'], 'm', { keepdims: 0 })
    const gradient = gradientOf(network([exponential, mean], ['m']), 'output:m')
    const results = await run(gradient, [1, 1, 1])
    const expected = rows.reduce((sum, row) => sum + row, 0) / 9
    expectClose(results[NUMERATORS]!.values, [3 * expected])
    expectClose(results[DENOMINATORS]!.values, [3])
    expect(gradient.perSample).to.equal(false)
    expect(gradient.notes[0]).to.match(/'m' is one number for each micro-batch/)
  })

  it('takes a value inside the graph', async () => {
    const results = await run(gradientOf(network([exponential], ['z']), 'output:e'), [1, 1, 1])
    expectClose(results[NUMERATORS]!.values, rows)
  })

  it('takes one number as the sample of a batch that is fixed at 1', () => {
    const mean = node('ReduceMean', ['z'], 'm', { keepdims: 1 })
    expect(gradientOf(network([mean], ['m'], 1), 'output:m').perSample).to.equal(true)
  })

  it('refuses a value that the graph does not compute, and lists its outputs', () => {
    expect(() => gradientOf(network([exponential], ['z', 'e']), 'output:loss')).to.throw(
      UsageError,
      "--loss output:loss: the graph computes no 'loss'; its outputs are z, e",
    )
  })

  it('refuses a value whose first axis is not the batch', () => {
    const columns = node('ReduceSum', ['z', 'first'], 's', { keepdims: 0 })
    const graph = network([columns], ['s'])
    const initializers = new Map([...graph.initializers, ['first', tensor('int64', [1], [0])] as const])
    expect(() => gradientOf({ ...graph, initializers }, 'output:s')).to.throw(
      UnsupportedModelError,
      /'s' is 3 where the batch is N/,
    )
  })
})

describe('a loss of a value whose shape is not known', () => {
  it('is refused by the node that lost it', () => {
    const custom = { ...node('Wobble', ['x'], 'k'), domain: 'com.example' }
    const graph = network([custom, node('Mul', ['z', 'k'], 'y')], ['y'])
    for (const loss of ['cross-entropy', 'mse', 'output:y'])
      expect(() => gradientOf(graph, loss), loss).to.throw(
        UnsupportedModelError,
        "the shape of 'y', which the loss judges, is not known: the output of node com.example.Wobble (computes 'k') can't be inferred",
      )
  })

  it('is refused by the operator without a rule, where one stands on the way', () => {
    const custom = { ...node('Wobble', ['z'], 'k'), domain: 'com.example' }
    const graph = network([custom, node('Exp', ['k'], 'y')], ['y'])
    for (const loss of ['cross-entropy', 'mse', 'output:y'])
      expect(() => gradientOf(graph, loss), loss).to.throw(
        UnsupportedOperatorError,
        /node com\.example\.Wobble \(computes 'k'\).*no derivative rule/,
      )
  })
})
