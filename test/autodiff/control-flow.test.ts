import { create } from '@bufbuild/protobuf'
import { expect } from 'chai'
import { differentiate } from '../../src/autodiff/differentiate.js'
import { UnsupportedOperatorError } from '../../src/errors.js'
import type { Graph, Initializer, Node } from '../../src/onnx/graph.js'
import {
  TensorProto_DataType,
  TypeProto_SequenceSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
} from '../../src/onnx/proto/onnx_pb.js'
import { subgraphNames, subgraphOf } from '../../src/onnx/subgraph.js'
import { encodeModel } from '../../src/onnx/write.js'
import { bodyOf, carrying, loopBody } from '../support/cases/bodies.js'
import { checkGradient } from '../support/check-gradient.js'
import type { GradientCheck } from '../support/check-gradient.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { runOnce } from '../support/ort.js'
import { Random } from '../support/random.js'

const X = new Random('x').uniform(6, -0.8, 0.8)
const W = new Random('w').uniform(9, -0.8, 0.8)
const times = { times: tensor('int64', [], [3]) }
const product = node('MatMul', ['x', 'w'], 'h')

const tensorType = create(TypeProtoSchema, {
  value: {
    case: 'tensorType',
    value: create(TypeProto_TensorSchema, { elemType: TensorProto_DataType.DOUBLE }),
  },
})

/** A graph on x [N, 3] with a parameter w [3, 3]. */
function graphWith(
  nodes: readonly Node[],
  initializers: Readonly<Record<string, Initializer>> = {},
  opset = 18,
): Graph {
  return graphOf({
    opset,
    inputs: [input('x', ['N', 3], 'float64')],
    initializers: { w: tensor('float64', [3, 3], W), ...initializers },
    nodes,
    outputs: ['loss'],
  })
}

function checkOf(graph: Graph): GradientCheck {
  return {
    graph,
    parameters: { w: { dtype: 'float64', shape: [3, 3], values: W } },
    data: { x: { dtype: 'float64', shape: [2, 3], values: X } },
    loss: 'loss',
  }
}

function gradientOf(graph: Graph): ReturnType<typeof differentiate> {
  return differentiate(graph, { parameters: ['w'], loss: { kind: 'output', name: 'loss' } })
}

/** `v = tanh(v w)`, three times. */
function looped(nodes: readonly Node[], initializers: Readonly<Record<string, Initializer>> = {}): Node {
  const body = loopBody(
    ['i', 'go', 'v'],
    ['go_on', 'v_next'],
    [node('Identity', ['go'], 'go_on'), ...nodes],
    initializers,
  )
  return carrying(node('Loop', ['times', '', 'h'], ['loss']), { body })
}

function operators(graph: Graph): string[] {
  return graph.nodes.flatMap((one) => [
    one.op,
    ...subgraphNames(one).flatMap((name) => operators(subgraphOf(graph, one, name))),
  ])
}

describe('the body of a loop', () => {
  it('is rewritten where its operators are, and differentiated then', async () => {
    const nodes = [
      node('MatMul', ['v', 'w'], 'vw'),
      node('Dropout', ['vw'], 'kept'),
      node('Tanh', ['kept'], 'v_next'),
    ]
    const graph = graphWith([product, looped(nodes)], times)
    const { graph: gradient } = await checkGradient(checkOf(graph))
    expect(operators(gradient)).not.to.include('Dropout')
  })

  it('is lifted from older operator sets', async () => {
    const nodes = [
      node('Unsqueeze', ['v'], 'deep', { axes: [1] }),
      node('Softmax', ['deep'], 'soft', { axis: 2 }),
      node('Squeeze', ['soft'], 'flat', { axes: [1] }),
      node('MatMul', ['flat', 'w'], 'vw'),
      node('Tanh', ['vw'], 'v_next'),
    ]
    await checkGradient(checkOf(graphWith([product, looped(nodes)], times, 11)))
  })

  it('has its random numbers in the way back as they were in the way there', async () => {
    const nodes = [
      node('RandomUniformLike', ['v'], 'noise', { low: { float: 0.5 }, high: { float: 2 } }),
      node('Mul', ['v', 'noise'], 'v_next'),
    ]
    const { graph } = gradientOf(graphWith([product, looped(nodes)], times))
    const x = { dtype: 'float64', shape: [2, 3], values: X } as const
    const w = { dtype: 'float64', shape: [3, 3], values: W } as const
    const weight = { dtype: 'float64', shape: [2], values: [1, 1] } as const
    const results = await runOnce(graph, { x, w, sample_weight: weight })
    // the loss is linear in w whatever the noise: the sum of w times its gradient is the loss
    const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)
    const along = total(results['gradient/w']!.values.map((value, i) => value * W[i]!))
    expect(along).to.be.closeTo(total(results['loss/numerators']!.values), 1e-9)
  })

  it('shares its large constants with the way back', () => {
    const table = { table: tensor('float64', [300, 3], new Random('t').uniform(900, -1, 1)) }
    const nodes = [
      node('MatMul', ['table', 'v_next0'], 'far'),
      node('ReduceMean', ['far', 'first'], 'mean', { keepdims: 1 }),
      node('Add', ['v', 'mean'], 'v_next'),
    ]
    const before = [
      node('Transpose', ['v'], 'turned', { perm: [1, 0] }),
      node('MatMul', ['w', 'turned'], 'wv'),
    ]
    const graph = graphWith(
      [
        product,
        looped([...before, node('MatMul', ['wv', 'v'], 'v_next0'), ...nodes], {
          ...table,
          first: tensor('int64', [1], [0]),
        }),
      ],
      times,
    )
    const size = encodeModel(gradientOf(graph).graph).length
    expect(size).to.be.lessThan(2 * 900 * 8)
  })

  it('that carries a sequence is refused with the reason, unless it is an empty list that grows', () => {
    const body = loopBody(
      ['i', 'go', 's'],
      ['go_on', 's_next'],
      [node('Identity', ['go'], 'go_on'), node('SequenceInsert', ['s', 'h'], 's_next')],
    )
    const loop = carrying(node('Loop', ['times', '', 'some'], ['all']), { body })
    const nodes = [
      product,
      node('SequenceConstruct', ['x'], 'some'),
      loop,
      node('ConcatFromSequence', ['all'], 'loss', { axis: 0 }),
    ]
    expect(() => gradientOf(graphWith(nodes, times))).to.throw(
      UnsupportedOperatorError,
      /ConcatFromSequence \(computes 'loss'\) can't be differentiated: .* no loop/,
    )
  })

  it('whose carried value changes its shape is refused where all of its shapes are needed', () => {
    const nodes = [node('Mul', ['v', 'v'], 'square'), node('Concat', ['square', 'v'], 'v_next', { axis: 1 })]
    expect(() => gradientOf(graphWith([product, looped(nodes)], times))).to.throw(
      UnsupportedOperatorError,
      /node Loop \(computes 'loss'\) can't be differentiated: the shape of 'v' changes from iteration to iteration \(N x 3, then N x 6\)/,
    )
  })

  it('without a rule for one of its operators is refused by that node', () => {
    const wobble = { ...node('Wobble', ['v'], 'v_next'), domain: 'com.example' }
    const body = loopBody(['i', 'go', 'v'], ['go_on', 'v_next'], [node('Identity', ['go'], 'go_on'), wobble])
    const outputs = [input('go_on', [], 'bool'), input('v_next', ['N', 3], 'float64')]
    const loop = carrying(node('Loop', ['times', '', 'h'], ['loss']), { body: { ...body, outputs } })
    expect(() => gradientOf(graphWith([product, loop], times))).to.throw(
      UnsupportedOperatorError,
      /node com\.example\.Wobble \(computes 'v_next'\)/,
    )
  })
})

