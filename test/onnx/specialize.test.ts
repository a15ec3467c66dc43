import { expect } from 'chai'
import { deviceGraph } from '../../src/autodiff/device-graph.js'
import { UnsupportedModelError } from '../../src/errors.js'
import { narrowIntegers } from '../../src/onnx/narrow-integers.js'
import { sizesOf, specialize } from '../../src/onnx/specialize.js'
import { withSubgraphs } from '../../src/onnx/subgraph.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { runOnce } from '../support/ort.js'

/** y = x laid out as [batch, 6], by a shape that is computed in the graph. */
const reshaping = graphOf({
  inputs: [input('x', ['batch', 2, 3], 'float32')],
  initializers: {
    first: tensor('int64', [1], [0]),
    rest: tensor('int64', [1], [6]),
    unused: tensor('int64', [1], [7]),
  },
  nodes: [
    node('Shape', ['x'], ['shape']),
    node('Gather', ['shape', 'first'], ['size']),
    node('Concat', ['size', 'rest'], ['target'], { axis: 0 }),
    node('Reshape', ['x', 'target'], ['y']),
  ],
  outputs: ['y'],
})

/** Rows of a table by tokens. */
const embedding = graphOf({
  inputs: [input('tokens', ['batch', 'length'], 'int64')],
  initializers: {
    table: tensor('float32', [4, 2], [0, 1, 2, 3, 4, 5, 6, 7]),
    axes: tensor('int64', [1], [2]),
  },
  nodes: [
    node('Unsqueeze', ['tokens', 'axes'], ['column']),
    node('Gather', ['table', 'tokens'], ['rows']),
    node('Cast', ['column'], ['numbers'], { to: 1 }),
    node('Mul', ['rows', 'numbers'], ['y']),
  ],
  outputs: ['y'],
})

describe('a graph for one set of sizes', () => {
  it('does the arithmetic of shapes beforehand, and drops what nothing reads then', () => {
    const sized = specialize(reshaping, new Map([['batch', 5]]))
    expect(sized.nodes.map(({ op }) => op)).to.deep.equal(['Reshape'])
    expect(sized.inputs[0]!.shape).to.deep.equal([5, 2, 3])
    expect(sized.outputs[0]!.shape).to.deep.equal([5, 6])
    expect(sized.initializers.size).to.equal(1)
  })

  it('takes sizes from what is fed, and says which input contradicts', () => {
    const inputs = [input('x', ['batch', 3], 'float32'), input('y', ['batch'], 'int64')]
    const shapes = (y: number): Map<string, number[]> =>
      new Map([
        ['x', [2, 3]],
        ['y', [y]],
      ])
    expect([...sizesOf(inputs, shapes(2))]).to.deep.equal([['batch', 2]])
    expect(() => sizesOf(inputs, shapes(4))).to.throw(
      UnsupportedModelError,
      /^the input 'y' is batch and is fed 4 \(batch = 2\)$/,
    )
  })

  it('has tokens in 32 bits from the input to the lookup', async () => {
    const narrow = narrowIntegers(
      specialize(
        embedding,
        new Map([
          ['batch', 1],
          ['length', 3],
        ]),
      ),
    )
    expect(narrow.inputs[0]!.dtype).to.equal('int32')
    const casts = narrow.nodes
      .filter(({ op }) => op === 'Cast')
      .map(({ attributes }) => attributes.get('to')!.i)
    expect(casts).to.deep.equal([1n])
    const { y } = await runOnce(narrow, { tokens: { dtype: 'int32', shape: [1, 3], values: [3, 1, 2] } })
    expect(y!.values).to.deep.equal([18, 21, 2, 3, 8, 10])
  })

  it('has no loops: a Scan forwards and one backwards are written out', async () => {
    const body = graphOf({
      inputs: [input('sum', [2], 'float32'), input('row', [2], 'float32')],
      nodes: [node('Add', ['sum', 'row'], ['next']), node('Identity', ['next'], ['out'])],
      outputs: ['next', 'out'],
    })
    for (const direction of [0, 1]) {
      const scan = graphOf({
        inputs: [input('x', ['steps', 2], 'float32')],
        initializers: { zero: tensor('float32', [2], [0, 0]) },
        nodes: [scanNode(body, direction)],
        outputs: ['last', 'all'],
      })
      const unrolled = deviceGraph(scan, new Map([['x', [3, 2]]]))
      expect(unrolled.nodes.map(({ op }) => op)).not.to.include('Scan')
      const { last, all } = await runOnce(unrolled, {
        x: { dtype: 'float32', shape: [3, 2], values: [1, 2, 10, 20, 100, 200] },
      })
      expect(last!.values).to.deep.equal([111, 222])
      expect(all!.values).to.deep.equal(
        direction === 0 ? [1, 2, 11, 22, 111, 222] : [100, 200, 110, 220, 111, 222],
      )
    }
  })
})

function scanNode(body: ReturnType<typeof graphOf>, direction: number) {
  const plain = node('Scan', ['zero', 'x'], ['last', 'all'], {
    num_scan_inputs: 1,
    scan_input_directions: [direction],
  })
  return withSubgraphs(plain, new Map([['body', body]]))
}
