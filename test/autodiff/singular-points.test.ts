import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { AttributeValue } from '../../src/onnx/attributes.js'
import { gradientFeeds } from '../support/check-gradient.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { runOnce } from '../support/ort.js'

/** The gradient of the sum of an operator's output, at chosen numbers in one row. */
async function gradientAt(
  values: readonly number[],
  op: string,
  attributes: Readonly<Record<string, AttributeValue>> = {},
): Promise<readonly number[]> {
  const graph = graphOf({
    inputs: [input('x', ['N', values.length])],
    initializers: { w: tensor('float32', [1, values.length], values) },
    nodes: [node('Add', ['x', 'w'], 'sum'), node(op, ['sum'], 'y', attributes)],
    outputs: ['y'],
  })
  const shape = [1, values.length]
  const check = {
    graph,
    parameters: { w: { dtype: 'float32' as const, shape, values } },
    data: { x: { dtype: 'float32' as const, shape, values: values.map(() => 0) } },
    loss: 'y',
  }
  const gradient = differentiate(graph, { parameters: ['w'], loss: { kind: 'output', name: 'y' } })
  return (await runOnce(gradient.graph, gradientFeeds(gradient, check)))['gradient/w']!.values
}

describe('where a derivative does not exist, PyTorch’s choice or 0 is taken', () => {
  const cases: readonly [
    title: string,
    values: readonly number[],
    op: string,
    attributes: Readonly<Record<string, AttributeValue>>,
    expected: readonly number[],
  ][] = [
    ['at the kinks of HardSwish the slopes beyond them', [-3, 3], 'HardSwish', {}, [0, 1]],
    ['at the jumps of Shrink 0', [-0.5, 0.5], 'Shrink', {}, [0, 0]],
    ['in a norm’s tip 0', [0, 0], 'ReduceL2', {}, [0, 0]],
    ['in the kink of an absolute value 0', [0, 2, -1], 'ReduceL1', {}, [0, 1, -1]],
    ['in a row without length 0', [0, 0], 'LpNormalization', {}, [0, 0]],
    ['in a row without length 0 for p = 1', [0, 0], 'LpNormalization', { p: 1 }, [0, 0]],
  ]
  for (const [title, values, op, attributes, expected] of cases)
    it(title, async () => {
      const found = await gradientAt(values, op, attributes)
      expect(found).to.have.length(expected.length)
      found.forEach((value, i) => expect(value).to.be.closeTo(expected[i]!, 1e-6))
    })
})

describe('numbers that overflow in between have the gradient that they have', () => {
  it('of a logarithm of a sum of exponentials', async () => {
    const found = await gradientAt([1000, 1000, -1000], 'ReduceLogSumExp')
    // 1000.69 is rounded to 1 / 16384 in float32, and the gradient with it
    found.forEach((value, i) => expect(value).to.be.closeTo([0.5, 0.5, 0][i]!, 2 ** -14))
  })
})
