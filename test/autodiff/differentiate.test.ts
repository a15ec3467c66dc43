import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { parseLoss } from '../../src/autodiff/losses.js'
import { LOSS, LOSSES, standaloneGradient } from '../../src/autodiff/standalone.js'
import { UnsupportedModelError, UsageError } from '../../src/errors.js'
import { decodeModel } from '../../src/onnx/read.js'
import { encodeModel } from '../../src/onnx/write.js'
import type { Graph, Node, Shape } from '../../src/onnx/graph.js'
import { checkGradient } from '../support/check-gradient.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { runOnce } from '../support/ort.js'
import type { Feed } from '../support/ort.js'

const W = [0.3, -0.8, 1.1, 0.6, -0.4, 0.9]
const X = [0.5, -1, 1.5, 0.25, 2, -0.75]

describe('gradients', () => {
  it('of a weight that is an embedding and an output layer add up (tied weights)', async () => {
    const table = [0.2, -0.4, 0.6, 0.1, 0.9, -0.3, -0.7, 0.5]
    const graph = graphOf({
      inputs: [input('tokens', ['N', 3], 'int64')],
      initializers: { e: tensor('float64', [4, 2], table) },
      nodes: [
        node('Gather', ['e', 'tokens'], 'h'),
        node('Tanh', ['h'], 'a'),
        node('Transpose', ['e'], 't', { perm: [1, 0] }),
        node('MatMul', ['a', 't'], 'logits'),
        node('Exp', ['logits'], 'loss'),
      ],
      outputs: ['loss'],
    })
    await checkGradient({
      graph,
      parameters: { e: { dtype: 'float64', shape: [4, 2], values: table } },
      data: { tokens: { dtype: 'int64', shape: [2, 3], values: [0, 3, 3, 1, 0, 3] } },
      loss: 'loss',
    })
  })

  it('do not go through integers and truth values', async () => {
    const graph = graphOf({
      inputs: [input('x', ['N', 2], 'float64')],
      initializers: { w: tensor('float64', [2, 3], W), zero: tensor('float64', [], [0.05]) },
      nodes: [
        node('MatMul', ['x', 'w'], 'h'),
        node('Less', ['h', 'zero'], 'small'),
        node('Not', ['small'], 'large'),
        node('Where', ['large', 'h', 'x3'], 'chosen'),
        node('Shape', ['h'], 'sizes'),
        node('Cast', ['h'], 'whole', { to: 7 }),
        node('Cast', ['whole'], 'back', { to: 11 }),
        node('Mul', ['chosen', 'back'], 'p'),
        node('Add', ['p', 'h'], 'q'),
        node('Reshape', ['q', 'sizes'], 'loss'),
      ].toSpliced(
        0,
        0,
        node('Concat', ['x', 'x'], 'x4', { axis: 1 }),
        node('Slice', ['x4', 'b', 'f', 'a'], 'x3'),
      ),
      outputs: ['loss'],
    })
    const slices = { b: [0], f: [3], a: [1] }
    const initializers = new Map([
      ...graph.initializers,
      ...Object.entries(slices).map(([name, values]) => [name, tensor('int64', [1], values)] as const),
    ])
    await checkGradient({
      graph: { ...graph, initializers },
      parameters: { w: { dtype: 'float64', shape: [2, 3], values: W } },
      data: { x: { dtype: 'float64', shape: [3, 2], values: X } },
      loss: 'loss',
    })
  })
})

/** Inputs of some shapes, added up after their elements, and one weight. */
function networkOf(shapes: Readonly<Record<string, Shape>>): Graph {
  const names = Object.keys(shapes)
  return graphOf({
    inputs: names.map((name) => input(name, shapes[name]!)),
    initializers: { w: tensor('float32', [], [2]) },
    nodes: [node('Sum', [...names, 'w'], 's'), node('Mul', ['s', 'w'], 'loss')],
    outputs: ['loss'],
  })
}

function batchOf(shapes: Readonly<Record<string, Shape>>): unknown {
  return differentiate(networkOf(shapes), { parameters: ['w'], loss: parseLoss('output:loss') }).batch
}

