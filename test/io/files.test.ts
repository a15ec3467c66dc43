import { createHash } from 'node:crypto'
import { expect } from 'chai'

import { CheckpointError, DataError } from '../../src/errors.js'
import { mapLimited } from '../../src/io/concurrency.js'
import { fingerprintFile, sha256File } from '../../src/io/hash.js'
import { Hdf5File } from '../../src/io/hdf5.js'
import { streamRange, withFile } from '../../src/io/ranged-file.js'
import { useTempFolder } from './temp-folder.js'
import { rejection } from '../support/rejection.js'

describe('reading ranges of files', () => {
  const file = useTempFolder()

  it('reads exactly the bytes asked for', async () => {
    const path = file('ten', '0123456789')
    const bytes = await withFile(path, DataError, (opened) => opened.read(3, 4))
    expect(Buffer.from(bytes).toString()).to.equal('3456')
  })

  it('refuses a range beyond the end before it takes memory, in the class that the caller named', async () => {
    const path = file('short', '0123456789')
    const error = await rejection(withFile(path, CheckpointError, (opened) => opened.read(3, 2 ** 52)))
    expect(error).to.be.instanceOf(CheckpointError)
    expect(error.message).to.equal(
      `${path}: truncated: bytes 3 to ${3 + 2 ** 52} are needed, but the file has 10`,
    )
  })

  for (const [offset, length] of [
    [-1, 2],
    [0, -2],
    [0.5, 1],
    [0, NaN],
  ] as const) {
    it(`refuses ${length} bytes at ${offset}`, async () => {
      const path = file('odd', '0123456789')
      const error = await rejection(withFile(path, DataError, (opened) => opened.read(offset, length)))
      expect(error.message).to.contain('corrupt')
    })
  }

  it('says so when a stream ends before its range', async () => {
    const path = file('stream', '0123456789')
    const drain = async (): Promise<void> => {
      for await (const chunk of streamRange(path, 5, 100, DataError)) expect(chunk.length).to.equal(5)
    }
    expect((await rejection(drain())).message).to.contain('100 bytes at 5 are needed, but only 5 are there')
  })

  it('hashes a file as SHA-256', async () => {
    const content = Buffer.alloc(3_000_000, 'abc')
    expect(await sha256File(file('large', content), DataError)).to.equal(
      createHash('sha256').update(content).digest('hex'),
    )
  })

  it('fingerprints change with the size, either end and the part, not with the middle', async () => {
    const content = Buffer.alloc(300_000, 'abc')
    const changed = (at: number): Buffer =>
      Buffer.concat([content.subarray(0, at), Buffer.from('!'), content.subarray(at + 1)])
    const prints = async (bytes: Buffer, part?: string): Promise<string> =>
      fingerprintFile(file('print', bytes), DataError, part)
    const original = await prints(content)
    expect(await prints(changed(150_000))).to.equal(original)
    expect(await prints(changed(10))).not.to.equal(original)
    expect(await prints(changed(299_990))).not.to.equal(original)
    expect(await prints(content.subarray(3))).not.to.equal(original)
    expect(await prints(content, 'save 1')).not.to.equal(original)
  })

  it('takes a file that is no HDF5 for what it is, without a word of the library on stderr', async () => {
    const error = await rejection(Hdf5File.open(file('no.h5', 'not HDF5 at all'), DataError))
    expect(error.message).to.match(/no\.h5: not an HDF5 file$/)
  })
})

describe('limited concurrency', () => {
  it('keeps the order and never runs more than the limit', async () => {
    let running = 0
    let most = 0
    const results = await mapLimited([5, 1, 3, 2, 4], 2, async (item) => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setTimeout(resolve, item))
      running--
      return item * 10
    })
    expect(results).to.deep.equal([50, 10, 30, 20, 40])
    expect(most).to.equal(2)
  })

  it('starts nothing more after an error', async () => {
    const started: number[] = []
    const run = mapLimited([1, 2, 3, 4, 5, 6], 2, async (item) => {
      started.push(item)
      await Promise.resolve()
      if (item === 2) throw new Error('bad')
    })
    expect((await rejection(run)).message).to.equal('bad')
    expect(started).to.have.length.below(6)
  })
})
