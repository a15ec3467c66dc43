import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { GradientGraph } from '../../src/autodiff/differentiate.js'
import type { AttributeValue } from '../../src/onnx/attributes.js'
import type { Node } from '../../src/onnx/graph.js'
import { elementCount } from '../../src/tensor.js'
import { checkGradient, gradientsOf } from '../support/check-gradient.js'
import type { GradientCheck } from '../support/check-gradient.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import type { Feeds } from '../support/ort.js'
import { Random } from '../support/random.js'

interface Form {
  readonly title: string
  readonly kernel: readonly number[]
  readonly image: readonly number[]
  readonly convolution?: Readonly<Record<string, AttributeValue>>
  readonly normalization?: Readonly<Record<string, AttributeValue>>
  readonly bias?: boolean
  readonly outputs?: readonly string[]
  /** Nodes that read the convolution's result beside the normalization. */
  readonly others?: readonly Node[]
}

const FORMS: readonly Form[] = [
  { title: 'with a bias', kernel: [4, 3, 3, 3], image: [2, 3, 5, 4], bias: true },
  { title: 'without a bias', kernel: [4, 3, 3, 3], image: [2, 3, 5, 4] },
  {
    title: 'with groups, strides and padding',
    kernel: [6, 2, 3, 3],
    image: [2, 4, 6, 5],
    convolution: { group: 2, strides: [2, 1], pads: [1, 1, 1, 1] },
  },
  { title: 'in one dimension', kernel: [4, 3, 3], image: [2, 3, 6], bias: true },
  {
    title: 'with an epsilon of its own',
    kernel: [4, 3, 1, 1],
    image: [2, 3, 3, 2],
    normalization: { epsilon: { float: 0.5 } },
  },
]

const PLAIN = FORMS[0]!

/** A convolution, a normalization behind it, and a loss in which nothing cancels. */
function checkOf(form: Form): GradientCheck {
  const { kernel, image, bias = false, others = [] } = form
  const random = new Random(form.title)
  const draw = (shape: readonly number[], low: number, high: number) => ({
    dtype: 'float32' as const,
    shape,
    values: random.uniform(elementCount(shape), low, high),
  })
  const channels = [kernel[0]!]
  const parameters: Feeds = {
    w: draw(kernel, -1, 1),
    ...(bias && { b: draw(channels, -1, 1) }),
    scale: draw(channels, 0.5, 2),
    shift: draw(channels, -1, 1),
    mean: draw(channels, -1, 1),
    variance: draw(channels, 0.5, 2),
  }
  const [x, loss] = ['x', others.length > 0 ? 'all' : 'squares']
  const graph = graphOf({
    opset: 18,
    inputs: [input(x, ['N', ...image.slice(1)])],
    initializers: Object.fromEntries(
      Object.entries(parameters).map(([name, { dtype, shape, values }]) => [
        name,
        tensor(dtype, shape, values),
      ]),
    ),
    nodes: [
      node('Conv', bias ? [x, 'w', 'b'] : [x, 'w'], 'h', form.convolution),
      node(
        'BatchNormalization',
        ['h', 'scale', 'shift', 'mean', 'variance'],
        form.outputs ?? ['y'],
        form.normalization,
      ),
      node('Mul', ['y', 'y'], 'squares'),
      ...others,
    ],
    outputs: [loss],
  })
  return { graph, parameters, data: { [x]: draw(image, -1, 1) }, loss, step: 2 ** -6 }
}

function differentiated(check: GradientCheck, batchNorm: 'running' | 'batch'): GradientGraph {
  const loss = { kind: 'output', name: check.loss } as const
  return differentiate(check.graph, { parameters: Object.keys(check.parameters), loss, batchNorm })
}

function operators({ graph }: GradientGraph): string[] {
  return graph.nodes.map(({ op }) => op)
}

describe('a normalization with recorded statistics goes into the convolution before it', () => {
  for (const form of FORMS)
    it(form.title, async () => {
      const gradient = await checkGradient(checkOf(form))
      expect(operators(gradient)).to.not.include('BatchNormalization')
    })

  it('also in the form for training', async () => {
    const check = checkOf(PLAIN)
    const expected = await checkGradient(check)
    const training = checkOf({
      ...PLAIN,
      normalization: { training_mode: 1 },
      outputs: ['y', 'running_mean', 'running_variance'],
    })
    const gradient = differentiated(training, 'running')
    expect(await gradientsOf(gradient, gradient.graph, training)).to.deep.equal(
      await gradientsOf(expected, expected.graph, check),
    )
  })

  it('not where others read what the convolution gives', async () => {
    const check = checkOf({ ...PLAIN, others: [node('Add', ['squares', 'h'], 'all')] })
    const gradient = await checkGradient(check)
    expect(operators(gradient)).to.include('BatchNormalization')
  })

  it('not with the statistics of the micro-batch', () => {
    expect(operators(differentiated(checkOf(PLAIN), 'batch'))).to.include('BatchNormalization')
  })
})
