import { readFileSync } from 'node:fs'
import { expect } from 'chai'

import { CheckpointError, CheckpointFormatError } from '../../src/errors.js'
import { hdf5 } from '../../src/trajectory/formats/hdf5.js'
import { pytorch } from '../../src/trajectory/formats/pytorch.js'
import { safetensors } from '../../src/trajectory/formats/safetensors.js'
import type { CheckpointFormat, OpenedFile, Save } from '../../src/trajectory/formats/format.js'
import { widenFloat8 } from '../../src/io/float8.js'
import { FLOAT8_DTYPES, isFloat, type Float8DType } from '../../src/tensor.js'
import { rejection } from '../support/rejection.js'

const FOLDER = 'fixtures/trajectory'

/** What Python read from the same files (scripts/make-fixtures/trajectory.py). */
type Expected = Record<string, Record<string, { shape: number[]; values: number[] | null }>>
const expected = JSON.parse(readFileSync(`${FOLDER}/expected.json`, 'utf8')) as Expected

async function openFile(format: CheckpointFormat, name: string): Promise<OpenedFile> {
  const opened = await format.open(`${FOLDER}/${name}`)
  if ('reason' in opened) throw new Error(opened.reason)
  return opened
}

async function openSave(format: CheckpointFormat, name: string): Promise<Save> {
  return (await openFile(format, name)).saves[0]!
}

const SAVED: readonly { format: CheckpointFormat; name: string; what: string }[] = [
  { format: pytorch, name: 'dtypes.pt', what: 'torch.save with every element type and kind of view' },
  { format: pytorch, name: 'dtypes.protocol4.pt', what: 'torch.save with pickle protocol 4' },
  { format: pytorch, name: 'dtypes.protocol5.pt', what: 'torch.save with pickle protocol 5' },
  { format: pytorch, name: 'deflated.pt', what: 'a file of torch.save that was zipped again' },
  { format: pytorch, name: 'parameters.pt', what: 'parameters beside an optimizer state and plain values' },
  { format: safetensors, name: 'dtypes.safetensors', what: 'safetensors of every element type' },
]

describe('checkpoint formats', () => {
  for (const { format, name, what } of SAVED) {
    it(`reads what Python reads from ${what}`, async () => {
      const save = await openSave(format, name)
      for (const [tensor, { shape, values }] of Object.entries(expected[name]!)) {
        expect(save.tensors.get(tensor)?.shape, tensor).to.deep.equal(shape)
        expect(isFloat(save.tensors.get(tensor)!.dtype), tensor).to.equal(values !== null)
        if (values !== null) expect([...(await save.read(tensor)).data], tensor).to.deep.equal(values)
      }
    })
  }

  it('reads the format from before PyTorch 1.6', async () => {
    const save = await openSave(pytorch, 'legacy.pt')
    expect([...save.tensors.keys()]).to.deep.equal(['a'])
    expect([...(await save.read('a')).data]).to.deep.equal([1, 1])
  })

  it('names element types as the network does', async () => {
    const { tensors } = await openSave(pytorch, 'dtypes.pt')
    const names = ['double', 'float', 'half', 'bfloat', 'long', 'int', 'short', 'char', 'byte', 'bool']
    expect(names.map((name) => tensors.get(name)?.dtype)).to.deep.equal([
      'float64',
      'float32',
      'float16',
      'bfloat16',
      'int64',
      'int32',
      'int16',
      'int8',
      'uint8',
      'bool',
    ])
  })

  it('keeps float64 as float64 and widens the rest to float32', async () => {
    const save = await openSave(pytorch, 'dtypes.pt')
    expect((await save.read('double')).data).to.be.instanceOf(Float64Array)
    expect((await save.read('half')).data).to.be.instanceOf(Float32Array)
  })

  it('finds the counters inside the files', async () => {
    expect([...(await openSave(pytorch, 'dtypes.pt')).counters]).to.deep.equal([['step', 5]])
    expect([...(await openSave(pytorch, 'parameters.pt')).counters]).to.deep.equal([['epoch', 12]])
    expect([...(await openSave(safetensors, 'dtypes.safetensors')).counters]).to.deep.equal([
      ['global_step', 17],
    ])
  })

  it('reads integers as no weights', async () => {
    const error = await rejection((await openSave(pytorch, 'dtypes.pt')).read('long'))
    expect(error).to.be.instanceOf(CheckpointError)
    expect(error.message).to.contain('tensor long holds int64, not floats')
  })

  it('widens every pattern of every 8-bit float as ml_dtypes does', () => {
    const table = JSON.parse(readFileSync(`${FOLDER}/float8.json`, 'utf8')) as Record<
      Float8DType,
      (number | string)[]
    >
    expect(Object.keys(table)).to.have.members([...FLOAT8_DTYPES])
    const patterns = Uint8Array.from({ length: 256 }, (_, bits) => bits)
    for (const dtype of FLOAT8_DTYPES)
      expect(
        [...widenFloat8(patterns, dtype)].map((value) => (Number.isFinite(value) ? value : String(value))),
        dtype,
      ).to.deep.equal(table[dtype])
  })

  for (const [format, name, tensor, dtype] of [
    [pytorch, 'float8.pt', 'a', 'float8_e4m3fn'],
    [safetensors, 'dtypes.safetensors', 'float8', 'float8_e5m2'],
  ] as const) {
    it(`reads the 8-bit floats of ${name}`, async () => {
      const read = await (await openSave(format, name)).read(tensor)
      expect(read.dtype).to.equal(dtype)
      expect([...read.data]).to.deep.equal([1, 1])
    })
  }

  it("divides the rows of the LCA paper's file into tensors", async () => {
    const file = await openFile(hdf5, 'lca.h5')
    const rows = expected['lca.h5'] as unknown as Record<string, number[]>[]
    expect(file.saves).to.have.length(3)
    for (const [i, save] of file.saves.entries()) {
      expect(save.path).to.equal(`${FOLDER}/lca.h5 save ${i}`)
      expect(save.tensors.get('net/fc_1/kernel:0')?.shape).to.deep.equal([2, 3])
      for (const [tensor, values] of Object.entries(rows[i]!)) {
        expect([...(await save.read(tensor)).data]).to.deep.equal(values)
      }
    }
    const [first, second] = await Promise.all(file.saves.map((save) => save.fingerprint()))
    expect(first)
      .to.match(/^[0-9a-f]{64}$/)
      .and.not.equal(second)
  })

  const REFUSED: readonly [string, RegExp][] = [
    [
      'evil.pt',
      /needs (posix|nt)\.system, which is no tensor.*torch\.save\(model\.state_dict\(\), "evil\.pt"\)/,
    ],
    ['module.pt', /needs torch\.nn\.modules\.linear\.Linear, which is no tensor/],
    ['sparse.pt', /needs torch\._utils\._rebuild_sparse_tensor/],
    ['big-endian.pt', /its numbers are big-endian; only little is read/],
  ]
  for (const [name, message] of REFUSED) {
    it(`refuses ${name} and says what to do`, async () => {
      const error = await rejection(openFile(pytorch, name))
      expect(error).to.be.instanceOf(CheckpointFormatError)
      expect(error.message).to.match(message)
    })
  }
})
