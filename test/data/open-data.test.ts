import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { expect } from 'chai'

import { DataError, UsageError } from '../../src/errors.js'
import { openData } from '../../src/data/open-data.js'
import type { DataNeeds, DataOptions, DataSet, Dim } from '../../src/data/needs.js'
import type { DType } from '../../src/tensor.js'
import { useTempFolder } from '../io/temp-folder.js'
import { rejection } from '../support/rejection.js'

const FOLDER = 'fixtures/data'

/** The value of every fixture at (i, j): scripts/make-fixtures/data.py. */
const X = Array.from({ length: 24 }, (_, k) => Math.floor(k / 6) + (k % 6) / 8 - 2)
const Y = [0n, 1n, 2n, 0n]

const labels = { kind: 'labels', positions: [] } as const
const input = (
  dims: readonly Dim[],
  dtype: DType = 'float32',
  name = 'input',
): DataNeeds['inputs'][number] => ({ name, dtype, dims })
const six: DataNeeds = { inputs: [input(['N', 6])] }
const pair: DataNeeds = { ...six, target: { ...labels, classes: 3 } }

function open(name: string, needs: DataNeeds, options: Partial<DataOptions> = {}): Promise<DataSet> {
  return openData(`${FOLDER}/${name}`, needs, { scale: 'auto', ...options })
}

const inputOf = (data: DataSet, name = 'input'): number[] => [...data.inputs.get(name)!.data].map(Number)

