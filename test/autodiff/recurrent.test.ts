import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { lower } from '../../src/autodiff/lower.js'
import { UnsupportedOperatorError } from '../../src/errors.js'
import type { AttributeValue } from '../../src/onnx/attributes.js'
import type { Graph, Initializer, Node } from '../../src/onnx/graph.js'
import { liftOpset } from '../../src/onnx/lift.js'
import { decodeModel } from '../../src/onnx/read.js'
import { encodeModel } from '../../src/onnx/write.js'
import { elementCount } from '../../src/tensor.js'
import { KINKED_LAYER_CASES, LAYER_CASES } from '../support/cases/layers.js'
import { checkGradient } from '../support/check-gradient.js'
import type { GradientCheck } from '../support/check-gradient.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { gradientCheckOf } from '../support/operator-case.js'
import { runOnce } from '../support/ort.js'
import type { Feed, Feeds } from '../support/ort.js'
import { Random } from '../support/random.js'

/** The network with its recurrent layers rewritten, as it is differentiated. */
function rewritten(graph: Graph, parameters: readonly string[]): Graph {
  const settings = { batchNorm: 'running', forms: 'cpu' } as const
  return lower(liftOpset(graph), parameters, settings).builder.current()
}

/** The graph with names that a second differentiation won't give again. */
function renamed(graph: Graph): Graph {
  const bytes = Buffer.from(encodeModel(graph)).toString('latin1').replaceAll('retrograd/', 'rewritten/')
  return decodeModel(Buffer.from(bytes, 'latin1'), 'rewritten')
}

function inDouble(check: GradientCheck): GradientCheck {
  const feeds = (given: Feeds): Feeds =>
    Object.fromEntries(
      Object.entries(given).map(([name, feed]) => [
        name,
        feed.dtype === 'float32' ? { ...feed, dtype: 'float64' } : feed,
      ]),
    )
  const initializers = new Map([...check.graph.initializers].map(([name, one]) => [name, doubled(one)]))
  const inputs = check.graph.inputs.map((one) =>
    one.dtype === 'float32' ? { ...one, dtype: 'float64' as const } : one,
  )
  const graph = renamed(rewritten({ ...check.graph, inputs, initializers }, Object.keys(check.parameters)))
  return { ...check, graph, parameters: feeds(check.parameters), data: feeds(check.data), step: 1e-5 }
}

function doubled(one: Initializer): Initializer {
  if (one.dtype !== 'float32') return one
  return tensor('float64', one.shape, Array.from(new Float32Array(new Uint8Array(one.read()).buffer)))
}

describe('recurrent layers, rewritten', () => {
  for (const test of [...LAYER_CASES, ...KINKED_LAYER_CASES]) {
    it(`compute what ONNX Runtime's kernel does: ${test.op} ${test.title}`, async () => {
      const { graph, parameters, data } = await gradientCheckOf(test)
      const lowered = rewritten(graph, Object.keys(parameters))
      expect(lowered.nodes.map(({ op }) => op))
        .to.include('Scan')
        .and.not.include(test.op)
      const expected = (await runOnce(graph, data))['loss']!.values
      const { values } = (await runOnce(lowered, data))['loss']!
      expect(values).to.have.length(expected.length)
      const worst = Math.max(...expected.map((value, i) => Math.abs(value - values[i]!)))
      expect(worst).to.be.below(2e-6)
    })

    it(`have the gradient of their float64 form: ${test.op} ${test.title}`, async () => {
      await checkGradient(inDouble(await gradientCheckOf(test)))
    })
  }
})

const GATES = { LSTM: 4, GRU: 3, RNN: 1 } as const
type Op = keyof typeof GATES

