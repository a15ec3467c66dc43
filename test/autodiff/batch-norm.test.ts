import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { DifferentiateOptions, GradientGraph } from '../../src/autodiff/differentiate.js'
import { intAttribute } from '../../src/onnx/attributes.js'
import type { AttributeValue } from '../../src/onnx/attributes.js'
import type { Graph, Initializer } from '../../src/onnx/graph.js'
import { usageOf } from '../../src/onnx/usage.js'
import { gradientFeeds } from '../support/check-gradient.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { runOnce } from '../support/ort.js'
import type { Feeds } from '../support/ort.js'
import { Random } from '../support/random.js'

type Mode = NonNullable<DifferentiateOptions['batchNorm']>

/** A form in which batch normalization is exported: in training it has further outputs. */
interface Form {
  readonly title: string
  readonly opset: number
  readonly outputs: number
  readonly attributes: Readonly<Record<string, AttributeValue>>
}

const FORMS: readonly Form[] = [
  { title: 'for inference in opset 11', opset: 11, outputs: 1, attributes: {} },
  { title: 'for inference in opset 18', opset: 18, outputs: 1, attributes: {} },
  { title: 'for training in opset 11', opset: 11, outputs: 5, attributes: {} },
  { title: 'for training in opset 14', opset: 14, outputs: 3, attributes: { training_mode: 1 } },
  { title: 'for training in opset 18', opset: 18, outputs: 3, attributes: { training_mode: 1 } },
]

const NATIVE: Readonly<Record<Mode, Form>> = { running: FORMS[1]!, batch: FORMS[4]! }

const random = new Random('batch normalization')
const vector = (low: number, high: number) => ({
  dtype: 'float64' as const,
  shape: [3],
  values: random.uniform(3, low, high),
})
const parameters: Feeds = {
  gain: { dtype: 'float64', shape: [3, 1, 1], values: random.uniform(3, 0.5, 2) },
  scale: vector(-2, 2),
  shift: vector(-2, 2),
  mean: vector(-1, 1),
  variance: vector(0.5, 3),
}
const names = Object.keys(parameters)
const data: Feeds = {
  x: { dtype: 'float64', shape: [4, 3, 2, 2], values: random.uniform(48, -2, 2) },
}

/** x gain, normalized, squared, times x, so that nothing cancels. */
function network({ opset, outputs, attributes }: Form): Graph {
  const others = ['running_mean', 'running_variance', 'saved_mean', 'saved_variance']
  const initializers = Object.entries(parameters).map(
    ([name, { dtype, shape, values }]): [string, Initializer] => [name, tensor(dtype, shape, values)],
  )
  return graphOf({
    opset,
    inputs: [input('x', ['N', 3, 'H', 'W'], 'float64')],
    initializers: Object.fromEntries(initializers),
    nodes: [
      node('Mul', ['x', 'gain'], 'h'),
      node(
        'BatchNormalization',
        ['h', 'scale', 'shift', 'mean', 'variance'],
        ['y', ...others.slice(0, outputs - 1)],
        attributes,
      ),
      node('Mul', ['y', 'y'], 'square'),
      node('Mul', ['square', 'x'], 'loss'),
    ],
    outputs: ['loss'],
  })
}

function gradientOf(form: Form, batchNorm: Mode): GradientGraph {
  return differentiate(network(form), {
    parameters: names,
    loss: { kind: 'output', name: 'loss' },
    batchNorm,
  })
}

async function resultsOf(form: Form, mode: Mode): Promise<Record<string, readonly number[]>> {
  const gradient = gradientOf(form, mode)
  const check = { graph: network(form), parameters, data, loss: 'loss' }
  const results = await runOnce(gradient.graph, gradientFeeds(gradient, check))
  return Object.fromEntries(Object.entries(results).map(([name, { values }]) => [name, values]))
}

describe('batch normalization', () => {
  for (const mode of ['running', 'batch'] as const)
    for (const form of FORMS)
      describe(`with ${mode} statistics, exported ${form.title}`, () => {
        it('gives the loss that ONNX Runtime computes in that mode', async () => {
          const forward = await runOnce(network(NATIVE[mode]), { ...data, ...parameters })
          const expected = sum(forward['loss']!.values)
          const found = sum((await resultsOf(form, mode))['loss/numerators']!)
          expect(found).to.be.closeTo(expected, 1e-10 * Math.abs(expected))
        })

        it('gives the gradient of the form that differences confirm', async () => {
          const [found, expected] = [await resultsOf(form, mode), await resultsOf(NATIVE[mode], mode)]
          expect(Object.keys(found)).to.have.members(Object.keys(expected))
          for (const [name, values] of Object.entries(expected))
            values.forEach((value, i) => expect(found[name]![i], name).to.be.closeTo(value, 1e-12))
        })

        it('leaves no node in training mode', () => {
          const nodes = gradientOf(form, mode).graph.nodes.filter(({ op }) => op === 'BatchNormalization')
          expect(nodes).to.have.length.greaterThan(0)
          for (const one of nodes) {
            expect(intAttribute(one, 'training_mode', 0)).to.equal(0)
            expect(one.outputs).to.have.length(1)
          }
        })

        it('differentiates by the recorded statistics where they count', () => {
          const found = [...gradientOf(form, mode).gradients.keys()]
          const trained = ['gain', 'scale', 'shift']
          expect(found).to.have.members(mode === 'running' ? names : trained)
        })

        it('tells of the mode where the file has another', () => {
          const told = mode === 'running' && form.outputs > 1
          expect(gradientOf(form, mode).notes.some((text) => text.includes('training mode'))).to.equal(told)
        })
      })

  for (const form of FORMS)
    it(`has norms and buffers, exported ${form.title}`, () => {
      const role = (name: string): string => usageOf(network(form), name, 1).role
      expect(['scale', 'shift'].map(role)).to.deep.equal(['norm', 'norm'])
      expect(['mean', 'variance'].map(role)).to.deep.equal(['buffer', 'buffer'])
    })
})

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
