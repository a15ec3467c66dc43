import { expect } from 'chai'
import { differentiate, DENOMINATORS, NUMERATORS } from '../../src/autodiff/differentiate.js'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import { LOSS, standaloneGradient } from '../../src/autodiff/standalone.js'
import { UnsupportedModelError, UsageError } from '../../src/errors.js'
import type { Graph, NamedValue, Node } from '../../src/onnx/graph.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { runOnce } from '../support/ort.js'
import type { Feed } from '../support/ort.js'

const W = [0.3, -0.8, 1.1, 0.6, -0.4, 0.9]
const X = [0.5, -1, 1.5, 0.25, 2, -0.75]
const TARGET = [1, 0, 2, -1, 0.5, 0.25, 3, -2, 0]

/** x [batch, 2] times w [2, 3]. */
function network(nodes: readonly Node[] = [], outputs: readonly string[] = ['z'], opset = 18): Graph {
  return graphOf({
    opset,
    inputs: [input('x', ['batch', 2], 'float64')],
    initializers: { w: tensor('float64', [2, 3], W) },
    nodes: [node('MatMul', ['x', 'w'], 'z'), ...nodes],
    outputs,
  })
}

/** A loss graph; by default the squared error of each element. */
function lossGraph(parts: {
  readonly inputs?: readonly NamedValue[]
  readonly nodes?: readonly Node[]
  readonly outputs?: readonly string[]
  readonly opset?: number
}): Graph {
  return graphOf({
    opset: parts.opset ?? 18,
    inputs: parts.inputs ?? [input('prediction', ['N', 3], 'float64'), input('truth', ['N', 3], 'float64')],
    initializers: {
      one: tensor('int64', [1], [1]),
      half: tensor('float64', [], [0.5]),
      axes: tensor('int64', [1], [1]),
    },
    nodes: parts.nodes ?? [node('Sub', ['prediction', 'truth'], 'w'), node('Mul', ['w', 'w'], 'numerators')],
    outputs: parts.outputs ?? ['numerators'],
  })
}

function gradientOf(model: Graph, graph: Graph): GradientGraph {
  return differentiate(model, { parameters: ['w'], loss: { kind: 'graph', graph, path: 'my.onnx' } })
}

const real = (shape: readonly number[], values: readonly number[]): Feed => ({
  dtype: 'float64',
  shape,
  values,
})
const FEEDS = { x: real([3, 2], X), w: real([2, 3], W), target: real([3, 3], TARGET) }

async function run(
  gradient: GradientGraph,
  feeds: Readonly<Record<string, Feed>> = {},
  weights = [1, 0, 1],
): Promise<Record<string, Feed>> {
  return runOnce(gradient.graph, { ...FEEDS, sample_weight: real([3], weights), ...feeds })
}

function expectSame(actual: Record<string, Feed>, expected: Record<string, Feed>): void {
  for (const name of [NUMERATORS, DENOMINATORS, 'gradient/w'])
    actual[name]!.values.forEach((value, i) => {
      expect(value, name).to.be.closeTo(expected[name]!.values[i]!, 1e-14)
    })
}

