import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { Graph } from '../../src/onnx/graph.js'
import { decodeModel, readModel } from '../../src/onnx/read.js'
import { graphText } from '../../src/onnx/text.js'
import { encodeModel } from '../../src/onnx/write.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { runOnce } from '../support/ort.js'

function bytesOf(graph: Graph): [string, number[]][] {
  return [...graph.initializers].map(([name, { read }]) => [name, [...read()]])
}

function roundTrip(graph: Graph): Graph {
  return decodeModel(encodeModel(graph), 'written.onnx')
}

describe('a written model', () => {
  it('reads back as the same graph with the same constants', async () => {
    for (const path of [
      'fixtures/onnx/dtypes.onnx',
      'fixtures/onnx/external.onnx',
      'fixtures/mnist-lenet/model.onnx',
    ]) {
      const graph = await readModel(path)
      const again = roundTrip(graph)
      expect(graphText(again), path).to.equal(graphText(graph))
      expect(bytesOf(again), path).to.deep.equal(bytesOf(graph))
      expect(again.irVersion).to.equal(graph.irVersion)
    }
  })

  it('holds weights that lay beside the one that was read', async () => {
    const graph = await readModel('fixtures/onnx/external.onnx')
    const x = { dtype: 'float32', shape: [1, 3], values: [1, 10, 100] } as const
    const { y } = await runOnce(roundTrip(graph), { x })
    const expected = [2.040919 + 4.180988 - 45.26493 + 0.25, -2.555665 - 5.677696 - 21.55972 - 1.5]
    y!.values.forEach((value, i) => expect(value).to.be.closeTo(expected[i]!, 1e-4))
  })

  it('keeps attributes of every kind, node names, domains and operator sets', () => {
    const attributes = { whole: 3, several: [1, -2], real: { float: 0.5 }, text: 'SAME_UPPER' }
    const graph = graphOf({
      inputs: [input('x', ['N', 2])],
      nodes: [
        { ...node('Wobble', ['x'], ['y', ''], attributes), name: 'first', domain: 'com.example' },
        node('Clip', ['y', '', 'high'], 'z'),
      ],
      initializers: { high: tensor('float32', [], [1]) },
      outputs: ['z'],
      opsets: new Map([
        ['', 18],
        ['com.example', 2],
      ]),
    })
    const again = roundTrip(graph)
    expect(graphText(again)).to.equal(graphText(graph))
    expect(again.nodes.map(({ name, inputs, outputs }) => [name, inputs, outputs])).to.deep.equal([
      ['first', ['x'], ['y', '']],
      ['', ['y', '', 'high'], ['z']],
    ])
  })

  it('of a gradient reads back as the same graph', async () => {
    const model = await readModel('fixtures/mnist-lenet/model.onnx')
    const parameters = [...model.initializers]
      .filter(([, { dtype }]) => dtype === 'float32')
      .map(([name]) => name)
    const { graph } = differentiate(model, { parameters, loss: { kind: 'cross-entropy' } })
    expect(graphText(roundTrip(graph))).to.equal(graphText(graph))
  })
})

describe('a graph as text', () => {
  it('has one line for each input, constant, node and output', () => {
    const graph = graphOf({
      inputs: [input('x', ['N', 2]), { name: 'u', dtype: undefined, shape: undefined }],
      nodes: [
        node('Concat', ['x', 'c'], 'y', { axis: 0 }),
        { ...node('Wobble', ['y', 'u'], ['z', 'v']), domain: 'ex' },
      ],
      initializers: { c: tensor('float32', [1, 2], [1, 2]) },
      outputs: ['z'],
    })
    expect(graphText(graph)).to.equal(
      [
        'opset ai.onnx 18',
        'input x: float32[N, 2]',
        'input u: ?[...]',
        'constant c: float32[1, 2]',
        'y = Concat<axis=0>(x, c)',
        'z, v = ex.Wobble(y, u)',
        'output z: ?[...]',
        '',
      ].join('\n'),
    )
  })
})