describe('the batch', () => {
  it('is the first axis of every input, by whatever name', () => {
    expect(batchOf({ x: ['N', 3], y: ['M', 3] })).to.equal('N')
    expect(batchOf({ x: ['x.0', 3], y: ['batch', 3] })).to.equal('batch')
    expect(batchOf({ x: ['N', 3], y: [4, 3] })).to.equal(4)
    expect(batchOf({ x: ['N', 'N'] })).to.equal('N')
    expect(batchOf({ batch: ['batch', 'T'] })).to.equal('batch')
  })

  it('has one name inside, so that equal sizes are known to be equal', () => {
    const { graph } = differentiate(networkOf({ x: ['N', 3], y: ['M', 3] }), {
      parameters: ['w'],
      loss: parseLoss('output:loss'),
    })
    expect(graph.inputs.map(({ shape }) => shape?.[0])).to.deep.equal(['N', 'N', undefined, 'N'])
  })

  const refused: readonly [shapes: Readonly<Record<string, Shape>>, message: RegExp][] = [
    [{ x: ['time', 'batch', 3] }, /'x' is time x batch x 3, with the batch \(batch\) at axis 1/],
    [{ x: [5, 'batch_size', 3] }, /'x' is 5 x batch_size x 3, with the batch \(batch_size\) at axis 1/],
    [
      { x: ['N', 5, 3], h: [1, 'N', 3] },
      /'h' is 1 x N x 3, with the batch \(N\) at axis 1: .*batch_first=True/,
    ],
    [{ x: ['batch', 'T'], p: ['T'] }, /'p' is T, whose first axis is another one of 'x'/],
    [{ x: [2, 3], y: [4, 3] }, /different batch sizes: x 2 x 3, y 4 x 3/],
    [{ x: [] }, /'x' has no batch axis \(it is scalar\)/],
  ]
  for (const [shapes, message] of refused)
    it(`is refused: ${JSON.stringify(shapes)}`, () => {
      expect(() => batchOf(shapes)).to.throw(UnsupportedModelError, message)
    })
})

/** x [N, 2] times w [2, 3] plus b, times a number that is written as a node; and what a test appends. */
function classifier(nodes: readonly Node[] = [], outputs: readonly string[] = ['z']): Graph {
  const graph = graphOf({
    inputs: [input('x', ['N', 2], 'float64')],
    initializers: {
      w: tensor('float64', [2, 3], W),
      b: tensor('float64', [3], [0.1, 0.2, 0.3]),
      idle: tensor('float64', [1], [1]),
      steps: tensor('float64', [1], [1]),
    },
    nodes: [
      node('MatMul', ['x', 'w'], 'h'),
      node('Constant', [], 'two', { value_float: { float: 2 } }),
      node('Cast', ['two'], 'factor', { to: 11 }),
      node('Mul', ['h', 'factor'], 'scaled'),
      node('Floor', ['steps'], 'whole'),
      node('Add', ['scaled', 'whole'], 'moved'),
      node('Add', ['moved', 'b'], 'z'),
      ...nodes,
    ],
    outputs,
  })
  return decodeModel(encodeModel(graph), 'memory')
}

const real = (shape: readonly number[], values: readonly number[]): Feed => ({
  dtype: 'float64',
  shape,
  values,
})

