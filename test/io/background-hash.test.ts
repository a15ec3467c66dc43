import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { expect } from 'chai'

import { DataError } from '../../src/errors.js'
import { beginSha256 } from '../../src/io/background-hash.js'
import { rejection } from '../support/rejection.js'
import { useTempFolder } from './temp-folder.js'

const MODULE = new URL('../../src/io/background-hash.js', import.meta.url).href

describe('hashing beside other work', () => {
  const file = useTempFolder()
  const small = Buffer.from('small')
  const large = Buffer.alloc(20_000_001, 'abcdefg')
  const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

  it('gives SHA-256 of files of any size, in whatever order they are asked for and as often', async () => {
    const one = beginSha256(file('large', large), DataError)
    const other = beginSha256(file('small', small), DataError)
    const third = beginSha256(file('shorter', large.subarray(1_000_000)), DataError)
    expect(await third()).to.equal(sha256(large.subarray(1_000_000)))
    expect(await Promise.all([one(), other(), one()])).to.deep.equal([
      sha256(large),
      sha256(small),
      sha256(large),
    ])
  })

  it('says which file is not there when it is asked, in the class that the caller named', async () => {
    const path = file('missing')
    const hash = beginSha256(path, DataError)
    const error = await rejection(hash())
    expect(error).to.be.instanceOf(DataError)
    expect(error.message).to.contain(path)
  })

  it('lets the process end while a hash is under way that nobody asked for', () => {
    const path = file('huge', Buffer.alloc(40_000_000))
    const script = `import { beginSha256 } from '${MODULE}'; beginSha256(${JSON.stringify(path)}, Error); console.log('end')`
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 20_000,
    })
    expect({ status: run.status, printed: run.stdout }).to.deep.equal({ status: 0, printed: 'end\n' })
  })

  it('keeps the process alive for a hash that it waits for, and no longer', () => {
    const path = file('awaited', large)
    const begin = `beginSha256(${JSON.stringify(path)}, Error)`
    const script = `import { beginSha256 } from '${MODULE}'; const one = ${begin}; ${begin}; console.log(await one())`
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 20_000,
    })
    expect({ status: run.status, printed: run.stdout }).to.deep.equal({
      status: 0,
      printed: `${sha256(large)}\n`,
    })
  })
})