describe('a loss that is an ONNX file', () => {
  const builtIn = differentiate(network(), { parameters: ['w'], loss: { kind: 'mse' } })

  it('takes the only output as its first input and the target as the other, whatever their names', async () => {
    const gradient = gradientOf(network(), lossGraph({}))
    expect(gradient.target).to.deep.equal({
      kind: 'values',
      input: { name: 'target', dtype: 'float64', shape: ['batch', 3] },
    })
    expect(gradient.inputs.map(({ name }) => name)).to.deep.equal(['x'])
    expectSame(await run(gradient), await run(builtIn))
  })

  it('may give one number for each sample', async () => {
    const nodes = [
      node('Sub', ['prediction', 'truth'], 'd'),
      node('Mul', ['d', 'd'], 's'),
      node('ReduceMean', ['s', 'axes'], 'mean', { keepdims: 0 }),
    ]
    const results = await run(gradientOf(network(), lossGraph({ nodes, outputs: ['mean'] })))
    const expected = await run(builtIn)
    results[NUMERATORS]!.values.forEach((value, i) => {
      expect(value * 3).to.be.closeTo(expected[NUMERATORS]!.values[i]!, 1e-14)
    })
    expect(results[DENOMINATORS]!.values).to.deep.equal([1, 0, 1])
  })

  it('may give one number for the micro-batch', async () => {
    const nodes = [
      node('Sub', ['prediction', 'truth'], 'd'),
      node('Mul', ['d', 'd'], 's'),
      node('ReduceMean', ['s'], 'mean', { keepdims: 0 }),
    ]
    const graph = lossGraph({ nodes, outputs: ['mean'] })
    const gradient = gradientOf(network(), graph)
    expect(gradient.perSample).to.equal(false)
    const results = await run(gradient, {}, [1, 1, 1])
    const expected = await run(builtIn, {}, [1, 1, 1])
    const total = (name: string): number => expected[name]!.values.reduce((a, b) => a + b, 0)
    expect(results[NUMERATORS]!.values[0]! / 3).to.be.closeTo(total(NUMERATORS) / total(DENOMINATORS), 1e-14)
    const mean = standaloneGradient(network(), { loss: { kind: 'graph', graph, path: 'my.onnx' } })
    const alone = await runOnce(mean.graph, FEEDS)
    expect(alone[LOSS]!.values[0]).to.be.closeTo(total(NUMERATORS) / total(DENOMINATORS), 1e-14)
    alone['gradient/w']!.values.forEach((value, i) => {
      expect(value).to.be.closeTo(expected['gradient/w']!.values[i]! / 9, 1e-14)
    })
  })

  it('takes outputs and inputs of the network by name, and further data by theirs', async () => {
    const exponential = node('Exp', ['z'], 'e')
    const inputs = [
      input('e', ['N', 'C'], 'float64'),
      input('x', ['N', 'F'], 'float64'),
      input('mask', ['N', 'C'], 'float64'),
      input('label', ['N'], 'int32'),
    ]
    const nodes = [
      node('Gather', ['x', 'one'], 'second', { axis: 1 }),
      node('Cast', ['label'], 'l', { to: 11 }),
      node('Unsqueeze', ['l', 'axes'], 'column'),
      node('Mul', ['e', 'mask'], 'kept'),
      node('Mul', ['kept', 'second'], 'scaled'),
      node('Mul', ['scaled', 'column'], 'loss'),
    ]
    const gradient = gradientOf(
      network([exponential], ['z', 'e']),
      lossGraph({ inputs, nodes, outputs: ['loss'] }),
    )
    expect(gradient.inputs).to.deep.equal([
      { name: 'x', dtype: 'float64', shape: ['batch', 2] },
      { name: 'mask', dtype: 'float64', shape: ['batch', 3] },
    ])
    expect(gradient.target!.input).to.deep.equal({ name: 'target', dtype: 'int32', shape: ['batch'] })
    const mask = real([3, 3], [1, 0, 1, 1, 1, 0, 0, 0, 1])
    const target: Feed = { dtype: 'int32', shape: [3], values: [2, 5, -1] }
    const results = await run(gradient, { mask, target })
    const expected = [0, 1, 2].map((n) => {
      const row = [0, 1, 2].map((c) => {
        const z = X[2 * n]! * W[c]! + X[2 * n + 1]! * W[3 + c]!
        return mask.values[3 * n + c]! * Math.exp(z) * X[2 * n + 1]! * target.values[n]!
      })
      return row.reduce((a, b) => a + b, 0) * [1, 0, 1][n]!
    })
    results[NUMERATORS]!.values.forEach((value, n) => expect(value).to.be.closeTo(expected[n]!, 1e-13))
  })

  it('takes no target where it needs none', async () => {
    const inputs = [input('prediction', ['N', 3], 'float64')]
    const graph = lossGraph({ inputs, nodes: [node('Abs', ['prediction'], 'a')], outputs: ['a'] })
    const gradient = gradientOf(network(), graph)
    expect(gradient.target).to.equal(undefined)
    expect((await run(gradient))[DENOMINATORS]!.values).to.deep.equal([3, 0, 3])
  })

  it('may be written in another opset than the network', async () => {
    for (const [own, other] of [
      [17, 21],
      [20, 11],
      [13, 13],
    ] as const) {
      const gradient = gradientOf(network([], ['z'], own), lossGraph({ opset: other }))
      expect(gradient.graph.opsets.get('')).to.equal(Math.max(18, own, other))
      expectSame(await run(gradient), await run(builtIn))
    }
  })

  it('is refused where an operator means something else in the newer opset', () => {
    const nodes = [node('GridSample', ['prediction', 'truth'], 's')]
    const graph = lossGraph({ nodes, outputs: ['s'], opset: 18 })
    expect(() => gradientOf(network([], ['z'], 22), graph)).to.throw(
      UnsupportedModelError,
      /my\.onnx and the network are written in opsets 18 and 22, between which GridSample/,
    )
  })

  it('may use names that the network uses', () => {
    const graph = lossGraph({ nodes: [node('Sub', ['prediction', 'truth'], 'z')], outputs: ['z'] })
    expect(() => gradientOf(network(), graph)).not.to.throw()
  })
})

