import { expect } from 'chai'
import type { Graph } from '../../src/onnx/graph.js'
import { checkGradient } from '../support/check-gradient.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { gradientCheckOf, real } from '../support/operator-case.js'
import type { OperatorCase } from '../support/operator-case.js'
import type { AttributeValue } from '../../src/onnx/attributes.js'

const product: OperatorCase = {
  title: 'of a matrix and a row',
  op: 'Mul',
  inputs: [real([3, 4]), real([4])],
}

/** The graph with one more operator behind an output. */
function behind(
  graph: Graph,
  output: string,
  op: string,
  others: readonly string[] = [],
  values: Record<string, AttributeValue> = {},
): Graph {
  const right = `${output}/right`
  const nodes = graph.nodes.map((n) => ({
    ...n,
    outputs: n.outputs.map((name) => (name === output ? right : name)),
  }))
  return { ...graph, nodes: [...nodes, node(op, [right, ...others], output, values)] }
}

function factor(graph: Graph, value: number): Graph {
  const initializers = new Map([...graph.initializers, ['factor', tensor('float64', [], [value])] as const])
  return behind({ ...graph, initializers }, 'gradient/x0', 'Mul', ['factor'])
}

/** The graph with the sum over repeated rows replaced by the first row. */
function firstRow(graph: Graph): Graph {
  const initializers = new Map([...graph.initializers, ['first', tensor('int64', [], [0])] as const])
  const nodes = graph.nodes.map((n) =>
    n.outputs[0] === 'gradient/x1' ? node('Gather', [n.inputs[0]!, 'first'], n.outputs, { axis: 0 }) : n,
  )
  return { ...graph, initializers, nodes }
}

async function failureOf(alter: (graph: Graph) => Graph): Promise<string> {
  const check = await gradientCheckOf(product)
  return checkGradient(check, alter).then(
    () => 'passed',
    (error: unknown) => String(error),
  )
}

describe('the gradient check', () => {
  it('passes a right gradient', async () => {
    expect(await failureOf((graph) => graph)).to.equal('passed')
  })

  it('fails a wrong sign', async () => {
    expect(await failureOf((graph) => behind(graph, 'gradient/x0', 'Neg'))).to.match(
      /along x0 the gradient gives/,
    )
  })

  it('fails a missing factor, even one of 1.000001', async () => {
    expect(await failureOf((graph) => factor(graph, 2))).to.match(/along x0/)
    expect(await failureOf((graph) => factor(graph, 1.000001))).to.match(/along x0/)
  })

  it('fails a gradient of zeros', async () => {
    expect(await failureOf((graph) => factor(graph, 0))).to.match(/along x0 the gradient gives -?0,/)
  })

  it('fails a missing sum over repeated rows', async () => {
    expect(await failureOf(firstRow)).to.match(/along x1/)
  })

  it('fails a gradient of another shape', async () => {
    const transposed = (graph: Graph): Graph => behind(graph, 'gradient/x0', 'Transpose')
    expect(await failureOf(transposed)).to.match(/the gradient of 'x0' \[3,4\] has shape \[4,3\]/)
  })

  it('fails wrong gradients of float32 graphs too', async () => {
    const check = await gradientCheckOf({ ...product, dtype: 'float32' })
    const failure = await checkGradient(check, (graph) => behind(graph, 'gradient/x1', 'Neg')).catch(String)
    expect(failure).to.match(/along x1/)
  })

  for (const shape of [[], ['N'], ['N', 3]])
    it(`takes a loss of shape [${shape.join()}]`, async () => {
      const values = [0.5, -1, 2]
      const graph = graphOf({
        inputs: [input('x', ['N', 3], 'float64')],
        initializers: { w: tensor('float64', [3], values), axes: tensor('int64', [1], [1]) },
        nodes: [
          node('Mul', ['x', 'w'], 'product'),
          node('Exp', ['product'], 'exponential'),
          shape.length === 2
            ? node('Identity', ['exponential'], 'loss')
            : node('ReduceMean', shape.length === 1 ? ['exponential', 'axes'] : ['exponential'], 'loss', {
                keepdims: 0,
              }),
        ],
        outputs: ['loss'],
      })
      const parameters = { w: { dtype: 'float64', shape: [3], values } } as const
      const data = { x: { dtype: 'float64', shape: [2, 3], values: [1, 2, -1, 0.5, -0.25, 1] } } as const
      const { perSample } = await checkGradient({ graph, parameters, data, loss: 'loss' })
      expect(perSample).to.equal(shape.length > 0)
    })
})
