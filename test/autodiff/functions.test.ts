import { create } from '@bufbuild/protobuf'
import { expect } from 'chai'
import type { Graph, Node } from '../../src/onnx/graph.js'
import {
  AttributeProto_AttributeType as Type,
  AttributeProtoSchema,
  FunctionProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
} from '../../src/onnx/proto/onnx_pb.js'
import type { AttributeProto, FunctionProto, NodeProto } from '../../src/onnx/proto/onnx_pb.js'
import { decodeModel } from '../../src/onnx/read.js'
import { encodeModel } from '../../src/onnx/write.js'
import { carrying, loopBody } from '../support/cases/bodies.js'
import { checkGradient } from '../support/check-gradient.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { runOnce } from '../support/ort.js'
import { Random } from '../support/random.js'

const W = new Random('w').uniform(9, -0.8, 0.8)
const X = new Random('x').uniform(6, -0.8, 0.8)

function call(name: string, inputs: readonly string[], outputs: readonly string[], values = {}): Node {
  return { ...node(name, inputs, outputs, values), domain: 'own' }
}

function proto(
  { op, domain, inputs, outputs, attributes }: Node,
  more: readonly AttributeProto[] = [],
): NodeProto {
  const attribute = [...attributes.values(), ...more]
  return create(NodeProtoSchema, { opType: op, domain, input: [...inputs], output: [...outputs], attribute })
}

/** `Cell(h, w) = leaky(h w)`, the slope given or 0.3; `Step(h, w) = Cell(Cell(h, w; 0.7), w) + h`, of opset `opset`. */
function functions(opset: number): FunctionProto[] {
  const opsetImport = [
    create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(opset) }),
    create(OperatorSetIdProtoSchema, { domain: 'own', version: 1n }),
  ]
  const slope = create(AttributeProtoSchema, { name: 'alpha', refAttrName: 'slope', type: Type.FLOAT })
  const usual = create(AttributeProtoSchema, { name: 'slope', type: Type.FLOAT, f: 0.3 })
  const axes = opset < 13 ? { axes: [0] } : {}
  const reduced = opset < 13 ? ['deep'] : ['deep', 'first']
  return [
    create(FunctionProtoSchema, {
      ...{ name: 'Cell', domain: 'own', opsetImport, input: ['h', 'w'], output: ['y'] },
      attributeProto: [usual],
      node: [
        proto(node('MatMul', ['h', 'w'], 'hw')),
        proto(node('Constant', [], 'first', { value_ints: [0] })),
        proto(node('Unsqueeze', opset < 13 ? ['hw'] : ['hw', 'first'], 'deep', axes)),
        proto(node('ReduceSum', reduced, 'flat', { ...axes, keepdims: 0 })),
        proto(node('LeakyRelu', ['flat'], 'y'), [slope]),
      ],
    }),
    create(FunctionProtoSchema, {
      ...{ name: 'Step', domain: 'own', opsetImport, input: ['h', 'w'], output: ['y'] },
      node: [
        proto(call('Cell', ['h', 'w'], ['once'], { slope: { float: 0.7 } })),
        proto(call('Cell', ['once', 'w'], ['twice'])),
        proto(node('Add', ['twice', 'h'], 'y')),
      ],
    }),
  ]
}

/** Calls the function by itself and in a loop. */
function network(opset: number): Graph {
  const body = loopBody(
    ['i', 'go', 'v'],
    ['go_on', 'v_next'],
    [node('Identity', ['go'], 'go_on'), call('Step', ['v', 'w'], ['v_next'])],
  )
  const graph = graphOf({
    irVersion: 10,
    opsets: new Map([
      ['', 18],
      ['own', 1],
    ]),
    inputs: [input('x', ['N', 3], 'float64')],
    initializers: { w: tensor('float64', [3, 3], W), times: tensor('int64', [], [2]) },
    nodes: [call('Step', ['x', 'w'], ['h']), carrying(node('Loop', ['times', '', 'h'], ['loss']), { body })],
    outputs: ['loss'],
  })
  return { ...graph, functions: functions(opset) }
}

describe('a network of model-local functions', () => {
  const data = { x: { dtype: 'float64', shape: [2, 3], values: X } } as const
  const parameters = { w: { dtype: 'float64', shape: [3, 3], values: W } } as const

  for (const [opset, title] of [
    [18, 'is differentiated as what ONNX Runtime runs, also where a loop calls them'],
    [12, 'is differentiated where its functions are written in an older operator set'],
  ] as const)
    it(title, async () => {
      const graph = decodeModel(encodeModel(network(opset)), 'network')
      expect(await runOnce(graph, data)).to.deep.equal(await runOnce(network(18), data))
      await checkGradient({ graph, parameters, data, loss: 'loss' })
    })
})
