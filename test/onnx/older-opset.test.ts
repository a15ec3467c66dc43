import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { deviceGraph } from '../../src/autodiff/device-graph.js'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { opsetOf } from '../../src/onnx/graph.js'
import { inOlderOpset } from '../../src/onnx/older-opset.js'
import { withSubgraphs } from '../../src/onnx/subgraph.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'

const { operators } = JSON.parse(readFileSync('fixtures/onnx/operators.json', 'utf8')) as {
  readonly operators: Readonly<Record<string, { readonly versions: readonly number[] }>>
}

/** The opset that a graph of one node, declared in opset 26, is in afterwards. */
function opsetWith(one: ReturnType<typeof node>): number {
  return opsetOf(inOlderOpset(graphOf({ opset: 26, inputs: [], nodes: [one], outputs: ['y'] })))
}

describe('a graph for providers that know operators of opset 21', () => {
  it('keeps its opset for just those operators that came later', () => {
    for (const [op, { versions }] of Object.entries(operators)) {
      const later = Math.min(...versions) > 21
      expect(opsetWith(node(op, ['x'], ['y'])), op).to.equal(later ? 26 : 21)
    }
  })

  it('keeps it for attributes that came later, and for what stands in a body', () => {
    expect(opsetWith(node('Cast', ['x'], ['y'], { to: 1, round_mode: 'up' }))).to.equal(26)
    const body = graphOf({ opset: 26, inputs: [], nodes: [node('Swish', ['x'], ['z'])], outputs: ['z'] })
    const branches = new Map([
      ['then_branch', body],
      ['else_branch', body],
    ])
    expect(opsetWith(withSubgraphs(node('If', ['c'], ['y']), branches))).to.equal(26)
    expect(opsetOf(inOlderOpset(graphOf({ opset: 20, inputs: [], nodes: [], outputs: [] })))).to.equal(20)
  })

  it('is what gradients for WebGPU are', () => {
    const model = graphOf({
      opset: 22,
      inputs: [input('x', ['batch', 1, 6, 6])],
      initializers: {
        w: tensor(
          'float32',
          [2, 1, 3, 3],
          Array.from({ length: 18 }, (_, i) => Math.sin(i)),
        ),
      },
      nodes: [
        node('Conv', ['x', 'w'], 'c'),
        node('HardSigmoid', ['c'], 'h'),
        node('MaxPool', ['h'], 'p', { kernel_shape: [3, 3], strides: [1, 1] }),
        node('Flatten', ['p'], 'y'),
      ],
      outputs: ['y'],
    })
    const gradient = differentiate(model, {
      parameters: ['w'],
      loss: { kind: 'mse' },
      forms: 'webgpu',
    })
    const shapes = new Map(
      gradient.graph.inputs.map(({ name, shape }) => [
        name,
        shape!.map((dim) => (typeof dim === 'string' ? 2 : dim)),
      ]),
    )
    expect(opsetOf(gradient.graph)).to.equal(22)
    expect(opsetOf(deviceGraph(gradient.graph, shapes))).to.equal(21)
  })
})
