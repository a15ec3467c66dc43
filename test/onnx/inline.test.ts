import { create } from '@bufbuild/protobuf'
import { expect } from 'chai'
import { UnsupportedModelError } from '../../src/errors.js'
import { attributes } from '../../src/onnx/attributes.js'
import type { AttributeValue } from '../../src/onnx/attributes.js'
import type { Graph, Node } from '../../src/onnx/graph.js'
import { inlineFunctions } from '../../src/onnx/inline.js'
import {
  AttributeProto_AttributeType as Type,
  AttributeProtoSchema,
  FunctionProtoSchema,
  GraphProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from '../../src/onnx/proto/onnx_pb.js'
import type { AttributeProto, FunctionProto, GraphProto, NodeProto } from '../../src/onnx/proto/onnx_pb.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { runOnce } from '../support/ort.js'
import type { Feeds } from '../support/ort.js'

const DOMAIN = 'own'

function proto(one: Node, more: readonly AttributeProto[] = []): NodeProto {
  return create(NodeProtoSchema, {
    opType: one.op,
    domain: one.domain,
    input: [...one.inputs],
    output: [...one.outputs],
    attribute: [...one.attributes.values(), ...more],
  })
}

/** An attribute whose value is the function's own attribute `from`. */
function reference(name: string, from: string, type: Type): AttributeProto {
  return create(AttributeProtoSchema, { name, refAttrName: from, type })
}

interface FunctionParts {
  readonly name: string
  readonly input: readonly string[]
  readonly output: readonly string[]
  readonly node: readonly NodeProto[]
  readonly attribute?: readonly string[]
  readonly defaults?: Readonly<Record<string, AttributeValue>>
  readonly overload?: string
  readonly opset?: number
}

function functionOf({
  name,
  input: x,
  output: y,
  node: nodes,
  opset = 18,
  ...rest
}: FunctionParts): FunctionProto {
  return create(FunctionProtoSchema, {
    name,
    domain: DOMAIN,
    overload: rest.overload ?? '',
    input: [...x],
    output: [...y],
    node: [...nodes],
    attribute: [...(rest.attribute ?? [])],
    attributeProto: [...attributes(rest.defaults ?? {}).values()],
    opsetImport: [
      create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(opset) }),
      create(OperatorSetIdProtoSchema, { domain: DOMAIN, version: 1n }),
    ],
  })
}

function call(name: string, inputs: readonly string[], outputs: string[], values = {}): Node {
  return { ...node(name, inputs, outputs, values), domain: DOMAIN }
}

function graphWith(
  functions: readonly FunctionProto[],
  nodes: readonly Node[],
  outputs: readonly string[],
  opset = 18,
): Graph {
  const graph = graphOf({
    inputs: [input('x', [2, 3]), input('z', [2, 3])],
    initializers: { yes: tensor('bool', [], [1]) },
    nodes,
    outputs,
    opsets: new Map([
      ['', opset],
      [DOMAIN, 1],
    ]),
  })
  return { ...graph, irVersion: 10, functions }
}

const feeds: Feeds = {
  x: { dtype: 'float32', shape: [2, 3], values: [1, -2, 3, 0.5, 0.25, -4] },
  z: { dtype: 'float32', shape: [2, 3], values: [2, 2, -1, 5, 3, 1] },
}

/** ONNX Runtime's own inlining is the truth. */
async function expectSame(graph: Graph): Promise<Graph> {
  const inlined = inlineFunctions(graph)
  expect(inlined.functions).to.deep.equal([])
  expect(inlined.nodes.filter(({ domain }) => domain === DOMAIN)).to.deep.equal([])
  expect(await runOnce(inlined, feeds)).to.deep.equal(await runOnce(graph, feeds))
  return inlined
}

const scaled = functionOf({
  name: 'Scaled',
  input: ['a'],
  output: ['r'],
  attribute: ['factor'],
  node: [
    proto(node('Constant', [], 'k'), [reference('value_float', 'factor', Type.FLOAT)]),
    proto(node('Mul', ['a', 'k'], 'r')),
  ],
})

const leaky = functionOf({
  name: 'Leaky',
  input: ['a', 'b'],
  output: ['r', 'same'],
  defaults: { slope: { float: 0.5 } },
  node: [
    proto(node('LeakyRelu', ['a'], 't'), [reference('alpha', 'slope', Type.FLOAT)]),
    proto(call('Scaled', ['t'], ['u'], { factor: { float: 3 } })),
    proto(node('Clip', ['u', 'b'], 'r')),
    proto(node('Identity', ['a'], 'same')),
  ],
})

function branch(name: string, nodes: readonly NodeProto[], output: string): AttributeProto {
  const graph: GraphProto = create(GraphProtoSchema, {
    name,
    node: [...nodes],
    output: [create(ValueInfoProtoSchema, { name: output })],
    initializer: [create(TensorProtoSchema, { name: 'two', dataType: 1, floatData: [2] })],
  })
  return create(AttributeProtoSchema, { name, type: Type.GRAPH, g: graph })
}

