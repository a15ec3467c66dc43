import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { UnsupportedModelError, UnsupportedOperatorError, UsageError } from '../../src/errors.js'
import type { Graph, Initializer, Node } from '../../src/onnx/graph.js'
import { checkGradient } from '../support/check-gradient.js'
import type { GradientCheck } from '../support/check-gradient.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'

const X = [0.5, -1, 2, 1.5, -0.25, 1]
const W = [0.3, -0.8, 1.1, 0.6, -0.4, 0.9]

/** A graph on x [N, 3] with a parameter w [3, 2]; its output is 'loss', one element per sample and column. */
function graphWith(nodes: readonly Node[], initializers: Record<string, Initializer> = {}): Graph {
  return graphOf({
    inputs: [input('x', ['N', 3], 'float64')],
    initializers: { w: tensor('float64', [3, 2], W), ...initializers },
    nodes,
    outputs: ['loss'],
  })
}

function checkOf(graph: Graph, others: GradientCheck['parameters'] = {}): GradientCheck {
  return {
    graph,
    parameters: { w: { dtype: 'float64', shape: [3, 2], values: W }, ...others },
    data: { x: { dtype: 'float64', shape: [2, 3], values: X } },
    loss: 'loss',
  }
}

function gradientOf(graph: Graph, parameters: readonly string[] = ['w']): ReturnType<typeof differentiate> {
  return differentiate(graph, { parameters, loss: { kind: 'output', name: 'loss' } })
}

const product = node('MatMul', ['x', 'w'], 'h')

describe('reverse mode', () => {
  it('adds the cotangents of a value that is read several times', async () => {
    const nodes = [
      product,
      node('Mul', ['h', 'h'], 'square'),
      node('Sin', ['h'], 'sine'),
      node('Mul', ['square', 'sine'], 'both'),
      node('Add', ['both', 'h'], 'loss'),
    ]
    await checkGradient(checkOf(graphWith(nodes)))
  })

  it('adds the cotangents of a parameter that is used twice (tied weights)', async () => {
    const nodes = [
      product,
      node('Transpose', ['w'], 'w_transposed'),
      node('Tanh', ['h'], 'hidden'),
      node('MatMul', ['hidden', 'w_transposed'], 'loss'),
    ]
    await checkGradient(checkOf(graphWith(nodes)))
  })

  it('differentiates a value that is an output and is read further', async () => {
    const graph = graphWith([product, node('Exp', ['h'], 'loss'), node('Relu', ['loss'], 'after')])
    await checkGradient(
      checkOf({ ...graph, outputs: [...graph.outputs, { ...graph.outputs[0]!, name: 'after' }] }),
    )
  })

  it('leaves out parameters that the loss does not depend on', async () => {
    const graph = graphWith([product, node('Exp', ['h'], 'loss')], { other: tensor('float64', [2], [1, 2]) })
    const others = { other: { dtype: 'float64', shape: [2], values: [1, 2] } } as const
    const { gradients } = await checkGradient(checkOf(graph, others))
    expect([...gradients]).to.deep.equal([['w', 'gradient/w']])
  })

  it('refuses parameters of which none moves the loss', () => {
    const graph = graphWith([product, node('Floor', ['h'], 'loss')])
    expect(() => gradientOf(graph)).to.throw(
      UnsupportedModelError,
      /does not depend on any of the 1 bound parameters/,
    )
  })

  it('carries nothing through comparisons and integers', async () => {
    const nodes = [
      product,
      node('Greater', ['h', 'zero'], 'positive'),
      node('Cast', ['positive'], 'mask', { to: 11 }),
      node('ArgMax', ['h'], 'largest', { axis: 1 }),
      node('Cast', ['largest'], 'index', { to: 11 }),
      node('Mul', ['h', 'mask'], 'kept'),
      node('Mul', ['kept', 'index'], 'chosen'),
      node('Add', ['kept', 'chosen'], 'loss'),
    ]
    await checkGradient(checkOf(graphWith(nodes, { zero: tensor('float64', [], [0]) })))
  })

  it('differentiates with respect to a value that is also compared with itself', async () => {
    const nodes = [product, node('Relu', ['h'], 'r'), node('Max', ['r', 'h', 'half'], 'loss')]
    await checkGradient(checkOf(graphWith(nodes, { half: tensor('float64', [], [0.123]) })))
  })
})

/** A sum along axis 1. */
const running = (from: string, to: string): Node => ({
  ...node('CumSum', [from, 'axis'], to),
  name: 'running_sum',
})
const axis = { axis: tensor('int64', [], [1]) }

