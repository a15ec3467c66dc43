import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { expect } from 'chai'
import { ModelError } from '../../src/errors.js'
import { TensorProto_DataLocation, TensorProtoSchema } from '../../src/onnx/proto/onnx_pb.js'
import { readModel } from '../../src/onnx/read.js'
import { readInitializer } from '../../src/onnx/tensors.js'
import type { Initializer } from '../../src/onnx/graph.js'

function floats(initializer: Initializer): number[] {
  return [...new Float32Array(initializer.read().slice().buffer)]
}

describe('weights beside a model (external data)', () => {
  let folder: string
  let outside: string

  beforeEach(() => {
    const root = mkdtempSync(join(tmpdir(), 'retrograd-'))
    folder = join(root, 'model')
    outside = join(root, 'secret.bin')
    mkdirSync(folder)
    writeFileSync(outside, new Uint8Array(64))
    for (const name of ['external.onnx', 'external.weights'])
      copyFileSync(join('fixtures/onnx', name), join(folder, name))
  })

  afterEach(() => {
    rmSync(join(folder, '..'), { recursive: true })
  })

  /** A float32 tensor of two elements that declares its data with these entries. */
  function external(entries: Readonly<Record<string, string>>, size = 2n): Initializer {
    const tensor = create(TensorProtoSchema, {
      name: 'w',
      dataType: 1,
      dims: [size],
      dataLocation: TensorProto_DataLocation.EXTERNAL,
      externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
    })
    return readInitializer(tensor, join(folder, 'external.onnx'))
  }

  const refused = (entries: Readonly<Record<string, string>>, message: RegExp | string): void => {
    expect(() => external(entries).read()).to.throw(ModelError, message)
  }

  it('are read where the onnx package put them', async () => {
    const { initializers } = await readModel(join(folder, 'external.onnx'))
    expect(floats(initializers.get('w')!)).to.deep.equal([
      2.040919065475464, -2.5556650161743164, 0.4180988371372223, -0.5677695870399475, -0.4526492953300476,
      -0.21559716761112213,
    ])
    expect(floats(initializers.get('b')!)).to.deep.equal([0.25, -1.5])
  })

  it('are not touched before they are asked for', async () => {
    rmSync(join(folder, 'external.weights'))
    const { initializers } = await readModel(join(folder, 'external.onnx'))
    expect(initializers.get('w')!.shape).to.deep.equal([3, 2])
    expect(() => initializers.get('w')!.read()).to.throw(
      ModelError,
      "tensor 'w' keeps its data in 'external.weights', which can't be opened beside the model",
    )
  })

  it('are refused in a truncated file, with both sizes', async () => {
    truncateSync(join(folder, 'external.weights'), 28)
    const { initializers } = await readModel(join(folder, 'external.onnx'))
    expect(() => initializers.get('b')!.read()).to.throw(
      ModelError,
      "'external.weights' holds 28 bytes, 32 are needed: is it truncated?",
    )
  })

  it('are refused where the declared length is not that of the shape', () => {
    refused(
      { location: 'external.weights', length: '12' },
      "tensor 'w' needs 8 bytes of external data and declares 12",
    )
  })

  it('are refused without a usable location, offset and length', () => {
    const message = 'without a usable location, offset and length'
    refused({}, message)
    refused({ location: 'external.weights', offset: '-8' }, message)
    refused({ location: 'external.weights', offset: '1e99' }, message)
    refused({ location: 'external.weights', length: 'many' }, message)
  })

  it('are refused outside the folder of the model, however they are named', () => {
    symlinkSync(outside, join(folder, 'link.bin'))
    for (const location of ['../secret.bin', outside, 'link.bin', 'x/../../secret.bin'])
      refused({ location }, /points outside the model's folder|can't be opened beside the model/)
    refused({ location: '../secret.bin' }, "points outside the model's folder ('../secret.bin'): refused")
    refused({ location: 'link.bin' }, "points outside the model's folder ('link.bin'): refused")
    refused({ location: outside }, "points outside the model's folder")
  })

  it('are refused in what is no file', () => {
    mkdirSync(join(folder, 'weights'))
    refused({ location: 'weights' }, "'weights' is not a file")
    refused({ location: '.' }, "'.' is not a file")
  })

  it('of a huge declared size cost no memory before they are refused', () => {
    expect(() => external({ location: 'external.weights' }, 2n ** 45n).read()).to.throw(
      ModelError,
      /holds 32 bytes, \d+ are needed/,
    )
  })
})
