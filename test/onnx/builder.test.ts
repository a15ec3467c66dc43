import { expect } from 'chai'
import { UnsupportedModelError } from '../../src/errors.js'
import { GraphBuilder } from '../../src/onnx/builder.js'
import type { Graph } from '../../src/onnx/graph.js'
import { graphText } from '../../src/onnx/text.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'

const model = graphOf({
  inputs: [input('x', ['N', 4]), input('unused', ['N'])],
  initializers: {
    w: tensor('float32', [4, 2], [1, 2, 3, 4, 5, 6, 7, 8]),
    spare: tensor('float32', [1], [0]),
  },
  nodes: [node('MatMul', ['x', 'w'], 'h'), node('Exp', ['h'], 'e')],
  outputs: ['e'],
})

function finish(
  builder: GraphBuilder,
  outputs: Readonly<Record<string, string>>,
  from: Graph = model,
): Graph {
  return builder.finish(from.inputs, new Map(Object.entries(outputs)))
}

describe('building on a graph', () => {
  it('adds equal nodes and equal constants once', () => {
    const builder = new GraphBuilder(model)
    expect(builder.add('Neg', ['h'])).to.equal(builder.add('Neg', ['h']))
    expect(builder.add('Neg', ['h'])).to.not.equal(builder.add('Neg', ['e']))
    const order = (perm: number[]): string => builder.add('Transpose', ['h'], { perm })
    expect(order([0, 1])).to.not.equal(order([1, 0]))
    expect(builder.integers([1, 2])).to.equal(builder.integers([1, 2]))
    expect(builder.scalar(1, 'float32')).to.not.equal(builder.scalar(1, 'float64'))
  })

  it('knows type and shape of what it adds', () => {
    const builder = new GraphBuilder(model)
    expect(builder.info('h')).to.deep.equal({ dtype: 'float32', shape: ['N', 2] })
    expect(builder.info(builder.cast('h', 'float64'))).to.deep.equal({ dtype: 'float64', shape: ['N', 2] })
    expect(builder.info(builder.transpose('h', [1, 0])).shape).to.deep.equal([2, 'N'])
  })

  it('adds nothing for what changes nothing', () => {
    const builder = new GraphBuilder(model)
    const same = [
      builder.cast('h', 'float32'),
      builder.transpose('h', [0, 1]),
      builder.scale('h', 1),
      builder.sum('h', [], false),
      builder.reshapeLike('h', 'e'),
      builder.expandLike('h', 'e'),
    ]
    expect(new Set(same)).to.deep.equal(new Set(['h']))
    expect(builder.reshape('w', [4, 2])).to.equal('w')
  })

  it('takes static shapes for constants, and computes the others', () => {
    const builder = new GraphBuilder(model)
    expect(builder.constantsOf(builder.shape('w'))).to.deep.equal([4, 2])
    expect(builder.constantsOf(builder.sizes('x', [1]))).to.deep.equal([4])
    expect(builder.constantsOf(builder.shape('x'))).to.equal(undefined)
  })

  it('leaves out nodes, constants and inputs that no output needs', () => {
    const builder = new GraphBuilder(model)
    const kept = builder.add('Neg', ['h'])
    builder.add('Sin', ['e'])
    const graph = finish(builder, { out: kept })
    expect(graphText(graph)).to.equal(
      [
        'opset ai.onnx 18',
        'input x: float32[N, 4]',
        'constant w: float32[4, 2]',
        'h = MatMul(x, w)',
        'out = Neg(h)',
        'output out: float32[N, 2]',
        '',
      ].join('\n'),
    )
  })

  it('copies a value that is an output twice, or the model’s own', () => {
    const builder = new GraphBuilder(model)
    const negative = builder.add('Neg', ['h'])
    const { nodes } = finish(builder, { first: negative, second: negative, third: 'h' })
    expect(nodes.map(({ op, inputs, outputs }) => [op, ...inputs, ...outputs])).to.deep.equal([
      ['MatMul', 'x', 'w', 'h'],
      ['Neg', 'h', 'first'],
      ['Identity', 'first', 'second'],
      ['Identity', 'h', 'third'],
    ])
  })

  it('names what it adds apart from the model’s own values', () => {
    const taken = graphOf({
      inputs: [input('x', ['N'])],
      nodes: [node('Exp', ['x'], 'retrograd/Neg_1')],
      outputs: ['retrograd/Neg_1'],
    })
    expect(new GraphBuilder(taken).add('Neg', ['x'])).to.equal('retrograd/Neg_2')
  })

  it('gives a node a further output where a rule needs it, once', () => {
    const pooled = graphOf({
      inputs: [input('x', ['N', 1, 4])],
      nodes: [node('MaxPool', ['x'], 'p', { kernel_shape: [2], strides: [2] })],
      outputs: ['p'],
    })
    const builder = new GraphBuilder(pooled)
    const indices = builder.requireOutput(pooled.nodes[0]!, 1)
    expect(builder.requireOutput(pooled.nodes[0]!, 1)).to.equal(indices)
    expect(builder.info(indices)).to.deep.equal({ dtype: 'int64', shape: ['N', 1, 2] })
    expect(finish(builder, { indices }, pooled).nodes[0]!.outputs).to.deep.equal(['p', 'indices'])
  })

  it('notes what is known of a value from another that it is like', () => {
    const builder = new GraphBuilder(model)
    const unknown = builder.add('Pad', ['h', builder.integers([0, 0, 0, 0])])
    builder.declareLike(unknown, 'h')
    expect(builder.info(unknown)).to.deep.equal({ dtype: 'float32', shape: ['N', 2] })
  })
})

describe('names of the builder that a model has already', () => {
  const withConstant = (value: number): GraphBuilder =>
    new GraphBuilder({
      ...model,
      initializers: new Map([['retrograd/float32[](1)', tensor('float32', [], [value])]]),
    })

  it('a constant is taken where it is what its name says, and refused where it is not', () => {
    expect(withConstant(1).scalar(1, 'float32')).to.equal('retrograd/float32[](1)')
    expect(() => withConstant(2).scalar(1, 'float32')).to.throw(UnsupportedModelError, 'reserved name')
  })

  it('however many nodes have them', () => {
    const nodes = Array.from({ length: 30_000 }, (_, i) => node('Neg', ['x'], `retrograd/Neg_${i + 1}`))
    const builder = new GraphBuilder({ ...model, nodes })
    expect(builder.add('Neg', ['w'])).to.equal('retrograd/Neg_30001')
  })
})
