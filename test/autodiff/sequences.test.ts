import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { UnsupportedOperatorError } from '../../src/errors.js'
import type { AttributeValue } from '../../src/onnx/attributes.js'
import type { Graph, Initializer, Node, Shape } from '../../src/onnx/graph.js'
import { withSubgraphs } from '../../src/onnx/subgraph.js'
import { checkGradient } from '../support/check-gradient.js'
import type { GradientCheck } from '../support/check-gradient.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { Random } from '../support/random.js'

const SHAPE = [4, 6]
const COUNT = 24

/** Nodes that make 'y' of the parameter w [4, 6], read as 'x' of that shape or of symbols. */
interface SequenceGraph {
  readonly nodes: readonly Node[]
  readonly initializers?: Readonly<Record<string, Initializer>>
  readonly as?: Shape
  readonly opset?: number
}

/** A loss of y that depends on every element in its own way, as one sample. */
function graphOfSequence({ nodes, initializers = {}, as = SHAPE, opset = 18 }: SequenceGraph): Graph {
  return graphOf({
    inputs: [input('like', [1, ...as], 'float64'), input('runtime/data', [1, 1], 'int64')],
    initializers: {
      w: tensor('float64', SHAPE, new Random('sequences').uniform(COUNT, -2, 2)),
      row: tensor('int64', [2], [1, -1]),
      none: tensor('int64', [0], []),
      ...initializers,
    },
    nodes: [
      node('Shape', ['like'], 'layout', { start: 1 }),
      node('Reshape', ['w', 'layout'], 'x'),
      node('Reshape', ['runtime/data', 'none'], 'runtime'),
      ...nodes,
      node('Sin', ['y'], 'sine'),
      node('CumSum', ['sine', 'zero_axis'], 'running'),
      node('Mul', ['running', 'y'], 'product'),
      node('Reshape', ['product', 'row'], 'loss'),
    ],
    outputs: ['loss'],
    opset,
  })
}

function checkOf(graph: SequenceGraph, position = 1): GradientCheck {
  const built = graphOfSequence({
    ...graph,
    initializers: { ...graph.initializers, zero_axis: tensor('int64', [], [0]) },
  })
  return {
    graph: built,
    parameters: {
      w: { dtype: 'float64', shape: SHAPE, values: new Random('sequences').uniform(COUNT, -2, 2) },
    },
    data: {
      like: { dtype: 'float64', shape: [1, ...SHAPE], values: new Array<number>(COUNT).fill(0) },
      'runtime/data': { dtype: 'int64', shape: [1, 1], values: [position] },
    },
    loss: 'loss',
  }
}

const scalar = (value: number): Initializer => tensor('int64', [], [value])
const list = (...values: number[]): Initializer => tensor('int64', [values.length], values)
const splitting = (inputs: string[], values: Record<string, AttributeValue>): Node =>
  node('SplitToSequence', inputs, 'parts', values)
const at = (position: string, output = 'y'): Node => node('SequenceAt', ['parts', position], output)

const two = { first: scalar(0), last: scalar(-1), size: scalar(4), unit: scalar(1), sizes: list(1, 3, 2) }

/** Two pieces of one shape or another, put together. */
const bothPieces = [at('first', 'a'), at('last', 'b'), node('Concat', ['a', 'b'], 'y', { axis: 1 })]

/** Two pieces without the axis that they were cut along, multiplied. */
const withoutAxis = [
  splitting(['x'], { axis: 0, keepdims: 0 }),
  at('first', 'a'),
  at('last', 'b'),
  node('Mul', ['a', 'b'], 'y'),
]

