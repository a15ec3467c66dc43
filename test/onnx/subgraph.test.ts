import { create } from '@bufbuild/protobuf'
import { expect } from 'chai'
import { UnsupportedModelError } from '../../src/errors.js'
import type { Graph } from '../../src/onnx/graph.js'
import { Inference } from '../../src/onnx/infer.js'
import {
  AttributeProto_AttributeType as Type,
  AttributeProtoSchema,
  GraphProtoSchema,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from '../../src/onnx/proto/onnx_pb.js'
import { capturedBy, renameReads, subgraphNames, subgraphOf } from '../../src/onnx/subgraph.js'
import { bodyOf, carrying, loopBody } from '../support/cases/bodies.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'

const inner = carrying(node('If', ['c'], ['t']), {
  then_branch: bodyOf([], ['p'], [node('Add', ['v', 'outer'], 'p')]),
  else_branch: bodyOf([], ['q'], [node('Mul', ['local', 'far'], 'q')]),
})
const scan = carrying(node('Scan', ['s', 'x'], ['end'], { num_scan_inputs: 1 }), {
  body: bodyOf(['v', 'slice'], ['t'], [node('Exp', ['slice'], 'local'), inner]),
})

function inferenceOf(graph: Graph): Inference {
  return new Inference(graph)
}

describe('graphs that nodes carry', () => {
  it('capture what they read and do not compute, however deep', () => {
    expect([...capturedBy(scan)].sort()).to.deep.equal(['c', 'far', 'outer'])
    expect(capturedBy(node('Add', ['a', 'b'], 'c'))).to.deep.equal([])
  })

  it('are renamed in what they capture, and only there', () => {
    const renamed = renameReads(scan, (name) => `${name}!`)
    expect(renamed.inputs).to.deep.equal(['s!', 'x!'])
    expect([...capturedBy(renamed)].sort()).to.deep.equal(['c!', 'far!', 'outer!'])
    const plain = node('Add', ['a', 'b'], 'c')
    expect(renameReads(plain, (name) => name)).to.equal(plain)
  })

  it('are decoded once', () => {
    const graph = graphOf({ inputs: [], nodes: [scan], outputs: ['end'] })
    expect(subgraphNames(scan)).to.deep.equal(['body'])
    expect(subgraphOf(graph, scan, 'body')).to.equal(subgraphOf(graph, scan, 'body'))
  })

  it('are refused where they keep their data in another file', () => {
    const weights = create(TensorProtoSchema, {
      name: 'far',
      dataLocation: TensorProto_DataLocation.EXTERNAL,
    })
    const attribute = create(AttributeProtoSchema, {
      name: 'then_branch',
      type: Type.GRAPH,
      g: create(GraphProtoSchema, { initializer: [weights] }),
    })
    const branch = { ...node('If', ['c'], 'y'), attributes: new Map([['then_branch', attribute]]) }
    const graph = graphOf({ inputs: [], nodes: [branch], outputs: ['y'] })
    expect(() => subgraphOf(graph, branch, 'then_branch')).to.throw(
      UnsupportedModelError,
      /If \(computes 'y'\) keeps 'far' of its graph in another file/,
    )
  })
})

describe('what is known of the body of a loop', () => {
  const loopOf = (nodes: Parameters<typeof bodyOf>[2], declared = false): Graph => {
    const body = loopBody(['i', 'go', 'v'], ['go_on', 'w'], [node('Identity', ['go'], 'go_on'), ...nodes])
    const inputs = declared ? body.inputs.with(2, input('v', ['rows', 3])) : body.inputs
    return graphOf({
      inputs: [input('x', ['N', 3])],
      initializers: { times: tensor('int64', [], [2]) },
      nodes: [carrying(node('Loop', ['times', '', 'x'], ['y']), { body: { ...body, inputs } })],
      outputs: ['y'],
    })
  }

  it('is the shape of a carried value that it gives back as it came', () => {
    const inference = inferenceOf(loopOf([node('Exp', ['v'], 'w')]))
    expect(inference.info('y')).to.deep.equal({ dtype: 'float32', shape: ['N', 3] })
  })

  it('is not a size that changes from iteration to iteration', () => {
    const { shape } = inferenceOf(loopOf([node('Concat', ['v', 'x'], 'w', { axis: 0 })])).info('y')
    expect(shape![0]).to.be.a('string').and.not.equal('N')
    expect(shape![1]).to.equal(3)
  })

  it('is what is declared where nothing follows', () => {
    const custom = { ...node('Wobble', ['v'], 'w'), domain: 'com.example' }
    expect(inferenceOf(loopOf([custom])).info('y').shape).to.equal(undefined)
    const graph = loopOf([custom], true)
    const body = inferenceOf(graph).body(graph.nodes[0]!, 'body')
    expect(body.inputs[2]!.shape![1]).to.equal(3)
  })
})