describe('a list that a loop appends to', () => {
  /** `v = tanh(v w)`, appended in every iteration; `read` makes the loss of the list. */
  const appending = (
    read: readonly Node[],
    initializers: Readonly<Record<string, Initializer>> = {},
  ): Graph => {
    const body = loopBody(
      ['i', 'go', 'v', 's'],
      ['go_on', 'v_next', 's_next'],
      [
        node('Identity', ['go'], 'go_on'),
        node('MatMul', ['v', 'w'], 'vw'),
        node('Tanh', ['vw'], 'v_next'),
        node('SequenceInsert', ['s', 'v_next'], 's_next'),
      ],
    )
    const sequence = {
      case: 'sequenceType',
      value: create(TypeProto_SequenceSchema, { elemType: tensorType }),
    } as const
    const typed = body.inputs.with(3, {
      ...body.inputs[3]!,
      type: create(TypeProtoSchema, { value: sequence }),
    })
    const loop = carrying(node('Loop', ['times', '', 'h', 'empty'], ['last', 'all']), {
      body: { ...body, inputs: typed },
    })
    const empty = node('SequenceEmpty', [], 'empty', { dtype: 11 })
    return graphWith([product, empty, loop, ...read], { ...times, ...initializers })
  }
  const joined = (axis: number, added: number): Node =>
    node('ConcatFromSequence', ['all'], 'joined', { axis, new_axis: added })

  for (const axis of [0, 1, 2, -1])
    it(`is differentiated where it is stacked along axis ${axis}`, async () => {
      const swap = axis === 0 ? [node('Transpose', ['joined'], 'loss', { perm: [1, 0, 2] })] : []
      const read = axis === 0 ? [joined(0, 1), ...swap] : [{ ...joined(axis, 1), outputs: ['loss'] }]
      await checkGradient(checkOf(appending(read)))
    })

  for (const axis of [0, -1])
    it(`is differentiated where it is joined along axis ${axis}`, async () => {
      const total = [joined(axis, 0), node('ReduceMean', ['joined'], 'loss', { keepdims: 0 })]
      await checkGradient(checkOf(appending(total)))
    })

  it('is differentiated where one of its tensors and their number are read', async () => {
    const read = [
      node('SequenceAt', ['all', 'second'], 'one'),
      node('SequenceAt', ['all', 'end'], 'other'),
      node('SequenceLength', ['all'], 'length'),
      node('Cast', ['length'], 'count', { to: 11 }),
      node('Mul', ['one', 'other'], 'both'),
      node('Mul', ['both', 'count'], 'loss'),
    ]
    const places = { second: tensor('int64', [], [1]), end: tensor('int64', [], [-1]) }
    await checkGradient(checkOf(appending(read, places)))
  })
})

describe('a choice that does not depend on parameters', () => {
  it('stays as it is', () => {
    const branches = {
      then_branch: bodyOf([], ['a'], [node('Exp', ['x'], 'a')]),
      else_branch: bodyOf([], ['b'], [node('Sin', ['x'], 'b')]),
    }
    const nodes = [product, carrying(node('If', ['yes'], ['k']), branches), node('Mul', ['h', 'k'], 'loss')]
    const { graph } = gradientOf(graphWith(nodes, { yes: tensor('bool', [], [1]) }))
    expect(graph.nodes.filter(({ op }) => op === 'If')).to.have.length(1)
  })
})
