import { copyFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { create, toBinary } from '@bufbuild/protobuf'
import { expect } from 'chai'
import { CheckpointError } from '../../src/errors.js'
import { readModel } from '../../src/onnx/read.js'
import { readStoredWeights } from '../../src/onnx/stored-weights.js'
import {
  GraphProtoSchema,
  ModelProtoSchema,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from '../../src/onnx/proto/onnx_pb.js'
import type { TensorProto } from '../../src/onnx/proto/onnx_pb.js'
import { useTempFolder } from '../io/temp-folder.js'
import { rejection } from '../support/rejection.js'

function modelOf(...initializer: TensorProto[]): Uint8Array {
  const graph = create(GraphProtoSchema, { name: 'g', initializer })
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 10n, graph }))
}

function floats(name: string, dims: bigint[], bytes: number): TensorProto {
  return create(TensorProtoSchema, { name, dataType: 1, dims, rawData: new Uint8Array(bytes) })
}

describe('the weights in an ONNX file, found without decoding it', () => {
  const file = useTempFolder()

  for (const name of ['dtypes.onnx', 'external.onnx'])
    it(`are those that decoding all of ${name} finds`, async () => {
      const path = `fixtures/onnx/${name}`
      const { initializers } = await readModel(path)
      const weights = await readStoredWeights(path, CheckpointError)
      const literals = [...initializers.values()].filter(({ literal }) => literal === true)
      expect(weights).to.have.length(initializers.size - literals.length)
      for (const weight of weights) {
        const decoded = initializers.get(weight.name)!
        expect({ shape: weight.shape, dtype: weight.dtype }, weight.name).to.deep.equal({
          shape: decoded.shape,
          dtype: decoded.dtype,
        })
        expect([...(await weight.read())], weight.name).to.deep.equal([...decoded.read()])
      }
    })

  /** Files that are refused, and what is said of them after their path. */
  const BAD: readonly (readonly [string, Uint8Array, RegExp])[] = [
    [
      'too few bytes for the shape',
      modelOf(floats('w', [2n, 3n], 20)),
      /tensor 'w' of shape \[2, 3\] needs 24 bytes and has 20/,
    ],
    [
      'a shape beyond all numbers',
      modelOf(floats('w', [2n ** 60n], 4)),
      /tensor 'w' has an impossible shape \[115292150460684\d+\]/,
    ],
    ['a negative size', modelOf(floats('w', [-1n], 4)), /tensor 'w' has an impossible shape \[-1\]/],
    [
      'typed numbers that are not there',
      modelOf(create(TensorProtoSchema, { name: 'w', dataType: 1, dims: [1000n], floatData: [1] })),
      /tensor 'w' of shape \[1000\] has only \d+ bytes/,
    ],
    [
      'two weights of one name',
      modelOf(floats('w', [1n], 4), floats('w', [1n], 4)),
      /corrupt: two initializers are named 'w'/,
    ],
    [
      'a message that promises more than the file',
      modelOf(floats('w', [100n], 400)).subarray(0, 200),
      /corrupt protobuf: a field of \d+ bytes in a message that ends before/,
    ],
    [
      'a length without end',
      Uint8Array.of(0x08, 0x0a, 0x3a, ...new Array<number>(12).fill(0xff)),
      /corrupt protobuf: a number that does not end/,
    ],
    ['a wire type that does not exist', Uint8Array.of(0x08, 0x0a, 0x3f), /corrupt protobuf: wire type 7/],
  ]
  for (const [i, [what, bytes, message]] of BAD.entries())
    it(`are refused where the file holds ${what}`, async () => {
      const path = file(`bad-${i}.onnx`, bytes)
      const error = await rejection(readStoredWeights(path, CheckpointError))
      expect(error).to.be.instanceOf(CheckpointError)
      expect(error.message).to.match(message).and.to.contain(path)
    })

  it('are refused where their external data is cut short, missing, or outside of the folder', async () => {
    const path = file('external.onnx')
    copyFileSync('fixtures/onnx/external.onnx', path)
    const missing = await rejection(readStoredWeights(path, CheckpointError))
    expect(missing.message).to.match(
      /keeps its data in 'external.weights', which can't be opened beside the model/,
    )
    writeFileSync(file('external.weights'), readFileSync('fixtures/onnx/external.weights'))
    truncateSync(file('external.weights'), 3)
    const short = await rejection(readStoredWeights(path, CheckpointError))
    expect(short.message).to.match(/'external.weights' holds 3 bytes, \d+ are needed: is it truncated\?/)
    const tensor = create(TensorProtoSchema, {
      name: 'w',
      dataType: 1,
      dims: [1n],
      dataLocation: TensorProto_DataLocation.EXTERNAL,
      externalData: [{ key: 'location', value: '../../../../../../etc/passwd' }],
    })
    const outside = await rejection(readStoredWeights(file('outside.onnx', modelOf(tensor)), CheckpointError))
    expect(outside).to.be.instanceOf(CheckpointError)
    expect(outside.message).to.match(/points outside the model's folder \('.*passwd'\): refused/)
  })
})