describe('operators without a derivative rule', () => {
  it('are refused on the path, by node, operator and opset', () => {
    const unknown = { ...node('Wobble', ['h'], 's'), name: 'wobbling' }
    const graph = graphWith([product, unknown, node('Exp', ['s'], 'loss')])
    expect(() => gradientOf(graph)).to.throw(
      UnsupportedOperatorError,
      "node Wobble 'wobbling' (computes 's') stands between the parameters and the loss, and there is no derivative rule for Wobble (ai.onnx opset 18)",
    )
  })

  it('are refused on the path with the version of their own operator set', () => {
    const custom = { ...node('Wobble', ['h'], 'k'), domain: 'com.example' }
    const shaped = node('Reshape', ['k', 'row'], 'loss')
    const graph = {
      ...graphWith([product, custom, shaped], { row: tensor('int64', [2], [-1, 2]) }),
      opsets: new Map([
        ['', 18],
        ['com.example', 3],
      ]),
    }
    expect(() => gradientOf(graph)).to.throw(
      UnsupportedOperatorError,
      /com\.example\.Wobble .*no derivative rule for Wobble \(com\.example opset 3\)/,
    )
  })

  it('are fine before the parameters', async () => {
    const nodes = [running('x', 's'), node('MatMul', ['s', 'w'], 'h'), node('Tanh', ['h'], 'loss')]
    await checkGradient(checkOf(graphWith(nodes, axis)))
  })

  it('are fine behind the loss, and leave the gradient graph', () => {
    const graph = graphWith([product, node('Exp', ['h'], 'loss'), running('h', 's')], axis)
    const { graph: gradient } = gradientOf(graph)
    expect(gradient.nodes.map(({ op }) => op))
      .to.include('Exp')
      .and.not.include('CumSum')
  })

  it('are fine beside the path', async () => {
    const nodes = [
      product,
      running('x', 's'),
      node('MatMul', ['s', 'fixed'], 'k'),
      node('Mul', ['h', 'k'], 'loss'),
    ]
    await checkGradient(checkOf(graphWith(nodes, { ...axis, fixed: tensor('float64', [3, 2], W) })))
  })
})

describe('forms that have no derivative', () => {
  it('are refused with the reason: a parameter where a rule has no derivative', () => {
    const graph = graphWith([product, node('Relu', ['h', 'ratio'], 'loss')], {
      ratio: tensor('float64', [], [0.5]),
    })
    expect(() => gradientOf(graph, ['w', 'ratio'])).to.throw(
      UnsupportedOperatorError,
      /no derivative with respect to its input 'ratio'/,
    )
  })

  it('are refused with the reason: a value of unknown rank', () => {
    const custom = { ...node('Wobble', ['x'], 'k'), domain: 'com.example' }
    const nodes = [custom, node('MatMul', ['k', 'w'], 'h'), node('Reshape', ['h', 'row'], 'loss')]
    const graph = graphWith(nodes, { row: tensor('int64', [2], [-1, 2]) })
    expect(() => gradientOf(graph)).to.throw(
      UnsupportedOperatorError,
      /the rank of 'k' is not known \(the output of node com\.example\.Wobble \(computes 'k'\) can't be inferred\)/,
    )
  })
})

describe('Dropout', () => {
  it('is the identity also where the file asks for training, and that is said', () => {
    const constants = { ratio: tensor('float64', [], [0.5]), training: tensor('bool', [], [1]) }
    const dropout = node('Dropout', ['h', 'ratio', 'training'], 'd')
    const graph = graphWith([product, dropout, node('Exp', ['d'], 'loss')], constants)
    const { notes } = gradientOf(graph)
    expect(notes).to.deep.equal(['Dropout is taken as the identity, whatever the training_mode in the file'])
    expect(gradientOf(graph).graph.nodes.map(({ op }) => op)).not.to.include('Dropout')
  })
})

describe('differentiate', () => {
  const graph = graphWith([product, node('Exp', ['h'], 'loss')])

  it('refuses a parameter that the model does not have', () => {
    expect(() => gradientOf(graph, ['v'])).to.throw(UsageError, "the model has no initializer 'v'")
  })

  it('refuses a parameter that is not of type float32 or float64', () => {
    const whole = graphWith([product, node('Exp', ['h'], 'loss')], { n: tensor('int64', [1], [1]) })
    expect(() => gradientOf(whole, ['n'])).to.throw(UnsupportedModelError, /keeps 'n' in int64/)
  })

  it('refuses a network without inputs, and one whose input has no axis', () => {
    const without = { ...graph, inputs: [], nodes: [node('Exp', ['w'], 'loss')] }
    expect(() => gradientOf(without)).to.throw(UnsupportedModelError, /no inputs/)
    const scalar = { ...graph, inputs: [input('x', [], 'float64')] }
    expect(() => gradientOf(scalar)).to.throw(UnsupportedModelError, /'x' has no batch axis \(it is scalar\)/)
  })

  it('refuses inputs of different batch sizes', () => {
    const two = { ...graph, inputs: [input('x', [2, 3], 'float64'), input('z', [4], 'float64')] }
    expect(() => gradientOf(two)).to.throw(UnsupportedModelError, /different batch sizes: x 2 x 3, z 4/)
  })

  it('gives its own inputs other names where the network uses theirs', () => {
    const inputs = [input('x', ['N', 3], 'float64'), input('target', ['N', 2], 'float64')]
    const nodes = [
      product,
      node('Mul', ['h', 'target'], 'sample_weight'),
      node('Exp', ['sample_weight'], 'out'),
    ]
    const clashing = graphOf({
      ...graph,
      initializers: Object.fromEntries(graph.initializers),
      inputs,
      nodes,
      outputs: ['out'],
    })
    const { target, weight } = differentiate(clashing, { parameters: ['w'], loss: { kind: 'mse' } })
    expect(target?.input.name).to.equal('target_')
    expect(weight.name).to.equal('sample_weight_')
  })

  it('refuses a gradient graph as its network', () => {
    const { graph: gradient } = gradientOf(graph)
    const initializers = new Map([...gradient.initializers, ['w', tensor('float64', [3, 2], W)] as const])
    const again = { ...gradient, inputs: gradient.inputs.filter(({ name }) => name !== 'w'), initializers }
    expect(() =>
      differentiate(again, { parameters: ['w'], loss: { kind: 'output', name: 'loss/numerators' } }),
    ).to.throw(UnsupportedModelError, /is it a gradient graph\?/)
  })
})
