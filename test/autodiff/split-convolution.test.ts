import { expect } from 'chai'
import { deviceGraph } from '../../src/autodiff/device-graph.js'
import type { AttributeValue } from '../../src/onnx/attributes.js'
import { elementCount } from '../../src/tensor.js'
import { graphOf, input, node } from '../support/graphs.js'
import { runOnce } from '../support/ort.js'
import { Random } from '../support/random.js'

interface Convolution {
  readonly title: string
  readonly x: readonly number[]
  readonly w: readonly number[]
  readonly attributes: Readonly<Record<string, AttributeValue>>
  readonly biased?: boolean
}

/** All of few results and more than a thousand products each. */
const CONVOLUTIONS: readonly Convolution[] = [
  { title: 'plain', x: [3, 8, 18, 18], w: [4, 8, 15, 14], attributes: {} },
  { title: 'with a bias', x: [2, 8, 18, 18], w: [4, 8, 15, 14], attributes: {}, biased: true },
  { title: 'padded unevenly', x: [2, 6, 16, 14], w: [4, 6, 15, 14], attributes: { pads: [1, 2, 0, 3] } },
  { title: 'with strides', x: [2, 8, 21, 20], w: [4, 8, 12, 12], attributes: { strides: [3, 2] } },
  { title: 'dilated', x: [1, 8, 30, 41], w: [4, 8, 12, 12], attributes: { dilations: [2, 3] } },
  {
    title: 'in groups, with strides, padding and dilation',
    x: [2, 12, 30, 29],
    w: [6, 4, 16, 17],
    attributes: { group: 3, strides: [2, 3], dilations: [2, 1], pads: [3, 0, 2, 1] },
    biased: true,
  },
  { title: 'padded by rule', x: [2, 8, 9, 10], w: [3, 8, 12, 12], attributes: { auto_pad: 'SAME_UPPER' } },
  { title: 'of one axis', x: [2, 10, 130], w: [4, 10, 120], attributes: { pads: [2, 5], strides: [4] } },
  { title: 'with more views than one Concat joins', x: [1, 4, 30, 40], w: [2, 4, 20, 20], attributes: {} },
]

describe('a convolution of few results and long sums for WebGPU', () => {
  for (const { title, x, w, attributes, biased } of CONVOLUTIONS)
    it(`is a sum of matrix products: ${title}`, async () => {
      const shapes = new Map<string, readonly number[]>([
        ['x', x],
        ['w', w],
        ...(biased === true ? ([['b', [w[0]!]]] as const) : []),
      ])
      const graph = graphOf({
        inputs: [...shapes].map(([name, shape]) => input(name, shape)),
        nodes: [node('Conv', [...shapes.keys()], 'y', attributes)],
        outputs: ['y'],
      })
      const split = deviceGraph(graph, shapes)
      expect(split.nodes.map(({ op }) => op))
        .to.include('MatMul')
        .and.not.include('Conv')
      const random = new Random(title)
      const feeds = Object.fromEntries(
        [...shapes].map(([name, shape]) => [
          name,
          { dtype: 'float32' as const, shape, values: random.uniform(elementCount(shape), -1, 1) },
        ]),
      )
      const [expected, actual] = [(await runOnce(graph, feeds)).y!, (await runOnce(split, feeds)).y!]
      expect(actual.shape).to.deep.equal(expected.shape)
      const scale = Math.max(...expected.values.map(Math.abs))
      expected.values.forEach((value, i) => {
        expect(actual.values[i]).to.be.closeTo(value, 1e-5 * scale)
      })
    })

  it('stays where its sums are short or its results many', () => {
    const shapesOf = (x: number[], w: number[]) =>
      new Map([
        ['x', x],
        ['w', w],
      ])
    for (const shapes of [
      shapesOf([2, 8, 9, 9], [4, 8, 3, 3]),
      shapesOf([32, 256, 14, 14], [64, 256, 3, 3]),
    ]) {
      const inputs = [...shapes].map(([name, shape]) => input(name, shape))
      const graph = graphOf({ inputs, nodes: [node('Conv', ['x', 'w'], 'y')], outputs: ['y'] })
      expect(deviceGraph(graph, shapes).nodes.map(({ op }) => op)).to.deep.equal(['Conv'])
    }
  })
})
