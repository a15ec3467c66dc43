import { expect } from 'chai'

import { DataError } from '../../src/errors.js'
import { withFile } from '../../src/io/ranged-file.js'
import { listZip, readZipEntry, zipDataRange, type ZipEntry } from '../../src/io/zip.js'
import { useTempFolder } from './temp-folder.js'
import { rejection } from '../support/rejection.js'
import { writeZip, type EntryToWrite } from './write-zip.js'

const text = Buffer.from('loss change allocation '.repeat(40))

describe('zip archives', () => {
  const file = useTempFolder()
  const list = (path: string): Promise<ReadonlyMap<string, ZipEntry>> =>
    withFile(path, DataError, (opened) => listZip(opened, DataError))
  const listEntries = (
    name: string,
    entries: readonly EntryToWrite[],
  ): Promise<ReadonlyMap<string, ZipEntry>> => list(file(name, writeZip(entries)))

  it('gives the place of a stored entry in the file', async () => {
    const path = file(
      'stored.zip',
      writeZip([
        { name: 'first', data: text },
        { name: 'a/b', data: text.subarray(5) },
      ]),
    )
    const entry = (await list(path)).get('a/b')!
    const bytes = await withFile(path, DataError, async (opened) => {
      const { offset, length } = await zipDataRange(opened, entry, DataError)
      return opened.read(offset, length)
    })
    expect(Buffer.from(bytes).toString()).to.equal(text.subarray(5).toString())
  })

  it('unpacks a deflated entry', async () => {
    const path = file('deflated.zip', writeZip([{ name: 'a', data: text, deflate: true }]))
    const bytes = await readZipEntry(path, (await list(path)).get('a')!, 10_000, DataError)
    expect(Buffer.from(bytes).equals(text)).to.equal(true)
  })

  it('lists an archive whose directory is larger than one block', async () => {
    const many = Array.from({ length: 8000 }, (_, i) => ({
      name: `layer.${i}.weight`,
      data: Buffer.from([i % 256]),
    }))
    const entries = await listEntries('many.zip', many)
    expect(entries.size).to.equal(8000)
    expect(entries.get('layer.7999.weight')?.size).to.equal(1)
  })

  const BAD: readonly { what: string; entries: readonly EntryToWrite[]; message: RegExp }[] = [
    {
      what: 'two entries of one name',
      entries: [
        { name: 'a', data: text },
        { name: 'a', data: text },
      ],
      message: /two entries are named 'a'/,
    },
    {
      what: 'a name that escapes',
      entries: [{ name: '../a', data: text }],
      message: /invalid relative path/,
    },
    { what: 'an absolute name', entries: [{ name: '/a', data: text }], message: /absolute path/ },
    {
      what: 'an encrypted entry',
      entries: [{ name: 'a', data: text, flags: 1, claimedSize: text.length - 12 }],
      message: /'a' is encrypted/,
    },
    {
      what: 'a stored entry that claims more',
      entries: [{ name: 'a', data: text, claimedSize: 5000 }],
      message: /compressed\/uncompressed size mismatch|claims 5000 bytes/,
    },
    {
      what: 'a bomb',
      entries: [{ name: 'a', data: text, deflate: true, claimedSize: 2 ** 30 }],
      message: /claims 1073741824 bytes, but holds at most/,
    },
  ]
  for (const [i, { what, entries, message }] of BAD.entries()) {
    it(`refuses ${what}`, async () => {
      const error = await rejection(listEntries(`bad-${i}.zip`, entries))
      expect(error).to.be.instanceOf(DataError)
      expect(error.message).to.match(message)
    })
  }

  const BROKEN: readonly { what: string; entry: EntryToWrite }[] = [
    { what: 'a wrong checksum', entry: { name: 'a', data: text, claimedCrc: 7 } },
    {
      what: 'deflated data of more bytes than declared',
      entry: { name: 'a', data: text, deflate: true, claimedSize: 10 },
    },
    {
      what: 'deflated data of fewer bytes than declared',
      entry: { name: 'a', data: text, deflate: true, claimedSize: 1000 },
    },
  ]
  for (const [i, { what, entry }] of BROKEN.entries()) {
    it(`finds ${what} when the entry is read`, async () => {
      const path = file(`broken-${i}.zip`, writeZip([entry]))
      const listed = (await list(path)).get('a')!
      const error = await rejection(readZipEntry(path, listed, 10_000, DataError))
      expect(error.message).to.contain("entry 'a' does not match its size or checksum")
    })
  }

  it('refuses an entry beyond the limit before it takes memory', async () => {
    const path = file('limit.zip', writeZip([{ name: 'a', data: text }]))
    const error = await rejection(readZipEntry(path, (await list(path)).get('a')!, 100, DataError))
    expect(error.message).to.contain(`has ${text.length} bytes; at most 100 are read`)
  })

  it('says that a file that was cut off is truncated', async () => {
    const path = file('cut.zip', writeZip([{ name: 'a', data: text }]).subarray(0, 200))
    expect((await rejection(list(path))).message).to.match(/corrupt or truncated zip archive/)
  })
})
