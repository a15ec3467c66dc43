import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import type { File as H5File } from 'h5wasm'

import { DataError } from '../../src/errors.js'
import { Hdf5File } from '../../src/io/hdf5.js'
import { rejection } from '../support/rejection.js'
import { useTempFolder } from './temp-folder.js'
import { writeHdf5 } from './write-hdf5.js'

function openBytes(bytes: Uint8Array<ArrayBuffer>, nested = true): Promise<Hdf5File> {
  const source = { bytes }
  return Hdf5File.openSource('memory', bytes.length, () => Promise.resolve(source), DataError, {
    nested,
    attributes: /^names?$/,
  })
}

function fillNested(file: H5File): void {
  file.create_attribute('name', 'root')
  file.create_attribute('names', ['one', 'two'])
  file.create_attribute('other', 'not asked for')
  const group = file.create_group('a').create_group('b')
  group.create_attribute('name', 'inner')
  group.create_dataset({ name: 'x', data: new Float32Array([1, 2, 3, 4, 5, 6]), shape: [2, 3] })
  file.create_dataset({ name: 'y', data: new Int32Array([7]), shape: [1] })
}

describe('HDF5', () => {
  const file = useTempFolder()

  it('lists datasets of groups by their paths, and the texts of attributes', async () => {
    const opened = await openBytes(await writeHdf5(fillNested))
    expect(opened.datasets.map(({ name, shape, dtype }) => [name, shape, dtype])).to.deep.equal([
      ['a/b/x', [2, 3], 'float32'],
      ['y', [1], 'int32'],
    ])
    expect(opened.textAttribute('name')).to.equal('root')
    expect(opened.groups.get('')?.attributes.get('names')).to.deep.equal(['one', 'two'])
    expect(opened.groups.get('')?.attributes.has('other')).to.equal(false)
    expect(opened.textAttribute('name', 'a/b')).to.equal('inner')
  })

  it('lists the root alone when no more is asked for', async () => {
    const opened = await openBytes(await writeHdf5(fillNested), false)
    expect(opened.datasets.map(({ name }) => name)).to.deep.equal(['y'])
    expect([...opened.groups.keys()]).to.deep.equal(['', 'a'])
  })

  it('reads a file that lies inside another one', async () => {
    const inner = await writeHdf5(fillNested)
    const path = file('outer.bin', Buffer.concat([Buffer.alloc(1234, 1), inner, Buffer.alloc(99, 2)]))
    const source = { path, offset: 1234, length: inner.length }
    const opened = await Hdf5File.openSource(path, inner.length, () => Promise.resolve(source), DataError, {
      nested: true,
    })
    const x = opened.datasets.find(({ name }) => name === 'a/b/x')!
    expect([...new Float32Array((await opened.read(x, [0, 1], [2, 2])).buffer)]).to.deep.equal([2, 3, 5, 6])
  })

  for (const [what, chunks] of [
    ['contiguous', null],
    ['compressed', [7, 1000]],
    ['compressed and tall', [2500, 300]],
  ] as const) {
    it(`reads a ${what} dataset that takes many pieces`, async () => {
      const [rows, columns] = [3001, 2000]
      const values = Float32Array.from(
        { length: rows * columns },
        (_, i) => (Math.floor(i / columns) * 7 + (i % columns)) % 65_536,
      )
      const bytes = await writeHdf5((to) =>
        to.create_dataset({
          name: 'x',
          data: values,
          shape: [rows, columns],
          ...(chunks === null ? {} : { chunks: [...chunks], compression: 'gzip' as const }),
        }),
      )
      const opened = await openBytes(bytes)
      const all = new Float32Array((await opened.read(opened.datasets[0]!)).buffer)
      expect(all.length).to.equal(values.length)
      expect(all.findIndex((value, i) => value !== values[i])).to.equal(-1)
      const some = new Float32Array((await opened.read(opened.datasets[0]!, [5, 3], [2500, 1990])).buffer)
      expect(some.length).to.equal(2500 * 1990)
      const wrong = some.findIndex(
        (value, i) => value !== values[(5 + Math.floor(i / 1990)) * columns + 3 + (i % 1990)],
      )
      expect(wrong).to.equal(-1)
    })
  }

  it('reads a dataset whose chunks are many and tiny', async () => {
    const values = Float32Array.from({ length: 20_000 * 4 }, (_, i) => i)
    const bytes = await writeHdf5((to) =>
      to.create_dataset({ name: 'x', data: values, shape: [20_000, 4], maxshape: [null, 4], chunks: [1, 4] }),
    )
    const opened = await openBytes(bytes)
    const read = new Float32Array((await opened.read(opened.datasets[0]!)).buffer)
    expect(Buffer.from(read.buffer).equals(Buffer.from(values.buffer))).to.equal(true)
  })

  it('reads boxes of arrays of many axes whose chunks cut all of them', async () => {
    const shape = [40, 50, 60, 70]
    const at = (index: readonly number[]): number =>
      index.reduce((sum, one, axis) => sum * shape[axis]! + one, 0)
    const values = Float32Array.from({ length: 40 * 50 * 60 * 70 }, (_, i) => i)
    const bytes = await writeHdf5((to) =>
      to.create_dataset({ name: 'x', data: values, shape, chunks: [30, 20, 50, 64], compression: 1 }),
    )
    const opened = await openBytes(bytes)
    const [offset, count] = [
      [1, 2, 3, 4],
      [38, 47, 55, 65],
    ]
    const box = new Float32Array((await opened.read(opened.datasets[0]!, offset, count)).buffer)
    for (const index of [
      [0, 0, 0, 0],
      [29, 18, 47, 60],
      [37, 46, 54, 64],
      [10, 46, 0, 64],
    ]) {
      const place = index.reduce((sum, one, axis) => sum * count[axis]! + one, 0)
      expect(box[place]).to.equal(at(index.map((one, axis) => one + offset[axis]!)))
    }
    const sum = box.reduce((total, value) => total + value, 0)
    let expectedSum = 0
    for (let a = 1; a < 39; a += 1)
      for (let b = 2; b < 49; b += 1)
        for (let c = 3; c < 58; c += 1) for (let d = 4; d < 69; d += 1) expectedSum += at([a, b, c, d])
    expect(sum).to.equal(expectedSum)
  })

  it('says that a dataset claims more than its file can hold', async () => {
    const bytes = await writeHdf5((to) =>
      to.create_dataset({ name: 'x', data: new Float32Array(4), shape: [4], maxshape: [null], chunks: [4] }),
    )
    const opened = await openBytes(bytes)
    const claim = { ...opened.datasets[0]!, shape: [1e12] }
    expect(opened.faultOf(claim)).to.match(
      /^claims 4000000000000 bytes in a file of \d+: corrupt, or never written$/,
    )
    expect(opened.faultOf(opened.datasets[0]!)).to.equal(undefined)
  })

  /** keras-2.h5 and keras-2-weights.h5, damaged so that HDF5 1.14 and 2.0 loop or leave their memory. */
  const DAMAGE = [
    {
      what: 'makes the library loop',
      name: 'keras-2.h5',
      bytes: Array.from({ length: 52 }, (_, i) => [5510 + i, 0] as const),
      reason: /corrupt: reading it goes round in circles/,
    },
    {
      what: 'leads the library out of its memory',
      name: 'keras-2-weights.h5',
      bytes: [
        [145, 81],
        [915, 128],
        [1978, 214],
        [1998, 123],
        [4962, 253],
        [12697, 56],
      ],
      reason: /memory access out of bounds/,
    },
  ] as const
  for (const { what, name, bytes, reason } of DAMAGE) {
    it(`refuses a file that ${what}, and reads the next one`, async () => {
      const sound = `fixtures/keras/${name}`
      const content = readFileSync(sound)
      for (const [at, value] of bytes) content[at] = value
      const path = file(name, content)
      const error = await rejection(Hdf5File.open(path, DataError, { nested: true, attributes: /./ }))
      expect(error).to.be.instanceOf(DataError)
      expect(error.message).to.match(reason).and.to.contain(path)
      expect((await Hdf5File.open(sound, DataError, { nested: true })).datasets).to.have.length.above(5)
    })
  }

  it('reads on when one of many requests fails', async () => {
    const bytes = await writeHdf5(fillNested)
    const asked = [1, 2, 3, 4].map((i) =>
      i === 2 ? openBytes(bytes.slice(0, 300)).catch(() => 'refused') : openBytes(bytes),
    )
    const got = await Promise.all(asked)
    expect(got.map((one) => (typeof one === 'string' ? one : one.datasets.length))).to.deep.equal([
      2,
      'refused',
      2,
      2,
    ])
  })

  it('takes no more memory than a file of its size can need', async () => {
    const chunk = 12_345
    const bytes = await writeHdf5((to) =>
      to.create_dataset({
        name: 'x',
        data: new Float32Array(4),
        shape: [4],
        maxshape: [null],
        chunks: [chunk],
        compression: 'gzip',
      }),
    )
    // the chunk's size as a 32-bit number of the layout message, now 1.2 GB
    const size = Buffer.from(Uint32Array.of(chunk).buffer)
    const at = Buffer.from(bytes.buffer).indexOf(size)
    expect(at).to.be.greaterThan(0)
    new DataView(bytes.buffer).setUint32(at, 300_000_000, true)
    const opened = await openBytes(bytes)
    const error = await rejection(opened.read(opened.datasets[0]!))
    expect(error).to.be.instanceOf(DataError)
    expect(error.message).to.match(/memory/)
  })
})