describe('model-local functions, inlined, compute what ONNX Runtime makes of them', () => {
  it('with attributes of the call, defaults, nested calls, several calls and an input left out', async () => {
    const nodes = [
      call('Leaky', ['x', ''], ['p', 'q']),
      call('Leaky', ['z', ''], ['r', ''], { slope: { float: 0.1 } }),
      node('Add', ['p', 'r'], 'y'),
    ]
    await expectSame(graphWith([scaled, leaky], nodes, ['y', 'q']))
  })

  it('with an input that is an output, and an output that stands twice', async () => {
    const both = functionOf({
      name: 'Both',
      input: ['a'],
      output: ['a', 's', 's'],
      node: [proto(node('Neg', ['a'], 's'))],
    })
    const inlined = inlineFunctions(
      graphWith([both], [call('Both', ['x'], ['p', 'q', 'r'])], ['p', 'q', 'r']),
    )
    const { p, q, r } = await runOnce(inlined, feeds)
    expect(p!.values).to.deep.equal(feeds['x']!.values)
    expect(q!.values).to.deep.equal(feeds['x']!.values.map((value) => -value))
    expect(r).to.deep.equal(q)
  })

  it('with attributes that are read in a subgraph, whose names meet those outside', async () => {
    const chosen = functionOf({
      name: 'Chosen',
      input: ['c', 'a'],
      output: ['r'],
      attribute: ['slope'],
      node: [
        proto(node('If', ['c'], 'r'), [
          branch(
            'then_branch',
            [
              proto(node('LeakyRelu', ['a'], 'x'), [reference('alpha', 'slope', Type.FLOAT)]),
              proto(node('Mul', ['x', 'two'], 'y')),
            ],
            'y',
          ),
          branch('else_branch', [proto(node('Neg', ['a'], 'y'))], 'y'),
        ]),
      ],
    })
    const nodes = [call('Chosen', ['yes', 'x'], ['y'], { slope: { float: 0.25 } })]
    await expectSame(graphWith([chosen], nodes, ['y']))
  })

  it('where a subgraph of the model calls them', async () => {
    const inner = call('Leaky', ['x', ''], ['p', 'q'])
    const choice: Node = {
      ...node('If', ['yes'], 'y'),
      attributes: new Map(
        [
          branch('then_branch', [proto(inner), proto(node('Add', ['p', 'z'], 't'))], 't'),
          branch('else_branch', [proto(node('Neg', ['x'], 'e'))], 'e'),
        ].map((attribute) => [attribute.name, attribute]),
      ),
    }
    await expectSame(graphWith([scaled, leaky], [choice], ['y']))
  })

  it('by overload', () => {
    const of = (overload: string, op: string): FunctionProto =>
      functionOf({ name: 'Over', overload, input: ['a'], output: ['r'], node: [proto(node(op, ['a'], 'r'))] })
    const nodes: Node[] = [
      { ...call('Over', ['x'], ['p']), overload: 'second' },
      { ...call('Over', ['x'], ['q']), overload: 'first' },
    ]
    const { nodes: result } = inlineFunctions(
      graphWith([of('first', 'Neg'), of('second', 'Abs')], nodes, ['p', 'q']),
    )
    expect(result.map(({ op, outputs }) => [op, ...outputs])).to.deep.equal([
      ['Abs', 'p'],
      ['Neg', 'q'],
    ])
  })

  it('written in an older operator set than the model', async () => {
    const summed = functionOf({
      name: 'Summed',
      opset: 12,
      input: ['a'],
      output: ['r'],
      node: [proto(node('ReduceSum', ['a'], 'r', { axes: [1], keepdims: 0 }))],
    })
    const inlined = inlineFunctions(graphWith([summed], [call('Summed', ['x'], ['y'])], ['y'], 18))
    const { y } = await runOnce(inlined, feeds)
    expect(y!.values).to.deep.equal([2, -3.25])
  })
})

describe('functions that are refused', () => {
  /** Each calls the next one so many times. */
  function chain(length: number, times: number): Graph {
    const functions = Array.from({ length }, (_, i) =>
      functionOf({
        name: `F${i}`,
        input: ['a'],
        output: ['r0'],
        node:
          i === length - 1
            ? [proto(node('Neg', ['a'], 'r0'))]
            : Array.from({ length: times }, (__, k) => proto(call(`F${i + 1}`, ['a'], [`r${k}`]))),
      }),
    )
    return graphWith(functions, [call('F0', ['x'], ['y'])], ['y'])
  }

  it('ones that grow without bound, each calling another twice', () => {
    expect(() => inlineFunctions(chain(40, 2))).to.throw(UnsupportedModelError, 'more than 1000000 nodes')
  })

  it('ones that call each other too deep', () => {
    expect(inlineFunctions(chain(200, 1)).nodes).to.have.length(1)
    expect(() => inlineFunctions(chain(201, 1))).to.throw(UnsupportedModelError, 'stand 200 deep')
  })

  it('one that calls itself', () => {
    const endless = functionOf({
      name: 'Endless',
      input: ['a'],
      output: ['r'],
      node: [proto(call('Endless', ['a'], ['r']))],
    })
    expect(() => inlineFunctions(graphWith([endless], [call('Endless', ['x'], ['y'])], ['y']))).to.throw(
      UnsupportedModelError,
      'the function own.Endless calls itself',
    )
  })

  it('one in a version in which an operator of the model means something else', () => {
    const newer = functionOf({
      name: 'Newer',
      opset: 21,
      input: ['a'],
      output: ['r'],
      node: [proto(node('Neg', ['a'], 'r'))],
    })
    const norm = node('GroupNormalization', ['x', 'z', 'z'], 'n', { num_groups: 1 })
    expect(() => inlineFunctions(graphWith([newer], [norm, call('Newer', ['n'], ['y'])], ['y']))).to.throw(
      UnsupportedModelError,
      /opsets 18 to 21, between which GroupNormalization changed/,
    )
  })
})