/** A layer in both directions, with states, on x [2, 4, 2]: in layout 1, or in layout 0 between transpositions. */
function layerOf(op: Op, layout: 0 | 1, values: Readonly<Record<string, AttributeValue>> = {}): Graph {
  const random = new Random(op)
  const drawn = (shape: readonly number[]): Initializer =>
    tensor('float32', shape, random.uniform(elementCount(shape), -0.8, 0.8))
  const rows = GATES[op] * 3
  const names = op === 'LSTM' ? ['h0', 'c0'] : ['h0']
  const outputs = op === 'LSTM' ? ['Y', 'Y_h', 'Y_c'] : ['Y', 'Y_h']
  const settings = { hidden_size: 3, direction: 'bidirectional', ...values }
  const turned = (from: string, to: string, perm: readonly number[]): Node =>
    node('Transpose', [from], to, { perm })
  const inner = (name: string): string => (layout === 1 ? name : `${name}/turned`)
  const layer = node(op, [inner('x'), 'W', 'R', 'B', '', ...names.map(inner)], outputs.map(inner), {
    ...settings,
    ...(layout === 1 && { layout }),
  })
  const turns = [
    ...['x', ...names].map((name) => turned(name, inner(name), [1, 0, 2])),
    layer,
    ...outputs.map((name) => turned(inner(name), name, name === 'Y' ? [2, 0, 1, 3] : [1, 0, 2])),
  ]
  return graphOf({
    inputs: [input('x', [2, 4, 2])],
    initializers: {
      W: drawn([2, rows, 2]),
      R: drawn([2, rows, 3]),
      B: drawn([2, 2 * rows]),
      ...Object.fromEntries(names.map((name) => [name, drawn([2, 2, 3])])),
      row: tensor('int64', [2], [2, -1]),
    },
    nodes: [
      ...(layout === 1 ? [layer] : turns),
      ...outputs.flatMap((name) => [
        node('Exp', [name], `${name}/exp`),
        node('Reshape', [`${name}/exp`, 'row'], `${name}/row`),
      ]),
      node(
        'Concat',
        outputs.map((name) => `${name}/row`),
        'loss',
        { axis: 1 },
      ),
    ],
    outputs: ['loss'],
  })
}

describe('recurrent layers with the batch first (layout 1), which ONNX Runtime has no kernels for', () => {
  for (const op of ['LSTM', 'GRU', 'RNN'] as const)
    it(`${op} is what it is between transpositions`, async () => {
      const x = { dtype: 'float32', shape: [2, 4, 2], values: new Random('x').uniform(16, -1, 1) } as const
      const weight = { dtype: 'float32', shape: [2], values: [1, 1] } as const
      const [found, expected] = await Promise.all(
        ([1, 0] as const).map(async (layout) => {
          const graph = layerOf(op, layout)
          const parameters = [...graph.initializers.keys()].filter((name) => name !== 'row')
          const gradient = differentiate(graph, { parameters, loss: { kind: 'output', name: 'loss' } })
          const feeds = Object.fromEntries(
            parameters.map((name): [string, Feed] => {
              const { shape, read } = graph.initializers.get(name)!
              const values = Array.from(new Float32Array(new Uint8Array(read()).buffer))
              return [name, { dtype: 'float32', shape, values }]
            }),
          )
          return runOnce(gradient.graph, { ...feeds, x, sample_weight: weight })
        }),
      )
      expect(Object.keys(found!)).to.deep.equal(Object.keys(expected!))
      for (const [name, { values }] of Object.entries(expected!)) {
        const worst = Math.max(...values.map((value, i) => Math.abs(value - found![name]!.values[i]!)))
        expect(worst, name).to.be.below(2e-5)
      }
    })
})

describe('recurrent layers are refused with the reason', () => {
  const refused = (values: Readonly<Record<string, AttributeValue>>, reason: RegExp): void => {
    const parameters = ['W']
    expect(() =>
      differentiate(layerOf('RNN', 1, values), { parameters, loss: { kind: 'output', name: 'loss' } }),
    ).to.throw(UnsupportedOperatorError, reason)
  }

  it('where their activations are not known, too few, or lack a number', () => {
    refused({ activations: { strings: ['Tanh', 'Swish'] } }, /RNN .*there is no activation 'Swish'/)
    refused({ activations: { strings: ['Tanh'] } }, /names 1 activations instead of 2/)
    refused({ activations: { strings: ['Tanh', 'Affine'] } }, /Affine needs a number in activation_alpha/)
  })

  it('where their direction is not known', () => {
    refused({ direction: 'sideways' }, /there is no direction 'sideways'/)
  })
})
