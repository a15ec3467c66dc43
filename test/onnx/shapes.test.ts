import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import type { Dim } from '../../src/onnx/graph.js'
import { Inference } from '../../src/onnx/infer.js'
import { bodyOf, carrying } from '../support/cases/bodies.js'
import { OPERATOR_CASES } from '../support/cases/index.js'
import { gradientFeeds } from '../support/check-gradient.js'
import { checkShapes } from '../support/check-shapes.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { gradientCheckOf } from '../support/operator-case.js'

describe('inferred types, shapes and integers are what ONNX Runtime computes, forward and backward', () => {
  for (const test of OPERATOR_CASES)
    it(`${test.op} ${test.title}`, async () => {
      const check = await gradientCheckOf(test, 'behind others')
      const parameters = Object.keys(check.parameters)
      const gradient = differentiate(check.graph, { parameters, loss: { kind: 'output', name: 'loss' } })
      await checkShapes(gradient.graph, gradientFeeds(gradient, check))
      const inferred = new Inference(check.graph).info('y0')
      expect(inferred.dtype, 'element type of the output').to.not.equal(undefined)
    })
})

describe('windows of ceil_mode that would start in the padding', () => {
  for (const op of ['MaxPool', 'AveragePool'])
    it(`are not counted for ${op}`, async () => {
      const window = { kernel_shape: [2, 2], strides: [2, 2], pads: [0, 0, 1, 1], ceil_mode: 1 }
      const graph = graphOf({
        inputs: [input('x', ['N', 1, 4, 6])],
        nodes: [node(op, ['x'], 'y', window)],
        outputs: ['y'],
      })
      expect(new Inference(graph).info('y').shape).to.deep.equal(['N', 1, 2, 3])
      const values = Array.from({ length: 24 }, (_, i) => i)
      await checkShapes(graph, { x: { dtype: 'float32', shape: [1, 1, 4, 6], values } })
    })
})

describe('padding', () => {
  const values = Array.from({ length: 24 }, (_, i) => i)
  const padded = (initializers: Record<string, readonly number[]>, inputs: string[]) =>
    graphOf({
      inputs: [input('x', ['N', 1, 4, 6])],
      initializers: Object.fromEntries(
        Object.entries(initializers).map(([name, list]) => [name, tensor('int64', [list.length], list)]),
      ),
      nodes: [node('Pad', ['x', ...inputs], 'y')],
      outputs: ['y'],
    })

  it('adds to the axes that it names', async () => {
    const graph = padded({ pads: [1, 0, 2, 3], axes: [-2, 3] }, ['pads', '', 'axes'])
    expect(new Inference(graph).info('y').shape).to.deep.equal(['N', 1, 7, 9])
    await checkShapes(graph, { x: { dtype: 'float32', shape: [1, 1, 4, 6], values } })
  })

  it('adds to all axes, and leaves a size open that it adds to a symbol', async () => {
    const graph = padded({ pads: [0, 0, 1, 0, 2, 0, 0, 1] }, ['pads'])
    const shape = new Inference(graph).info('y').shape!
    expect(shape.slice(1)).to.deep.equal([1, 5, 7])
    expect(shape[0]).to.be.a('string').and.not.equal('N')
    await checkShapes(graph, { x: { dtype: 'float32', shape: [1, 1, 4, 6], values } })
  })
})

describe('the pads that PyTorch’s older exporter writes for F.pad', () => {
  const ints = (...values: number[]) => tensor('int64', [values.length], values)
  /** Begins and ends of the last axis first, in rows of two, backwards, turned: begins first, then ends. */
  const turned = graphOf({
    inputs: [input('x', ['N', 1, 4, 6])],
    initializers: {
      own: ints(3, 4, 1, 2, 0, 0, 0, 0),
      pairs: ints(-1, 2),
      last: ints(-1),
      first: ints(-(2 ** 40)),
      zero: ints(0),
      flat: ints(-1),
      one: ints(1),
    },
    nodes: [
      node('Reshape', ['own', 'pairs'], 'rows'),
      node('Slice', ['rows', 'last', 'first', 'zero', 'last'], 'backwards'),
      node('Slice', ['rows', 'one', 'last', 'zero'], 'middle'),
      node('Reshape', ['middle', 'flat'], 'middle_list'),
      node('Slice', ['rows', 'one', 'last', 'one'], 'column'),
      node('Reshape', ['column', 'flat'], 'column_list'),
      node('Transpose', ['backwards'], 'columns', { perm: [1, 0] }),
      node('Reshape', ['columns', 'flat'], 'list'),
      node('Cast', ['list'], 'pads', { to: 7 }),
      node('Pad', ['x', 'pads'], 'y'),
    ],
    outputs: ['y'],
  })

  it('are followed through two dimensions', async () => {
    const inference = new Inference(turned)
    expect(inference.integers('pads')).to.deep.equal([0, 0, 1, 3, 0, 0, 2, 4])
    expect(inference.integers('middle_list')).to.deep.equal([1, 2, 0, 0])
    expect(inference.integers('column_list')).to.equal(undefined)
    expect(inference.info('y').shape).to.deep.equal(['N', 1, 7, 13])
    const values = Array.from({ length: 24 }, (_, i) => i)
    await checkShapes(turned, { x: { dtype: 'float32', shape: [1, 1, 4, 6], values } })
  })
})

