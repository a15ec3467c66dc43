import { readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { expect } from 'chai'

import type { Graph } from '../../src/onnx/graph.js'
import { withoutLargeTensors } from '../../src/onnx/large-tensors.js'
import { decodeModel, readModel } from '../../src/onnx/read.js'
import { encodeModel } from '../../src/onnx/write.js'
import { useTempFolder } from '../io/temp-folder.js'
import { graphOf, input, node, tensor } from '../support/graphs.js'
import { rejection } from '../support/rejection.js'

/** The number of floats in a tensor of some 36 MiB. */
const LARGE = 9_500_000

describe('a model whose file is large', () => {
  const file = useTempFolder()
  const large = Array.from({ length: LARGE }, (_, i) => (i % 4096) / 8)
  const model = graphOf({
    inputs: [input('x', ['batch', LARGE])],
    outputs: ['y'],
    initializers: {
      small: tensor('float32', [2], [1, 2]),
      large: tensor('float32', [LARGE], large),
      between: tensor('int64', [1], [7]),
    },
    nodes: [node('Mul', ['x', 'large'], 'a'), node('Add', ['a', 'large'], 'y')],
  })
  const bytes = encodeModel(model, { producerVersion: '1', description: 'of a test' })
  const facts = (graph: Graph): unknown => ({
    ...graph,
    initializers: [...graph.initializers].map(([name, { shape, dtype, code, read }]) => ({
      name,
      shape,
      dtype,
      code,
      numbers: Buffer.from(read()).toString('base64').length,
    })),
  })

  it('is read without the numbers of its large tensors, and is the same model', async () => {
    const path = file('model.onnx', bytes)
    const light = await withoutLargeTensors(path)
    expect(light!.bytes.length).to.be.below(1000)
    expect([...light!.places.keys()]).to.deep.equal(['large'])
    expect(facts(await readModel(path))).to.deep.equal(facts(decodeModel(bytes, path)))
  })

  it('gives the numbers of a large tensor when they are asked for, through a link too', async () => {
    const path = file('link.onnx')
    symlinkSync(file('model.onnx', bytes), path)
    const read = (await readModel(path)).initializers.get('large')!.read()
    expect(Buffer.from(read).equals(Buffer.from(Float32Array.from(large).buffer))).to.equal(true)
  })

  it('is refused where its file is cut off, or is none, as a small one is', async () => {
    const cut = file('cut.onnx', bytes)
    truncateSync(cut, bytes.length - 1000)
    const noise = file('noise.onnx', Buffer.alloc(bytes.length, 0xff))
    for (const path of [cut, noise])
      expect((await rejection(readModel(path))).message).to.equal(
        `${path}: not an ONNX model, or truncated (protobuf can't be decoded)`,
      )
  })

  it('is refused where the bytes of a large tensor do not fit its shape', async () => {
    const wrong = { ...model.initializers.get('large')!, shape: [LARGE - 1] }
    const path = file(
      'wrong.onnx',
      encodeModel({ ...model, initializers: new Map([...model.initializers, ['large', wrong]]) }),
    )
    expect((await rejection(readModel(path))).message).to.equal(
      `${path}: tensor 'large' of shape [${LARGE - 1}] needs ${4 * LARGE - 4} bytes and has ${4 * LARGE}`,
    )
  })

  it('is refused where two large tensors have one name', async () => {
    // messages that are repeated in a file are joined: the second graph adds its initializers to the first one's
    const path = file('twice.onnx', Buffer.concat([bytes, bytes]))
    expect((await rejection(readModel(path))).message).to.contain('two constants named')
  })

  it('says so where the file ends before numbers that are asked for late', async () => {
    const path = file('later.onnx', bytes)
    const graph = await readModel(path)
    writeFileSync(path, readFileSync(path).subarray(0, 1000))
    expect(() => graph.initializers.get('large')!.read()).to.throw('ended while it was read')
  })
})