describe('a loss graph that does not fit is refused', () => {
  const exponential = node('Exp', ['z'], 'e')
  const two = network([exponential], ['z', 'e'])
  const f64 = (name: string, shape: NamedValue['shape']): NamedValue => ({ name, dtype: 'float64', shape })
  const cases: readonly [
    title: string,
    model: Graph,
    loss: Graph,
    error: typeof UsageError | typeof UnsupportedModelError,
    message: RegExp,
  ][] = [
    [
      'where two outputs could be its input',
      two,
      lossGraph({}),
      UsageError,
      /its inputs are prediction, truth, and the network's outputs z, e; call an input like the output/,
    ],
    [
      'where two inputs could be the target',
      network(),
      lossGraph({ inputs: [f64('prediction', ['N', 3]), f64('truth', ['N', 3]), f64('other', ['N'])] }),
      UsageError,
      /truth, other are neither outputs nor inputs of the network; call the one .* 'target'/,
    ],
    [
      'where types differ',
      network(),
      lossGraph({ inputs: [input('prediction', ['N', 3]), input('truth', ['N', 3])] }),
      UnsupportedModelError,
      /its input 'prediction' is float32, but the network's 'z' float64/,
    ],
    [
      'where shapes differ',
      network(),
      lossGraph({ inputs: [f64('prediction', ['N', 4]), f64('truth', ['N', 4])] }),
      UnsupportedModelError,
      /its input 'prediction' is N x 4, but the network's 'z' batch x 3/,
    ],
    [
      'where its batch is fixed and the network’s is not',
      network(),
      lossGraph({ inputs: [f64('prediction', ['N', 3]), f64('truth', [4, 3])] }),
      UnsupportedModelError,
      /its input 'truth' is 4 x 3, but the network's batch is batch/,
    ],
    [
      'where its target has no shape',
      network(),
      lossGraph({ inputs: [f64('prediction', ['N', 3]), f64('truth', undefined)] }),
      UnsupportedModelError,
      /its input 'truth' is declared without a type, or without a shape/,
    ],
    [
      'where it has two outputs',
      network(),
      lossGraph({ outputs: ['w', 'numerators'] }),
      UsageError,
      /a loss has one output, this graph has 2 \(w, numerators\)/,
    ],
    [
      'where an input is called like a value inside the network',
      network([exponential], ['e']),
      lossGraph({ inputs: [f64('e', ['N', 3]), f64('target', ['N', 3]), f64('z', ['N', 3])] }),
      UsageError,
      /its input 'z' is a value inside the network, but no output/,
    ],
  ]
  for (const [title, model, loss, error, message] of cases)
    it(title, () => {
      expect(() => gradientOf(model, loss)).to.throw(error, message)
    })
})