describe('an If whose branches differ in rank', () => {
  /** What PyTorch's older exporter writes for x.squeeze(1) of an axis that it could not follow. */
  const squeezed = (wanted: number) =>
    graphOf({
      inputs: [input('x', ['N', 1, 3])],
      initializers: { one: tensor('int64', [1], [1]), wanted: tensor('int64', [1], [wanted]) },
      nodes: [
        node('Shape', ['x'], 'shape'),
        node('Gather', ['shape', 'one'], 'size'),
        node('Equal', ['size', 'wanted'], 'single'),
        carrying(node('If', ['single'], 'y'), {
          then_branch: bodyOf([], ['s'], [node('Squeeze', ['x', 'one'], 's')]),
          else_branch: bodyOf([], ['k'], [node('Identity', ['x'], 'k')]),
        }),
      ],
      outputs: ['y'],
    })

  for (const [wanted, shape] of [
    [1, ['N', 3]],
    [2, ['N', 1, 3]],
  ] as const)
    it(`has the shape of the one that is known to be taken: ${shape.join(' x ')}`, async () => {
      const graph = squeezed(wanted)
      expect(new Inference(graph).info('y').shape).to.deep.equal(shape)
      await checkShapes(graph, { x: { dtype: 'float32', shape: [2, 1, 3], values: [1, 2, 3, 4, 5, 6] } })
    })
})

/** Sizes of x [batch, 7, 5] taken apart and put together as exporters do. */
const arithmetic = graphOf({
  inputs: [input('x', ['batch', 7, 5])],
  initializers: {
    zero: tensor('int64', [1], [0]),
    one: tensor('int64', [1], [1]),
    two: tensor('int64', [1], [2]),
    last: tensor('int64', [1], [-1]),
    end: tensor('int64', [1], [3]),
    five: tensor('int64', [], [5]),
    first: tensor('int64', [1], [-(2 ** 40)]),
    zero_scalar: tensor('int64', [], [0]),
    two_scalar: tensor('int64', [], [2]),
  },
  nodes: [
    node('Shape', ['x'], 'shape'),
    node('Shape', ['x'], 'tail', { start: -2 }),
    node('Size', ['x'], 'size'),
    node('Gather', ['shape', 'zero'], 'batch'),
    node('Gather', ['shape', 'last'], 'columns'),
    node('Slice', ['shape', 'one', 'end'], 'sliced'),
    node('Slice', ['shape', 'last', 'zero', 'zero', 'last'], 'backward'),
    node('Mod', ['tail', 'two'], 'odd'),
    node('Mod', ['last', 'end'], 'wrapped'),
    node('Mod', ['last', 'end'], 'remainder', { fmod: 1 }),
    node('Unsqueeze', ['shape', 'one'], 'column'),
    node('Div', ['tail', 'two'], 'halves'),
    node('Div', ['size', 'five'], 'fifth'),
    node('Mul', ['tail', 'batch'], 'scaled'),
    node('Add', ['tail', 'one'], 'more'),
    node('Sub', ['tail', 'two'], 'less'),
    node('Add', ['batch', 'one'], 'next'),
    node('Cast', ['tail'], 'real', { to: 1 }),
    node('Cast', ['two'], 'real_two', { to: 1 }),
    node('Div', ['real', 'real_two'], 'real_halves'),
    node('Ceil', ['real_halves'], 'rounded'),
    node('Cast', ['rounded'], 'upper_halves', { to: 7 }),
    node('Concat', ['batch', 'last', 'one'], 'wanted', { axis: 0 }),
    node('Reshape', ['x', 'wanted'], 'reshaped'),
    node('ConstantOfShape', ['shape'], 'filled'),
    node('Expand', ['five', 'tail'], 'expanded'),
    node('Slice', ['shape', 'last', 'first', 'zero', 'last'], 'reversed'),
    node('Range', ['zero_scalar', 'five', 'two_scalar'], 'range'),
    node('Expand', ['two', 'end'], 'repeated'),
    node('Tile', ['two', 'end'], 'tiled'),
    node('Neg', ['tail'], 'negative'),
    node('Min', ['tail', 'five'], 'smallest'),
    node('Max', ['shape', 'shape'], 'largest'),
    node('Equal', ['shape', 'last'], 'open'),
    node('Where', ['open', 'one', 'shape'], 'chosen'),
    node('Less', ['tail', 'five'], 'below'),
    node('Not', ['below'], 'not_below'),
    node('ReduceProd', ['shape'], 'count', { keepdims: 0 }),
    node('ReduceMax', ['tail', 'zero'], 'longest'),
    node('ScatterElements', ['shape', 'last', 'two'], 'changed'),
    node('GatherElements', ['shape', 'last'], 'picked'),
    node('Sub', ['shape', 'shape'], 'nothing'),
  ],
  outputs: ['reshaped'],
})

