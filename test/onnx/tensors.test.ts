import { readFileSync } from 'node:fs'
import { create, fromBinary } from '@bufbuild/protobuf'
import { expect } from 'chai'
import { ModelError, UnsupportedModelError } from '../../src/errors.js'
import { readModel } from '../../src/onnx/read.js'
import { ModelProtoSchema, TensorProto_DataType, TensorProtoSchema } from '../../src/onnx/proto/onnx_pb.js'
import { integersOf, readInitializer } from '../../src/onnx/tensors.js'
import type { DType } from '../../src/tensor.js'
import { tensor } from '../support/graphs.js'

/** The elements that scripts/make-fixtures/onnx-models.py wrote, as they lie in memory (16-bit floats by their bits). */
const EXPECTED: Readonly<Record<string, [DType, ArrayBufferView]>> = {
  FLOAT: ['float32', Float32Array.of(-2, 0.5, 1, 3)],
  DOUBLE: ['float64', Float64Array.of(-2, 0.5, 1, 3)],
  FLOAT16: ['float16', Uint16Array.of(0xc000, 0x3800, 0x3c00, 0x4200)],
  BFLOAT16: ['bfloat16', Uint16Array.of(0xc000, 0x3f00, 0x3f80, 0x4040)],
  INT64: ['int64', BigInt64Array.of(-2n, 0n, 1n, 3n)],
  INT32: ['int32', Int32Array.of(-2, 0, 1, 3)],
  INT16: ['int16', Int16Array.of(-2, 0, 1, 3)],
  INT8: ['int8', Int8Array.of(-2, 0, 1, 3)],
  UINT64: ['uint64', BigUint64Array.of(2n, 0n, 1n, 3n)],
  UINT32: ['uint32', Uint32Array.of(2, 0, 1, 3)],
  UINT16: ['uint16', Uint16Array.of(2, 0, 1, 3)],
  UINT8: ['uint8', Uint8Array.of(2, 0, 1, 3)],
  BOOL: ['bool', Uint8Array.of(1, 0, 1, 1)],
}

describe('tensors inside a model', () => {
  for (const [name, [dtype, { buffer }]] of Object.entries(EXPECTED))
    for (const form of ['raw', 'typed'])
      it(`of type ${name} are read from their ${form} form`, async () => {
        const { initializers } = await readModel('fixtures/onnx/dtypes.onnx')
        const found = initializers.get(`${name}/${form}`)!
        expect(found.dtype).to.equal(dtype)
        expect(found.shape).to.deep.equal([2, 2])
        expect([...found.read()]).to.deep.equal([...new Uint8Array(buffer)])
      })

  it('lie in the fixture in both forms, as the names say', () => {
    const { graph } = fromBinary(ModelProtoSchema, readFileSync('fixtures/onnx/dtypes.onnx'))
    for (const { name, rawData } of graph!.initializer)
      expect(rawData.byteLength > 0, name).to.equal(name.endsWith('/raw'))
  })

  it('are refused where their elements are fewer than their shape says', () => {
    const short = create(TensorProtoSchema, {
      name: 'w',
      dataType: 1,
      dims: [2n, 3n],
      floatData: [1, 2, 3, 4, 5],
    })
    expect(() => readInitializer(short, 'm.onnx')).to.throw(
      ModelError,
      "m.onnx: tensor 'w' of shape [2, 3] needs 24 bytes and has 20",
    )
  })

  it('are refused where their shape is negative or too large to count', () => {
    for (const size of [-1n, 2n ** 60n]) {
      const odd = create(TensorProtoSchema, { name: 'w', dataType: 1, dims: [size] })
      expect(() => readInitializer(odd, 'm.onnx')).to.throw(
        ModelError,
        `'w' has an impossible shape [${size}]`,
      )
    }
  })

  it('of a huge declared size cost no memory before they are refused', () => {
    const huge = create(TensorProtoSchema, { name: 'w', dataType: 1, dims: [2n ** 40n, 2n ** 20n] })
    expect(() => readInitializer(huge, 'm.onnx')).to.throw(ModelError, /needs \d+ bytes and has 0/)
  })

  it('of types that retrograd does not compute with are refused by name', () => {
    const text = create(TensorProtoSchema, {
      name: 's',
      dataType: TensorProto_DataType.STRING,
      dims: [1n],
      stringData: [new Uint8Array([65])],
    })
    expect(() => readInitializer(text, 'm.onnx')).to.throw(
      UnsupportedModelError,
      "m.onnx: tensor 's' has element type STRING, which retrograd does not read",
    )
  })
})

describe('integersOf', () => {
  it('gives the elements of int64 and int32 tensors, and nothing of others', () => {
    expect(integersOf(tensor('int64', [3], [-1, 0, 7]))).to.deep.equal([-1, 0, 7])
    expect(integersOf(tensor('int32', [2], [-1, 7]))).to.deep.equal([-1, 7])
    expect(integersOf(tensor('float32', [1], [1]))).to.equal(undefined)
  })
})
