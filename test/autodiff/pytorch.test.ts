import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { differentiate, DENOMINATORS, NUMERATORS } from '../../src/autodiff/differentiate.js'
import { parseLoss } from '../../src/autodiff/losses.js'
import type { LossChoices } from '../../src/autodiff/losses.js'
import type { Forms } from '../../src/autodiff/rule.js'
import { LOSS, LOSSES, standaloneGradient } from '../../src/autodiff/standalone.js'
import type { AttributeValue } from '../../src/onnx/attributes.js'
import type { Graph } from '../../src/onnx/graph.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { runOnce } from '../support/ort.js'
import type { Feed, Feeds } from '../support/ort.js'

interface Values {
  readonly shape: readonly number[]
  readonly values: readonly number[]
  readonly parameter: boolean
}

interface OperatorFixture {
  readonly title: string
  readonly op: string
  readonly dtype: 'float32' | 'float64'
  readonly attributes: Readonly<Record<string, AttributeValue>>
  readonly inputs: readonly Values[]
  readonly output: Values
  readonly cotangent: Values
  readonly gradients: readonly (readonly number[])[]
}

interface LossFixture {
  readonly title: string
  readonly loss: string
  readonly options: LossChoices
  /** Operators at the network's end, each with its attributes; the loss is of the value before them. */
  readonly end: readonly (readonly [string, Readonly<Record<string, AttributeValue>>])[]
  readonly prediction: Values
  readonly target: Values
  readonly weights: readonly number[]
  readonly value: number
  /** The loss of each sample by itself, 0 where nothing counts. */
  readonly single: readonly number[]
  readonly gradient: readonly number[]
}

interface Fixtures {
  readonly torch: string
  readonly operators: readonly OperatorFixture[]
  readonly losses: readonly LossFixture[]
}

const fixtures = JSON.parse(readFileSync('fixtures/autodiff/operators.json', 'utf8')) as Fixtures

/** Largest difference, relative to the largest entry. */
const TOLERANCE = { float64: 1e-13, float32: 2e-6 } as const

function expectClose(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(actual).to.have.length(expected.length)
  const scale = Math.max(1, ...expected.map(Math.abs))
  const worst = Math.max(...expected.map((value, i) => Math.abs(value - actual[i]!)))
  expect(worst / scale, `[${actual.join()}] against [${expected.join()}]`).to.be.at.most(tolerance)
}

async function runOperator(test: OperatorFixture): Promise<Record<string, Feed>> {
  const { dtype } = test
  const names = test.inputs.map((_, i) => `x${i}`)
  const { axes, ...attributes } = test.attributes
  const integers = Array.isArray(axes) ? (axes as readonly number[]) : []
  const graph = graphOf({
    inputs: [input('sample', [1], dtype)],
    initializers: {
      ...Object.fromEntries(
        test.inputs.map(({ shape, values }, i) => [names[i]!, tensor(dtype, shape, values)]),
      ),
      cotangent: tensor(dtype, test.cotangent.shape, test.cotangent.values),
      axes: tensor('int64', [integers.length], integers),
      row: tensor('int64', [2], [1, -1]),
    },
    nodes: [
      node(test.op, integers.length > 0 ? [...names, 'axes'] : names, 'y', attributes),
      node('Mul', ['y', 'cotangent'], 'weighted'),
      node('Reshape', ['weighted', 'row'], 'loss'),
    ],
    outputs: ['y', 'loss'],
  })
  const parameters = names.filter((_, i) => test.inputs[i]!.parameter)
  const gradient = differentiate(graph, { parameters, loss: parseLoss('output:loss') })
  const feeds = Object.fromEntries(
    test.inputs.map(({ shape, values }, i): [string, Feed] => [names[i]!, { dtype, shape, values }]),
  )
  const one: Feed = { dtype, shape: [1], values: [1] }
  const forward = await runOnce(graph, { sample: one })
  const backward = await runOnce(gradient.graph, { ...feeds, sample_weight: one })
  return { ...forward, ...backward }
}