const CASES: Readonly<Record<string, SequenceGraph>> = {
  'pieces of one size, the last smaller': {
    nodes: [splitting(['x', 'size'], { axis: 1 }), ...bothPieces],
    initializers: two,
  },
  'pieces of given sizes': {
    nodes: [splitting(['x', 'sizes'], { axis: -1 }), ...bothPieces],
    initializers: two,
    opset: 24,
  },
  'pieces of one element': { nodes: [splitting(['x'], { axis: 1 }), ...bothPieces], initializers: two },
  'pieces without their axis': {
    nodes: withoutAxis,
    initializers: two,
  },
  'pieces without their axis, their size given': {
    nodes: [splitting(['x', 'unit'], { axis: 1, keepdims: 0 }), at('last', 'y')],
    initializers: two,
  },
  'one piece of all': {
    nodes: [splitting(['x', 'all'], { axis: 0 }), at('last')],
    initializers: { ...two, all: scalar(9) },
  },
  'pieces of a symbolic axis': {
    nodes: [splitting(['x', 'size'], { axis: 1 }), ...bothPieces],
    initializers: two,
    as: ['N', 'M'],
  },
  'pieces of a symbolic axis without it': {
    nodes: withoutAxis,
    initializers: two,
    as: ['N', 'M'],
  },
  'pieces of a size known at run time, at a position known at run time': {
    nodes: [splitting(['x', 'runtime'], { axis: 1 }), at('runtime')],
    as: ['N', 'M'],
  },
  'pieces at a position known at run time': {
    nodes: [splitting(['x', 'pair'], { axis: 1 }), at('runtime')],
    initializers: { pair: scalar(2) },
  },
  'pieces put together again': {
    nodes: [
      splitting(['x', 'runtime'], { axis: 1 }),
      node('ConcatFromSequence', ['parts'], 'y', { axis: -1 }),
    ],
    as: ['N', 'M'],
  },
  'pieces stacked again': {
    nodes: [
      splitting(['x'], { axis: 0, keepdims: 0 }),
      node('ConcatFromSequence', ['parts'], 'y', { axis: 0, new_axis: 1 }),
    ],
    as: ['N', 'M'],
  },
  'constructed, concatenated': {
    nodes: [
      node('Neg', ['x'], 'n'),
      node('SequenceConstruct', ['x', 'n', 'x'], 'parts'),
      node('ConcatFromSequence', ['parts'], 'y', { axis: -1 }),
    ],
    as: ['N', 'M'],
  },
  'constructed, stacked': {
    nodes: [
      node('Neg', ['x'], 'n'),
      node('SequenceConstruct', ['x', 'n'], 'parts'),
      node('ConcatFromSequence', ['parts'], 'y', { axis: -1, new_axis: 1 }),
    ],
    as: ['N', 'M'],
  },
  'constructed, at a position known at run time': {
    nodes: [node('Exp', ['x'], 'e'), node('SequenceConstruct', ['x', 'e'], 'parts'), at('runtime')],
    as: ['N', 'M'],
  },
  'empty, then filled and emptied': {
    nodes: [
      node('Neg', ['x'], 'n'),
      node('Exp', ['x'], 'e'),
      node('SequenceEmpty', [], 's0', { dtype: 11 }),
      node('SequenceInsert', ['s0', 'x'], 's1'),
      node('SequenceInsert', ['s1', 'n', 'first'], 's2'),
      node('SequenceInsert', ['s2', 'e', 'last'], 's3'),
      node('SequenceErase', ['s3', 'first'], 's4'),
      node('SequenceErase', ['s4'], 's5'),
      node('Identity', ['s5'], 'parts'),
      at('first'),
    ],
    initializers: two,
  },
  'its length as a factor': {
    nodes: [
      splitting(['x', 'size'], { axis: 1 }),
      node('SequenceLength', ['parts'], 'length'),
      node('Cast', ['length'], 'real', { to: 11 }),
      at('first', 'a'),
      node('Mul', ['a', 'real'], 'y'),
    ],
    initializers: two,
    as: ['N', 'M'],
  },
  'an optional tensor': {
    nodes: [node('Optional', ['x'], 'o'), node('OptionalGetElement', ['o'], 'y')],
  },
  'an optional sequence': {
    nodes: [
      node('SequenceConstruct', ['x', 'x'], 's'),
      node('Optional', ['s'], 'o'),
      node('OptionalGetElement', ['o'], 'parts'),
      at('last'),
    ],
    initializers: two,
  },
}

/** The body of a SequenceMap: e * t + c, and its square. */
const body = graphOf({
  inputs: [input('element', [4, 'K'], 'float64'), input('whole', [4, 6], 'float64')],
  initializers: { c: tensor('float64', [], [0.5]) },
  nodes: [
    node('ReduceSum', ['whole'], 'total', { keepdims: 0 }),
    node('Mul', ['element', 'total'], 'scaled'),
    node('Add', ['scaled', 'c'], 'sum'),
    node('Mul', ['sum', 'sum'], 'square'),
  ],
  outputs: ['sum', 'square'],
})

const MAPPED: SequenceGraph = {
  nodes: [
    splitting(['x', 'size'], { axis: 1 }),
    withSubgraphs(node('SequenceMap', ['parts', 'x'], ['sums', 'squares']), new Map([['body', body]])),
    node('ConcatFromSequence', ['squares'], 'joined', { axis: 1 }),
    node('SequenceAt', ['sums', 'last'], 'sum'),
    node('Concat', ['joined', 'sum'], 'y', { axis: 1 }),
  ],
  initializers: two,
}

describe('the gradient through sequences agrees with differences of the forward graph', () => {
  for (const [title, graph] of Object.entries(CASES))
    it(title, async () => {
      await checkGradient(checkOf(graph))
    })

  it('at a negative position known at run time', async () => {
    await checkGradient(checkOf(CASES['pieces at a position known at run time']!, -1))
  })

  it('a map over the elements', async () => {
    await checkGradient(checkOf(MAPPED))
  })

  it('leaves no sequence in the graph', () => {
    const graph = checkOf(CASES['empty, then filled and emptied']!).graph
    const gradient = differentiate(graph, { parameters: ['w'], loss: { kind: 'output', name: 'loss' } })
    expect(gradient.graph.nodes.filter(({ op }) => op.includes('Sequence'))).to.deep.equal([])
  })
})

describe('sequences that are not known when the graph is built', () => {
  const refused = (graph: SequenceGraph) => () =>
    differentiate(checkOf(graph).graph, { parameters: ['w'], loss: { kind: 'output', name: 'loss' } })

  it('are refused where a tensor is taken from them, by the reason', () => {
    const graph = {
      nodes: [
        node('SequenceConstruct', ['x', 'x'], 's'),
        node('SequenceErase', ['s', 'runtime'], 'parts'),
        at('first'),
      ],
      initializers: two,
    }
    expect(refused(graph)).to.throw(
      UnsupportedOperatorError,
      "node SequenceAt (computes 'y') can't be differentiated: which tensors a sequence holds must be known",
    )
  })

  it('are refused where elements of unlike shapes are chosen at run time', () => {
    const graph = {
      nodes: [
        node('Flatten', ['x'], 'f', { axis: 0 }),
        node('SequenceConstruct', ['x', 'f'], 'parts'),
        at('runtime'),
      ],
    }
    expect(refused(graph)).to.throw(UnsupportedOperatorError, 'which tensors a sequence holds must be known')
  })

  it('do no harm where nothing of them is differentiated', async () => {
    const graph: SequenceGraph = {
      nodes: [
        node('SequenceConstruct', ['like', 'like'], 's'),
        node('SequenceErase', ['s', 'runtime'], 'parts'),
        at('first', 'data'),
        node('Sub', ['x', 'data'], 'y'),
      ],
      initializers: two,
    }
    await checkGradient(checkOf(graph))
  })
})
