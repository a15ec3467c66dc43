import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create, toBinary } from '@bufbuild/protobuf'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { expect } from 'chai'
import { ModelError, UnsupportedModelError, UsageError } from '../../src/errors.js'
import type { Graph } from '../../src/onnx/graph.js'
import { AttributeProto_AttributeType as Type, ModelProtoSchema } from '../../src/onnx/proto/onnx_pb.js'
import type { GraphProtoSchema, TypeProtoSchema } from '../../src/onnx/proto/onnx_pb.js'
import { decodeModel, readModel } from '../../src/onnx/read.js'
import { integersOf } from '../../src/onnx/tensors.js'

type GraphInit = MessageInitShape<typeof GraphProtoSchema>

const weight = { name: 'w', dataType: 1, dims: [1n], floatData: [2] }
const valid: GraphInit = {
  input: [{ name: 'x' }],
  output: [{ name: 'y' }],
  initializer: [weight],
  node: [{ opType: 'Mul', input: ['x', 'w'], output: ['y'] }],
}

function decode(graph: GraphInit, version = 18n): Graph {
  const model = create(ModelProtoSchema, { irVersion: 8n, opsetImport: [{ domain: '', version }], graph })
  return decodeModel(toBinary(ModelProtoSchema, model), 'm.onnx')
}

describe('reading a model', () => {
  it('gives inputs, outputs, initializers and nodes', () => {
    const graph = decode(valid)
    expect(graph.inputs.map(({ name }) => name)).to.deep.equal(['x'])
    expect(graph.outputs.map(({ name }) => name)).to.deep.equal(['y'])
    expect([...graph.initializers.keys()]).to.deep.equal(['w'])
    expect(graph.nodes.map(({ op, inputs }) => [op, inputs])).to.deep.equal([['Mul', ['x', 'w']]])
    expect(graph.opsets).to.deep.equal(new Map([['', 18]]))
  })

  it('takes initializers that are listed as inputs (IR 3) for initializers', () => {
    expect(
      decode({ ...valid, input: [{ name: 'x' }, { name: 'w' }] }).inputs.map(({ name }) => name),
    ).to.deep.equal(['x'])
  })

  it('takes sizes as numbers, symbols, and symbols of their own where nothing usable is said', () => {
    const type: MessageInitShape<typeof TypeProtoSchema> = {
      value: {
        case: 'tensorType',
        value: {
          elemType: 1,
          shape: {
            dim: [
              { value: { case: 'dimValue', value: 3n } },
              { value: { case: 'dimParam', value: 'batch' } },
              { value: { case: 'dimParam', value: '' } },
              { value: { case: 'dimValue', value: -1n } },
              {},
              { value: { case: 'dimParam', value: '2*s0' } },
              { value: { case: 'dimParam', value: '2*s0 + 1' } },
            ],
          },
        },
      },
    }
    const { inputs } = decode({ ...valid, input: [{ name: 'x', type }] })
    expect(inputs).to.deep.equal([
      { name: 'x', dtype: 'float32', shape: [3, 'batch', 'x.2', 'x.3', 'x.4', '2*s0', '2 x s0 + 1'] },
    ])
  })

  it('reads the domain ai.onnx as the default one', () => {
    const model = create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [{ domain: 'ai.onnx', version: 18n }],
      graph: { ...valid, node: [{ opType: 'Mul', domain: 'ai.onnx', input: ['x', 'w'], output: ['y'] }] },
    })
    const graph = decodeModel(toBinary(ModelProtoSchema, model), 'm.onnx')
    expect(graph.nodes[0]!.domain).to.equal('')
    expect(graph.opsets).to.deep.equal(new Map([['', 18]]))
  })

  it('turns Constant nodes of every form into initializers', () => {
    const constant = (output: string, attribute: object): object => ({
      opType: 'Constant',
      output: [output],
      attribute: [attribute],
    })
    const graph = decode({
      ...valid,
      node: [
        constant('tensor', {
          name: 'value',
          type: Type.TENSOR,
          t: { dataType: 7, dims: [2n], int64Data: [4n, 5n] },
        }),
        constant('int', { name: 'value_int', type: Type.INT, i: -3n }),
        constant('ints', { name: 'value_ints', type: Type.INTS, ints: [1n, 2n] }),
        constant('float', { name: 'value_float', type: Type.FLOAT, f: 0.5 }),
        constant('floats', { name: 'value_floats', type: Type.FLOATS, floats: [0.5, 2] }),
        ...valid.node!,
      ],
    })
    const shapes = ['tensor', 'int', 'ints', 'float', 'floats'].map(
      (name) => graph.initializers.get(name)!.shape,
    )
    expect(shapes).to.deep.equal([[2], [], [2], [], [2]])
    expect(integersOf(graph.initializers.get('tensor')!)).to.deep.equal([4, 5])
    expect(integersOf(graph.initializers.get('int')!)).to.deep.equal([-3])
    expect(new Float32Array(graph.initializers.get('floats')!.read().slice().buffer)).to.deep.equal(
      Float32Array.of(0.5, 2),
    )
    expect(graph.nodes).to.have.length(1)
  })
})