describe(`gradients are those of PyTorch ${fixtures.torch} where a derivative is a convention, and elsewhere`, () => {
  for (const test of fixtures.operators)
    it(`${test.op} ${test.title}`, async () => {
      const results = await runOperator(test)
      expectClose(results['y']!.values, test.output.values, TOLERANCE[test.dtype])
      test.gradients.forEach((expected, i) => {
        expectClose(results[`gradient/x${i}`]!.values, expected, TOLERANCE[test.dtype])
      })
    })
})

/** How a network declares its prediction, and what its graph is built for. */
interface LossForm {
  readonly forms: Forms
  /** Whether all axes but the classes are open, or the batch alone. */
  readonly open: 'batch' | 'all axes'
}

/** A network whose prediction is its parameter, one row for each sample, before the operators of its end. */
function lossNetwork(
  { prediction: { shape, values }, end, options }: LossFixture,
  { open }: LossForm,
): Graph {
  const rank = shape.length
  const classes = (options.classAxis ?? (rank === 3 ? 2 : 1)) + (options.classAxis === -1 ? rank : 0)
  const symbolic = shape.map((size, axis) =>
    axis === 0 ? 'batch' : open === 'batch' || axis === classes ? size : `d${axis}`,
  )
  const ends = end.map(([op, attributes], i) => node(op, [i === 0 ? 'z' : `e${i - 1}`], `e${i}`, attributes))
  return graphOf({
    inputs: [input('x', symbolic, 'float64')],
    initializers: { w: tensor('float64', shape, values) },
    nodes: [node('Shape', ['x'], 'shape'), node('Reshape', ['w', 'shape'], 'z'), ...ends],
    outputs: [ends.length === 0 ? 'z' : `e${ends.length - 1}`],
  })
}

function lossFeeds(test: LossFixture, dtype: Feed['dtype']): Feeds {
  const { shape, values } = test.prediction
  return {
    x: { dtype: 'float64', shape, values: values.map(() => 0) },
    w: { dtype: 'float64', shape, values },
    target: { dtype, shape: test.target.shape, values: test.target.values },
    sample_weight: { dtype: 'float64', shape: [shape[0]!], values: test.weights },
  }
}

const LOSS_FORMS: readonly LossForm[] = [
  { forms: 'cpu', open: 'batch' },
  { forms: 'cpu', open: 'all axes' },
  { forms: 'webgpu', open: 'batch' },
  { forms: 'webgpu', open: 'all axes' },
]

function sum({ values }: Feed): number {
  return values.reduce((total, value) => total + value, 0)
}

describe(`losses and their gradients are those of PyTorch ${fixtures.torch} with reduction 'mean'`, () => {
  for (const test of fixtures.losses)
    for (const form of LOSS_FORMS) {
      const loss = parseLoss(test.loss, test.options)
      const where = `${form.forms}, open ${form.open}`

      it(`${test.loss} ${test.title}: sums (${where})`, async () => {
        const { forms } = form
        const gradient = differentiate(lossNetwork(test, form), { parameters: ['w'], loss, forms })
        const results = await runOnce(gradient.graph, lossFeeds(test, gradient.target!.input.dtype!))
        const denominator = sum(results[DENOMINATORS]!)
        expect(results[NUMERATORS]!.shape).to.deep.equal([test.weights.length])
        expect(results[DENOMINATORS]!.shape).to.deep.equal([test.weights.length])
        test.weights.forEach((weight, i) => {
          if (weight === 0) expect(Math.abs(results[NUMERATORS]!.values[i]!)).to.equal(0)
        })
        expectClose([sum(results[NUMERATORS]!) / denominator], [test.value], 1e-13)
        const scaled = results['gradient/w']!.values.map((value) => value / denominator)
        expectClose(scaled, test.gradient, 1e-13)
      })

      if (test.weights.includes(0)) continue
      it(`${test.loss} ${test.title}: the mean (${where})`, async () => {
        const { forms } = form
        const gradient = standaloneGradient(lossNetwork(test, form), { loss, forms })
        const results = await runOnce(gradient.graph, lossFeeds(test, gradient.target!.input.dtype!))
        expect(results[LOSS]!.shape).to.deep.equal([])
        expectClose(results[LOSS]!.values, [test.value], 1e-13)
        expectClose(results[LOSSES]!.values, test.single, 1e-13)
        expectClose(results['gradient/w']!.values, test.gradient, 1e-13)
      })
    }
})
