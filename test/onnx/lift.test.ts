import { expect } from 'chai'
import { UnsupportedModelError } from '../../src/errors.js'
import type { AttributeValue } from '../../src/onnx/attributes.js'
import type { Graph } from '../../src/onnx/graph.js'
import { liftOpset, RULE_OPSET } from '../../src/onnx/lift.js'
import { bodyOf, carrying, loopBody } from '../support/cases/bodies.js'
import { checkGradient } from '../support/check-gradient.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { gradientCheckOf, ints, omitted, real, spaced } from '../support/operator-case.js'
import type { Operand, OperatorCase } from '../support/operator-case.js'
import { runOnce } from '../support/ort.js'

type Attributes = Readonly<Record<string, AttributeValue>>

/** An operator in the form of older versions, in each opset that has this form. */
function old(
  opsets: readonly number[],
  op: string,
  title: string,
  inputs: readonly Operand[],
  attributes: Attributes,
  outputs = 1,
): OperatorCase[] {
  return opsets.map((opset) => ({
    title: `${title} in opset ${opset}`,
    op,
    inputs,
    attributes,
    outputs,
    opset,
  }))
}

const x = real([2, 3, 4])
const REDUCTIONS = ['ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceMin']

const CASES: readonly OperatorCase[] = [
  ...['Softmax', 'LogSoftmax'].flatMap((op) => [
    ...old([11, 12], op, 'flattened at the default axis', [x], {}),
    ...old([11, 12], op, 'flattened at axis 0', [x], { axis: 0 }),
    ...old([11, 12], op, 'flattened at a negative axis', [x], { axis: -2 }),
    ...old([11, 12], op, 'over the last axis', [x], { axis: 2 }),
    ...old([11, 12], op, 'of a matrix', [real([3, 4])], {}),
    ...old([13, 17], op, 'over the default axis', [x], {}),
    ...old([13, 17], op, 'over axis 1', [x], { axis: 1 }),
  ]),
  ...old([11, 12], 'Squeeze', 'with axes as attribute', [real([1, 3, 1, 2])], { axes: [0, -2] }),
  ...old([11, 12], 'Squeeze', 'of all axes of size 1', [real([1, 3, 1, 2])], {}),
  ...old([13, 17], 'Squeeze', 'with axes as input', [real([1, 3, 1, 2]), ints([2])], {}),
  ...old([11, 12], 'Unsqueeze', 'with axes as attribute', [real([3, 2])], { axes: [0, 3] }),
  ...old([13, 17], 'Unsqueeze', 'with axes as input', [real([3, 2]), ints([-1])], {}),
  ...REDUCTIONS.flatMap((op) => {
    const opsets = op === 'ReduceSum' ? [11, 12] : [11, 12, 13, 17]
    const operand = op.endsWith('m') || op.endsWith('Mean') ? x : spaced([2, 3, 4])
    return [
      ...old(opsets, op, 'with axes as attribute', [operand], { axes: [-1, 0], keepdims: 0 }),
      ...old(opsets, op, 'over all axes', [operand], {}),
    ]
  }),
  ...old([13, 17], 'ReduceSum', 'with axes as input', [x, ints([1])], {}),
  ...old([13, 17], 'ReduceSum', 'over no axes', [x, omitted], { noop_with_empty_axes: 1 }),
  ...old([11, 12], 'Split', 'into sizes as attribute', [real([4, 6])], { axis: 1, split: [1, 3, 2] }, 3),
  ...old([11, 12, 13, 17], 'Split', 'into equal parts', [real([4, 6])], { axis: -1 }, 3),
  ...old([13, 17], 'Split', 'into sizes as input', [real([4, 6]), ints([1, 5])], { axis: 1 }, 2),
  ...old([11], 'Dropout', 'with its ratio as attribute', [x], { ratio: { float: 0.4 } }),
  ...old([12, 13, 17], 'Dropout', 'in evaluation', [x], {}),
]