describe('a model that is not valid is refused', () => {
  it('graphs inside of graphs, deeper than any network needs', () => {
    const nested = (depth: number): GraphInit => ({
      input: depth < 8 ? [] : [{ name: 'x' }, { name: 'c' }],
      output: [{ name: `y${depth}` }],
      node: [
        depth === 0
          ? { opType: 'Neg', input: ['x'], output: ['y0'] }
          : {
              opType: 'If',
              input: ['c'],
              output: [`y${depth}`],
              attribute: [{ name: 'then_branch', type: Type.GRAPH, g: nested(depth - 1) }],
            },
      ],
    })
    expect(decode(nested(8)).nodes).to.have.length(1)
    expect(() => decode(nested(9))).to.throw(UnsupportedModelError, 'more than 8 deep')
  })

  const refused = (title: string, graph: GraphInit, message: RegExp | string): void => {
    it(title, () => {
      expect(() => decode(graph)).to.throw(ModelError, message)
    })
  }

  refused(
    'where a node reads what comes after it',
    {
      ...valid,
      node: [
        { opType: 'Exp', name: 'second', input: ['h'], output: ['y'] },
        { opType: 'Mul', input: ['x', 'w'], output: ['h'] },
      ],
    },
    "m.onnx: node Exp 'second' (computes 'y') reads 'h', which nothing before it computes",
  )
  refused(
    'where a value is computed twice',
    { ...valid, node: [...valid.node!, { opType: 'Exp', input: ['x'], output: ['y'] }] },
    "m.onnx: 'y' is computed twice; the second time by Exp (computes 'y')",
  )
  refused(
    'where a node computes an input anew',
    { ...valid, node: [{ opType: 'Exp', input: ['x'], output: ['x'] }, ...valid.node!] },
    "'x' is computed twice",
  )
  refused(
    'where an output is computed by no node',
    { ...valid, output: [{ name: 'z' }] },
    "output 'z' is computed by no node",
  )
  refused(
    'with two inputs of one name',
    { ...valid, input: [{ name: 'x' }, { name: 'x' }] },
    "two inputs named 'x'",
  )
  refused(
    'with two initializers of one name',
    { ...valid, initializer: [weight, weight] },
    "two constants named 'w'",
  )
  refused(
    'with a Constant node of an initializer’s name',
    {
      ...valid,
      node: [
        { opType: 'Constant', output: ['w'], attribute: [{ name: 'value_int', i: 1n }] },
        ...valid.node!,
      ],
    },
    "two constants named 'w'",
  )

  it('without a graph', () => {
    expect(() => decodeModel(new Uint8Array(0), 'm.onnx')).to.throw(
      ModelError,
      'm.onnx: not an ONNX model (it holds no graph)',
    )
  })

  it('without an ai.onnx operator set', () => {
    const model = create(ModelProtoSchema, { irVersion: 8n, graph: valid })
    expect(() => decodeModel(toBinary(ModelProtoSchema, model), 'm.onnx')).to.throw(
      ModelError,
      /imports no ai\.onnx operator set/,
    )
  })

  it('of an operator set older than 11, with the one to export', () => {
    expect(() => decode(valid, 10n)).to.throw(
      UnsupportedModelError,
      'm.onnx: opset 10 is older than 11, the oldest that retrograd reads; export with opset_version=17 or newer',
    )
    expect(decode(valid, 11n).nodes).to.have.length(1)
  })

  it('with sparse initializers', () => {
    expect(() => decode({ ...valid, sparseInitializer: [{ dims: [3n] }] })).to.throw(
      UnsupportedModelError,
      /sparse/,
    )
  })

  it('in bytes that are no protobuf, or cut short anywhere', () => {
    expect(() => decodeModel(new TextEncoder().encode('hello, not a model'), 'm.onnx')).to.throw(
      ModelError,
      /m\.onnx: not an ONNX model/,
    )
    const whole = readFileSync('fixtures/onnx/dtypes.onnx')
    for (let length = 0; length < whole.length; length += 7)
      expect(() => decodeModel(whole.subarray(0, length), 'm.onnx'), `${length} bytes`).to.throw(ModelError)
  })

  it('where a byte is wrong, by an error of its own kind or not at all', () => {
    const whole = readFileSync('fixtures/onnx/external.onnx')
    for (let at = 0; at < whole.length; at += 1) {
      const broken = Uint8Array.from(whole).with(at, whole[at]! ^ 0xff)
      try {
        decodeModel(broken, 'm.onnx')
      } catch (error) {
        expect(error, `byte ${at}`).to.satisfy(
          (e: unknown) => e instanceof ModelError || e instanceof UnsupportedModelError,
        )
      }
    }
  })
})

describe('a model file', () => {
  it('that is not there is a mistake of usage', async () => {
    const failure = await readModel('fixtures/onnx/absent.onnx').catch((error: unknown) => error)
    expect(failure)
      .to.be.instanceOf(UsageError)
      .with.property('message', 'fixtures/onnx/absent.onnx: no such model file')
  })

  it('that is a folder is a mistake of usage', async () => {
    const failure = await readModel('fixtures/onnx').catch((error: unknown) => error)
    expect(failure)
      .to.be.instanceOf(UsageError)
      .with.property('message', 'fixtures/onnx: is a folder; name an ONNX file')
  })

  it('that holds something else is refused by its path', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'retrograd-'))
    const path = join(folder, 'model.onnx')
    writeFileSync(path, 'version https://git-lfs.github.com/spec/v1\n')
    const failure = await readModel(path).catch((error: unknown) => error)
    rmSync(folder, { recursive: true })
    expect(failure).to.be.instanceOf(ModelError)
    expect(String(failure)).to.contain(path)
  })
})