describe('the arithmetic of shapes', () => {
  const x = { dtype: 'float32', shape: [3, 7, 5], values: new Array<number>(105).fill(0) } as const

  it('claims nothing that ONNX Runtime computes otherwise', async () => {
    await checkShapes(arithmetic, { x })
  })

  const claims: Readonly<Record<string, readonly (Dim | undefined)[] | undefined>> = {
    shape: ['batch', 7, 5],
    tail: [7, 5],
    size: ['35*batch'],
    batch: ['batch'],
    columns: [5],
    sliced: [7, 5],
    backward: [5, 7],
    odd: [1, 1],
    wrapped: [2],
    remainder: [-1],
    column: undefined,
    halves: [3, 2],
    fifth: ['7*batch'],
    scaled: ['7*batch', '5*batch'],
    more: [8, 6],
    less: [5, 3],
    next: [undefined],
    real: undefined,
    real_halves: undefined,
    upper_halves: undefined,
    wanted: ['batch', -1, 1],
    reversed: [5, 7, 'batch'],
    range: [0, 2, 4],
    repeated: [2, 2, 2],
    tiled: [2, 2, 2],
    negative: [-7, -5],
    smallest: [5, 5],
    largest: ['batch', 7, 5],
    open: [0, 0, 0],
    chosen: ['batch', 7, 5],
    below: [0, 0],
    not_below: [1, 1],
    count: ['35*batch'],
    longest: [7],
    changed: ['batch', 7, 2],
    picked: [5],
    nothing: [0, 0, 0],
  }
  for (const [name, claim] of Object.entries(claims))
    it(`follows '${name}' as far as it is known`, () => {
      expect(new Inference(arithmetic).integers(name)).to.deep.equal(claim)
    })

  it('gives shapes their symbols', () => {
    const inference = new Inference(arithmetic)
    expect(inference.info('reshaped').shape).to.deep.equal(['batch', 35, 1])
    expect(inference.info('filled').shape).to.deep.equal(['batch', 7, 5])
    expect(inference.info('expanded').shape).to.deep.equal([7, 5])
  })
})

describe('shapes that a hostile model declares', () => {
  it('of a billion axes cost no memory', () => {
    const huge = graphOf({
      inputs: [input('x', [1]), input('sizes', [1e9], 'int64')],
      nodes: [node('Reshape', ['x', 'sizes'], 'y')],
      outputs: ['y'],
    })
    expect(new Inference(huge).info('y').shape).to.equal(undefined)
  })

  it('that divide by nothing are not followed', () => {
    const none = graphOf({
      inputs: [input('x', [4])],
      initializers: { zero: tensor('int64', [1], [0]) },
      nodes: [node('Shape', ['x'], 'shape'), node('Div', ['shape', 'zero'], 'sizes')],
      outputs: ['sizes'],
    })
    expect(new Inference(none).integers('sizes')).to.deep.equal([undefined])
  })
})