describe('graphs of older operator sets', () => {
  for (const test of CASES) {
    it(`compute the same when lifted: ${test.op} ${test.title}`, async () => {
      const { graph, data } = await gradientCheckOf(test)
      const lifted = liftOpset(graph)
      expect(lifted.opsets.get('')).to.equal(RULE_OPSET)
      expect(await runOnce(lifted, data, 'disabled')).to.deep.equal(await runOnce(graph, data, 'disabled'))
    })

    it(`are differentiated rightly: ${test.op} ${test.title}`, async () => {
      await checkGradient(await gradientCheckOf(test))
    })
  }

  it('stay as they are from opset 18 on', () => {
    for (const opset of [18, 21]) {
      const graph = graphOf({
        opset,
        inputs: [input('x', ['N'])],
        nodes: [node('Exp', ['x'], 'y')],
        outputs: ['y'],
      })
      expect(liftOpset(graph)).to.equal(graph)
    }
  })

  it('keep the meaning of RoiAlign, whose default coordinates moved in opset 16', async () => {
    const values = Array.from({ length: 36 }, (_, i) => Math.sin(i))
    const graph = graphOf({
      opset: 13,
      irVersion: 7,
      inputs: [input('x', ['N', 1, 6, 6])],
      initializers: {
        rois: tensor('float32', [1, 4], [0.7, 1.1, 4.2, 5.3]),
        which: tensor('int64', [1], [0]),
      },
      nodes: [node('RoiAlign', ['x', 'rois', 'which'], 'y', { output_height: 2, output_width: 2 })],
      outputs: ['y'],
    })
    const data = { x: { dtype: 'float32', shape: [1, 1, 6, 6], values } } as const
    expect(await runOnce(liftOpset(graph), data)).to.deep.equal(await runOnce(graph, data))
  })

  it('compute the same with lifted bodies, however deep, whose constants stand outside of them', async () => {
    const inner = bodyOf(
      [],
      ['narrow'],
      [
        node('ReduceMean', ['deep'], 'mean', { axes: [2] }),
        node('Squeeze', ['mean'], 'narrow', { axes: [1] }),
      ],
    )
    const other = bodyOf([], ['sum'], [node('ReduceSum', ['deep'], 'sum', { axes: [1, 2], keepdims: 0 })])
    const choice = carrying(node('If', ['go'], ['v_next']), { then_branch: inner, else_branch: other })
    const body = loopBody(
      ['i', 'go', 'v'],
      ['go_on', 'v_next'],
      [node('Identity', ['go'], 'go_on'), node('Unsqueeze', ['v'], 'deep', { axes: [1] }), choice],
    )
    const graph = graphOf({
      opset: 11,
      irVersion: 6,
      inputs: [input('x', ['N', 1])],
      initializers: { times: tensor('int64', [], [2]) },
      nodes: [carrying(node('Loop', ['times', '', 'x'], ['y']), { body })],
      outputs: ['y'],
    })
    const data = { x: { dtype: 'float32', shape: [2, 1], values: [1, -2] } } as const
    const lifted = liftOpset(graph)
    expect(await runOnce(lifted, data, 'disabled')).to.deep.equal(await runOnce(graph, data, 'disabled'))
    expect([...lifted.initializers.keys()]).to.include('lifted/int64[1,2]')
  })

  it('give Resize no inputs that do not count', async () => {
    const sizes = tensor('int64', [4], [1, 1, 4, 6])
    const initializers = { roi: tensor('float32', [0], []), scales: tensor('float32', [0], []), sizes }
    const graph = graphOf({
      opset: 11,
      irVersion: 6,
      inputs: [input('x', ['N', 1, 2, 3])],
      initializers,
      nodes: [node('Resize', ['x', 'roi', 'scales', 'sizes'], 'y', { mode: 'linear' })],
      outputs: ['y'],
    })
    const lifted = liftOpset(graph)
    expect(lifted.nodes[0]!.inputs).to.deep.equal(['x', '', '', 'sizes'])
    const data = { x: { dtype: 'float32', shape: [1, 1, 2, 3], values: [1, 2, 3, 4, 5, 6] } } as const
    expect(await runOnce(lifted, data)).to.deep.equal(await runOnce(graph, data))
  })

  const normalization = (outputs: readonly string[], named: readonly string[]): Graph =>
    graphOf({
      opset: 11,
      inputs: [input('x', ['N', 2])],
      initializers: Object.fromEntries(
        ['scale', 'bias', 'mean', 'var'].map((name) => [name, tensor('float32', [2], [1, 2])]),
      ),
      nodes: [node('BatchNormalization', ['x', 'scale', 'bias', 'mean', 'var'], outputs)],
      outputs: named,
    })

  it('say of a BatchNormalization with five outputs that it is one in training', () => {
    const [lifted] = liftOpset(normalization(['y', 'mean1', 'var1', 'saved', 'saved2'], ['y', 'mean1'])).nodes
    expect(lifted!.outputs).to.deep.equal(['y', 'mean1', 'var1'])
    expect(Number(lifted!.attributes.get('training_mode')?.i)).to.equal(1)
    const [inference] = liftOpset(normalization(['y'], ['y'])).nodes
    expect(inference!.attributes.has('training_mode')).to.equal(false)
  })

  it('are refused where they read the statistics of a batch, which later versions do not give', () => {
    const graph = normalization(['y', 'mean1', 'var1', 'saved', 'saved2'], ['y', 'saved'])
    expect(() => liftOpset(graph)).to.throw(
      UnsupportedModelError,
      /BatchNormalization \(computes 'y'\) gives the statistics of a batch \('saved'\)/,
    )
  })
})