describe('a gradient that stands for itself', () => {
  const loss = parseLoss('cross-entropy')

  it('takes the network’s inputs, the target and every weight that moves the loss', () => {
    const { graph, inputs, parameters, target } = standaloneGradient(classifier(), { loss })
    expect(graph.inputs.map(({ name }) => name)).to.deep.equal(['x', 'w', 'b', 'target'])
    expect(inputs.map(({ name }) => name)).to.deep.equal(['x'])
    expect(parameters.map(({ name }) => name)).to.deep.equal(['w', 'b'])
    expect(target!.input).to.deep.equal({ name: 'target', dtype: 'int64', shape: ['N'] })
    expect(graph.outputs).to.deep.equal([
      { name: LOSS, dtype: 'float64', shape: [] },
      { name: LOSSES, dtype: 'float64', shape: ['N'] },
      { name: 'gradient/w', dtype: 'float64', shape: [2, 3] },
      { name: 'gradient/b', dtype: 'float64', shape: [3] },
    ])
  })

  it('says which named weights stay constant because the loss does not depend on them', () => {
    expect(standaloneGradient(classifier(), { loss }).notes).to.deep.equal([])
    expect(standaloneGradient(classifier(), { loss, parameters: ['*'] }).notes).to.deep.equal([
      'the loss does not depend on idle, steps: no inputs and no gradients',
    ])
  })

  it('takes the weights that are named, and keeps the others in the file', async () => {
    const of = (...parameters: string[]): string[] =>
      standaloneGradient(classifier(), { loss, parameters }).parameters.map(({ name }) => name)
    expect(of('b')).to.deep.equal(['b'])
    expect(of('?', 'w')).to.deep.equal(['w', 'b'])
    const { graph } = standaloneGradient(classifier(), { loss, parameters: ['b'] })
    const feeds = { x: real([3, 2], X), b: real([3], [0.1, 0.2, 0.3]) }
    const target: Feed = { dtype: 'int64', shape: [3], values: [0, 2, 1] }
    const whole = standaloneGradient(classifier(), { loss })
    const [some, all] = [
      await runOnce(graph, { ...feeds, target }),
      await runOnce(whole.graph, { ...feeds, w: real([2, 3], W), target }),
    ]
    expect(some['gradient/b']).to.deep.equal(all['gradient/b'])
    expect(some[LOSS]).to.deep.equal(all[LOSS])
  })

  it('refuses names that no weight has, and weights that don’t move the loss', () => {
    expect(() => standaloneGradient(classifier(), { loss, parameters: ['c*'] })).to.throw(
      UsageError,
      '--parameters c*: no weight is called so; the model has w, b, idle, steps, two',
    )
    expect(() => standaloneGradient(classifier(), { loss, parameters: ['idle'] })).to.throw(
      UnsupportedModelError,
      /does not depend on any/,
    )
  })

  it('refuses a network without weights', () => {
    const graph = graphOf({
      inputs: [input('x', ['N', 2])],
      nodes: [node('Exp', ['x'], 'y')],
      outputs: ['y'],
    })
    expect(() => standaloneGradient(graph, { loss })).to.throw(UsageError, /no initializers of type float32/)
  })

  it('may be made of a network that has values named loss and losses', async () => {
    const nodes = [node('Exp', ['z'], 'losses'), node('ReduceMean', ['losses'], 'loss', { keepdims: 0 })]
    const made = standaloneGradient(classifier(nodes, ['z', 'loss']), { loss: parseLoss('output:loss') })
    expect(made.graph.outputs.map(({ name }) => name)).to.deep.equal(['loss', 'gradient/w', 'gradient/b'])
    const results = await runOnce(made.graph, {
      x: real([3, 2], X),
      w: real([2, 3], W),
      b: real([3], [0.1, 0.2, 0.3]),
    })
    const forward = await runOnce(classifier(nodes, ['loss']), { x: real([3, 2], X) })
    expect(results[LOSS]!.values[0]).to.be.closeTo(forward['loss']!.values[0]!, 1e-14)
  })
})

describe('a model with more constants than an ONNX file holds', () => {
  const huge = (): Graph => {
    const graph = graphOf({
      inputs: [input('x', ['N', 3])],
      initializers: { w: tensor('float32', [3, 2], W), table: tensor('float32', [], [0]) },
      nodes: [
        node('MatMul', ['x', 'w'], 'h'),
        node('ReduceSum', ['table'], 's', { keepdims: 0 }),
        node('Add', ['h', 's'], 'z'),
      ],
      outputs: ['z'],
    })
    const read = (): Uint8Array => {
      throw new Error('nothing of this size is read')
    }
    const table = { ...graph.initializers.get('table')!, shape: [2 ** 29], read }
    return { ...graph, initializers: new Map([...graph.initializers, ['table', table]]) }
  }

  it('has a gradient in a small file where they are parameters, and is refused where they stay', () => {
    const loss = parseLoss('mse')
    expect(encodeModel(standaloneGradient(huge(), { loss }).graph).length).to.be.below(10_000)
    const some = standaloneGradient(huge(), { loss, parameters: ['w'] })
    expect(() => encodeModel(some.graph)).to.throw(
      UnsupportedModelError,
      /the constants of the graph take 21474\d+ bytes, more than one ONNX file holds/,
    )
  })
})