describe('opening data', () => {
  for (const name of [
    'float32',
    'float64-big-endian',
    'float16-fortran',
    'float32-version2',
    'float32-version3',
  ]) {
    it(`reads ${name}.npy row by row as float32`, async () => {
      const data = await open(`${name}.npy`, six)
      expect(inputOf(data)).to.deep.equal(X)
      expect(data.inputs.get('input')!.data).to.be.instanceOf(Float32Array)
      expect(data.samples).to.equal(4)
    })
  }

  it('reads a Fortran-ordered array of three axes', async () => {
    const data = await open('float32-fortran.npy', { inputs: [input(['N', 3, 2])] })
    expect(inputOf(data)).to.deep.equal(X)
  })

  for (const name of ['pair.npz', 'pair-deflated.npz']) {
    it(`finds x and y in ${name}`, async () => {
      const data = await open(name, pair)
      expect(inputOf(data)).to.deep.equal(X)
      expect([...data.target!.data]).to.deep.equal(Y)
      expect(data.target).to.include({ dtype: 'int64' })
      expect(data.notes).to.deep.equal([])
      expect(await data.sha256()).to.equal(
        createHash('sha256')
          .update(readFileSync(`${FOLDER}/${name}`))
          .digest('hex'),
      )
    })
  }

  for (const kind of ['i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'i4-big-endian']) {
    it(`takes labels of type ${kind} as int64`, async () => {
      const needs: DataNeeds = { inputs: [input(['N'], 'int64')] }
      expect([...(await open(`labels-${kind}.npy`, needs)).inputs.get('input')!.data]).to.deep.equal(Y)
    })
  }

  it('divides uint8 images by 255 and fits them to a flat input, and says both', async () => {
    const data = await open('images.h5', pair)
    expect(inputOf(data)).to.deep.equal(Array.from({ length: 24 }, (_, k) => Math.fround((10 * k) / 255)))
    expect([...data.target!.data]).to.deep.equal(Y)
    expect(data.notes).to.deep.equal([
      `${FOLDER}/images.h5: images for input 'input': samples of 3 x 2 x 1 are taken as 6`,
      `${FOLDER}/images.h5: images: uint8 values are divided by 255`,
    ])
  })

  it('leaves images alone where the scale is none, and divides floats where it is 255', async () => {
    expect(inputOf(await open('images.h5', pair, { scale: 'none' }))[23]).to.equal(230)
    expect(inputOf(await open('float32.npy', six, { scale: '255' }))[0]).to.equal(Math.fround(-2 / 255))
  })

  it('reads the half, big-endian and boolean datasets of HDF5', async () => {
    expect(inputOf(await open('images.h5', six, { input: 'half' }))).to.deep.equal(X)
    expect(inputOf(await open('images.h5', six, { input: 'big' }))).to.deep.equal(X)
    expect(inputOf(await open('images.h5', { inputs: [input(['N'])] }, { input: 'mask' }))).to.deep.equal([
      0, 1, 1, 0,
    ])
  })

  it('does not follow links to other files', async () => {
    const error = await rejection(open('links.h5', six))
    expect(error.message).to.contain('it holds labels int64 4;')
  })

  it('keeps float64 for a network that takes float64', async () => {
    const data = await open('float64-big-endian.npy', { inputs: [input(['N', 6], 'float64')] })
    expect(data.inputs.get('input')!.data).to.be.instanceOf(Float64Array)
  })

  it('takes real targets in the dims of the prediction, uint8 ones unscaled', async () => {
    const needs: DataNeeds = { ...six, target: { kind: 'values', dims: ['N', 6] } }
    const data = await open('images.h5', needs, { input: 'half', target: 'images' })
    expect([...data.target!.data]).to.deep.equal(Array.from({ length: 24 }, (_, k) => 10 * k))
    expect(data.notes.join()).to.contain('uint8 targets are taken as they are')
  })

  it('scales a target that is the input itself as the input is', async () => {
    const needs: DataNeeds = { ...six, target: { kind: 'values', dims: ['N', 6] } }
    const data = await open('images.h5', needs, { target: 'images' })
    expect([...data.target!.data]).to.deep.equal([...data.inputs.get('input')!.data])
  })

  it('gives every input of a network the array of its name, and one named like a target the target', async () => {
    const needs: DataNeeds = {
      inputs: [input(['N', 6], 'float32', 'features'), input(['N'], 'int64', 'labels')],
    }
    const data = await open('pair.npz', needs)
    expect(inputOf(data, 'features')).to.deep.equal(X)
    expect(inputOf(data, 'labels')).to.deep.equal([0, 1, 2, 0])
  })

  const BAD: readonly {
    what: string
    file: string
    needs: DataNeeds
    options?: Partial<DataOptions>
    error: new (message: string) => Error
    message: RegExp
  }[] = [
    {
      what: 'no array of the name',
      file: 'pair.npz',
      needs: six,
      options: { input: 'z' },
      error: UsageError,
      message:
        /no array for the network's input 'input' \(looked for z\); it holds x float32 4 x 6, y int64 4; name the array with --input/,
    },
    {
      what: 'no target',
      file: 'float32.npy',
      needs: pair,
      error: UsageError,
      message: /no array for the target \(looked for y, targets, labels, label, target, fine_label\)/,
    },
    {
      what: 'Python objects',
      file: 'objects.npz',
      needs: pair,
      error: DataError,
      message: /array y holds pickled Python objects, which are never run/,
    },
    {
      what: 'complex numbers',
      file: 'objects.npz',
      needs: six,
      options: { input: 'z' },
      error: DataError,
      message: /array z has element type <c8, which is not read/,
    },
    {
      what: 'text',
      file: 'images.h5',
      needs: six,
      options: { input: 'names' },
      error: DataError,
      message: /array names does not hold numbers/,
    },
    {
      what: 'samples of another size',
      file: 'pair.npz',
      needs: { inputs: [input(['N', 7])] },
      error: DataError,
      message: /x for input 'input': a sample is 6, the network takes 7/,
    },
    {
      what: 'axes in another order',
      file: 'images.h5',
      needs: { inputs: [input(['N', 2, 3, 1])] },
      error: DataError,
      message: /save np\.ascontiguousarray\(x\.transpose\(0, 2, 1, 3\)\)/,
    },
    {
      what: 'different numbers of samples',
      file: 'images.h5',
      needs: { ...six, target: labels },
      options: { target: 'names' },
      error: DataError,
      message: /names does not hold numbers/,
    },
    {
      what: 'a label beyond the classes',
      file: 'pair.npz',
      needs: { ...six, target: { ...labels, classes: 2 } },
      error: DataError,
      message: /y holds label 2 at index \[2\] of 4; labels are 0 to 1: the network has 2 classes/,
    },
    {
      what: 'floats for an integer input',
      file: 'pair.npz',
      needs: { inputs: [input(['N', 6], 'int64')] },
      error: DataError,
      message: /x holds float32, but the network takes int64/,
    },
    {
      what: 'labels that are fractions',
      file: 'pair.npz',
      needs: { ...six, target: { ...labels, positions: [6] } },
      options: { target: 'x' },
      error: DataError,
      message: /x holds label -2 at index \[0, 0\]/,
    },
    {
      what: 'a path that is not there',
      file: 'nowhere.npz',
      needs: six,
      error: UsageError,
      message: /there is no such file/,
    },
  ]
  for (const { what, file, needs, options, error, message } of BAD) {
    it(`refuses ${what}`, async () => {
      const thrown = await rejection(open(file, needs, options))
      expect(thrown).to.be.instanceOf(error)
      expect(thrown.message).to.match(message)
    })
  }
})

describe('data written for the test', () => {
  const file = useTempFolder()
  const openAt = (path: string, needs: DataNeeds): Promise<DataSet> =>
    openData(path, needs, { scale: 'auto' })

  /** An .npy file of version 1 around a header text. */
  function npy(header: string, data: Uint8Array = new Uint8Array()): Buffer {
    const text = Buffer.from(`${header}\n`, 'latin1')
    const length = Buffer.alloc(2)
    length.writeUInt16LE(text.length)
    return Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), length, text, data])
  }
  const header = (descr: string, shape: string): string =>
    `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`
  const doubles = (...values: number[]): Uint8Array => new Uint8Array(Float64Array.from(values).buffer)

  it('reads a folder of .npy files named like the arrays', async () => {
    mkdirSync(file('arrays'))
    copyFileSync(`${FOLDER}/float32.npy`, file('arrays/x.npy'))
    copyFileSync(`${FOLDER}/labels-u1.npy`, file('arrays/y.npy'))
    const data = await openAt(file('arrays'), pair)
    expect(inputOf(data)).to.deep.equal(X)
    expect([...data.target!.data]).to.deep.equal(Y)
    expect(await data.sha256()).to.match(/^[0-9a-f]{64}$/)
  })

  it('accepts labels stored as whole floats, with a note, and refuses fractions', async () => {
    const needs: DataNeeds = { inputs: [input(['N'])], target: labels }
    mkdirSync(file('floats'))
    file('floats/x.npy', npy(header('<f8', '(2,)'), doubles(1, 2)))
    file('floats/y.npy', npy(header('<f8', '(2, 1)'), doubles(1, 0)))
    const data = await openAt(file('floats'), needs)
    expect([...data.target!.data]).to.deep.equal([1n, 0n])
    expect(data.notes.join()).to.contain('labels are stored as float64')
    file('floats/y.npy', npy(header('<f8', '(2,)'), doubles(1, 0.5)))
    expect((await rejection(openAt(file('floats'), needs))).message).to.contain('label 0.5 at index [1]')
  })

  it('refuses arrays with different numbers of samples', async () => {
    mkdirSync(file('uneven'))
    file('uneven/x.npy', npy(header('<f8', '(2,)'), doubles(1, 2)))
    file('uneven/y.npy', npy(header('<f8', '(1,)'), doubles(1)))
    const error = await rejection(openAt(file('uneven'), { inputs: [input(['N'])], target: labels }))
    expect(error.message).to.contain('x has 2 samples, but y has 1')
  })

  const vector: DataNeeds = { inputs: [input(['N'])] }
  const BAD: readonly [string, Buffer, RegExp][] = [
    ['NaN', npy(header('<f8', '(3,)'), doubles(1, NaN, 2)), /holds NaN at index \[1\] of 3/],
    [
      'a number beyond float32',
      npy(header('<f8', '(2,)'), doubles(1, 1e300)),
      /holds 1e\+300, beyond float32, at index \[1\]/,
    ],
    ['no samples', npy(header('<f8', '(0,)')), /has no samples/],
    [
      'a single number',
      npy(header('<f8', '()'), doubles(1)),
      /is a single number, without an axis of samples/,
    ],
    [
      'a header that promises more',
      npy(header('<f8', '(3,)'), doubles(1)),
      /truncated: its header promises \d+ bytes, it has \d+/,
    ],
    [
      'a header that promises a petabyte',
      npy(header('<f8', '(1000000000000000,)'), doubles(1)),
      /truncated: its header promises/,
    ],
    [
      'a header that promises less',
      npy(header('<f8', '(1,)'), doubles(1, 2)),
      /corrupt: its header promises/,
    ],
    [
      'a header that is code',
      npy("{'descr': '<f8', 'fortran_order': False, 'shape': (__import__('os'),)}"),
      /corrupt \.npy header/,
    ],
    [
      'a version of the future',
      Buffer.from('\x93NUMPY\x09\x00\x10\x00', 'latin1'),
      /\.npy version 9; versions 1 to 3 are read/,
    ],
    [
      'a file cut off in its header',
      npy(header('<f8', '(1,)')).subarray(0, 20),
      /truncated: ends before its header does/,
    ],
    ['text', Buffer.from('1,2,3\n'), /its first bytes are of no data format that is read/],
    ['nothing', Buffer.alloc(0), /empty \(0 bytes\)/],
  ]
  for (const [what, bytes, message] of BAD) {
    it(`refuses ${what}`, async () => {
      const error = await rejection(openAt(file('bad.npy', bytes), vector))
      expect(error).to.be.instanceOf(DataError)
      expect(error.message).to.match(message)
    })
  }
})
