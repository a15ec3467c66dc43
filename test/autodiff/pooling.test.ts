import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { AttributeValue } from '../../src/onnx/attributes.js'
import type { Initializer, Node } from '../../src/onnx/graph.js'
import { elementCount } from '../../src/tensor.js'
import { checkGradient, gradientFeeds } from '../support/check-gradient.js'
import type { GradientCheck } from '../support/check-gradient.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { runOnce } from '../support/ort.js'
import { Random } from '../support/random.js'

interface Pooled {
  readonly shape: readonly number[]
  readonly values: readonly number[]
  readonly nodes: readonly Node[]
  readonly constants?: Readonly<Record<string, Initializer>>
  readonly opset?: number
}

/** A graph from an image `x`, [1, ...], to `y`, whose elements are summed to the loss. */
function pooled({ shape, values, nodes, constants = {}, opset = 18 }: Pooled): GradientCheck {
  const dtype = 'float32'
  return {
    graph: graphOf({
      opset,
      inputs: [input('sample', [1], dtype)],
      initializers: { x: tensor(dtype, shape, values), row: tensor('int64', [2], [1, -1]), ...constants },
      nodes: [...nodes, node('Reshape', ['y', 'row'], 'loss')],
      outputs: ['loss'],
    }),
    parameters: { x: { dtype, shape, values } },
    data: { sample: { dtype, shape: [1], values: [0] } },
    loss: 'loss',
  }
}

async function gradientOf(check: GradientCheck): Promise<readonly number[]> {
  const gradient = differentiate(check.graph, {
    parameters: ['x'],
    loss: { kind: 'output', name: check.loss },
  })
  return (await runOnce(gradient.graph, gradientFeeds(gradient, check)))['gradient/x']!.values
}

function permuted(shape: readonly number[]): number[] {
  return new Random(shape.join()).permutation(elementCount(shape)).map((place) => place / 4)
}

const window = { kernel_shape: [2, 2], strides: [2, 2] }

describe('the indices of MaxPool', () => {
  const forms: readonly [title: string, shape: number[], attributes: Record<string, AttributeValue>][] = [
    ['row by row', [1, 2, 4, 6], window],
    ['column by column', [1, 2, 4, 6], { ...window, storage_order: 1 }],
    [
      'column by column, overlapping',
      [1, 2, 5, 6],
      { kernel_shape: [3, 3], pads: [1, 1, 1, 1], storage_order: 1 },
    ],
    ['first axis first in volumes', [1, 2, 4, 3, 5], { kernel_shape: [2, 2, 2], storage_order: 1 }],
  ]
  for (const [title, shape, attributes] of forms)
    it(`may be read by the network: ${title}`, async () => {
      const nodes = [
        node('MaxPool', ['x'], ['maximum', 'indices'], attributes),
        node('Cast', ['indices'], 'places', { to: 1 }),
        node('Mul', ['maximum', 'places'], 'y'),
      ]
      await checkGradient(pooled({ shape, values: permuted(shape), nodes }))
    })

  it('lead MaxUnpool', async () => {
    const shape = [1, 2, 4, 6]
    const weights = new Random('weights').uniform(elementCount(shape), -1, 1)
    const nodes = [
      node('MaxPool', ['x'], ['maximum', 'indices'], window),
      node('MaxUnpool', ['maximum', 'indices'], 'spread', window),
      node('Mul', ['spread', 'weights'], 'y'),
    ]
    const constants = { weights: tensor('float32', shape, weights) }
    await checkGradient(pooled({ shape, values: permuted(shape), nodes, constants }))
  })
})

describe('of equal maxima the first takes the whole derivative', () => {
  const boxes = tensor('float32', [1, 5], [0, 0, 0, 1, 1])
  const cases: readonly [op: string, attributes: Record<string, AttributeValue>, inputs: string[]][] = [
    ['MaxPool', { kernel_shape: [2, 2] }, ['x']],
    ['GlobalMaxPool', {}, ['x']],
    ['MaxRoiPool', { pooled_shape: [1, 1] }, ['x', 'boxes']],
  ]
  for (const [op, attributes, inputs] of cases)
    it(op, async () => {
      const nodes = [node(op, inputs, 'y', attributes)]
      const check = pooled({ shape: [1, 1, 2, 2], values: [1, 3, 3, 3], nodes, constants: { boxes } })
      expect(await gradientOf(check)).to.deep.equal([0, 1, 0, 0])
    })
})

describe('norms of windows of zeros', () => {
  for (const op of ['LpPool', 'GlobalLpPool'])
    for (const p of [1, 2, 3])
      it(`have derivative 0: ${op} with p ${p}`, async () => {
        const attributes = op === 'LpPool' ? { p, kernel_shape: [2, 2] } : { p }
        const check = pooled({
          shape: [1, 1, 2, 2],
          values: [0, 0, 0, 0],
          nodes: [node(op, ['x'], 'y', attributes)],
        })
        expect((await gradientOf(check)).map(Math.abs)).to.deep.equal([0, 0, 0, 0])
      })
})

describe('regions in opset 22, for which ONNX Runtime has no kernel', () => {
  const values = permuted([1, 2, 5, 6])
  const rois = [0.4, 0.7, 4.5, 3.7, -1.3, 1.2, 2.2, 6.1]
  const constants = {
    rois: tensor('float32', [2, 4], rois),
    boxes: tensor('float32', [2, 5], [0, ...rois.slice(0, 4), 0, ...rois.slice(4)]),
    images: tensor('int64', [2], [0, 0]),
  }
  const cases: readonly [op: string, inputs: string[], attributes: Record<string, AttributeValue>][] = [
    ['RoiAlign', ['x', 'rois', 'images'], { output_height: 2, output_width: 3 }],
    ['MaxRoiPool', ['x', 'boxes'], { pooled_shape: [2, 3] }],
  ]
  for (const [op, inputs, attributes] of cases)
    it(`have the gradient of opset 18: ${op}`, async () => {
      const at = (opset: number): Promise<readonly number[]> =>
        gradientOf(
          pooled({
            shape: [1, 2, 5, 6],
            values,
            nodes: [node(op, inputs, 'y', attributes)],
            constants,
            opset,
          }),
        )
      const found = await at(22)
      expect(found).to.deep.equal(await at(18))
      expect(found.some((one) => one !== 0)).to.equal(true)
    })
})
