import { readFileSync, writeFileSync } from 'node:fs'
import { expect } from 'chai'
import { Journal } from '../../src/io/journal.js'
import { useTempFolder } from './temp-folder.js'

const RECORDS = [
  { kind: 'interval', losses: [0.1, -1e-300, 12345.678] },
  'text with "quotes", a new\nline and an é',
  [],
  { nested: { deeply: [null, true, 1.5] } },
]

describe('an append-only journal', () => {
  const file = useTempFolder()
  let whole: Buffer

  before(() => {
    whole = readFileSync(written(file('whole'), RECORDS))
  })

  function written(path: string, records: readonly unknown[]): string {
    const { journal } = Journal.open(path)
    for (const record of records) journal.append(record)
    journal.close()
    return path
  }

  /** The records of a file with these bytes, and what is in it after one more was appended. */
  function reopened(bytes: Uint8Array): { found: unknown[]; after: unknown[] } {
    const path = file('damaged', bytes)
    const { journal, records } = Journal.open(path)
    journal.append('more')
    journal.close()
    const again = Journal.open(path)
    again.journal.close()
    return { found: records, after: again.records }
  }

  /** How many lines are whole in the first so many bytes. */
  function wholeLines(length: number): number {
    return whole.subarray(0, length).filter((byte) => byte === 0x0a).length
  }

  it('gives back what was appended, in order', () => {
    expect(reopened(whole)).to.deep.equal({ found: RECORDS, after: [...RECORDS, 'more'] })
  })

  it('cut off at any byte, gives the records whose lines are whole, and goes on behind them', () => {
    for (let length = 0; length <= whole.length; length += 1) {
      const expected = RECORDS.slice(0, wholeLines(length))
      expect(reopened(whole.subarray(0, length)), `${length} bytes`).to.deep.equal({
        found: expected,
        after: [...expected, 'more'],
      })
    }
  })

  it('with any bit of any byte wrong, gives the records before it, and goes on behind them', () => {
    for (let at = 0; at < whole.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const bytes = Uint8Array.from(whole)
        bytes[at]! ^= 1 << bit
        const expected = RECORDS.slice(0, wholeLines(at))
        expect(reopened(bytes), `bit ${bit} of byte ${at}`).to.deep.equal({
          found: expected,
          after: [...expected, 'more'],
        })
      }
    }
  })

  it('ends where a machine that stopped left zeros', () => {
    const bytes = Buffer.concat([whole, Buffer.alloc(100)])
    expect(reopened(bytes).found).to.deep.equal(RECORDS)
  })

  it('writes nothing once it is closed: its descriptor may be that of another file by then', () => {
    const path = file('closed')
    const { journal } = Journal.open(path)
    journal.close()
    const other = Journal.open(file('other'))
    expect(() => {
      journal.append('late')
    }).to.throw('closed')
    journal.close()
    other.journal.append('kept')
    other.journal.close()
    expect(readFileSync(file('other'), 'utf8')).to.match(/^[0-9a-f]{8} "kept"\n$/)
  })

  it('holds lines that other tools read: a checksum in hexadecimal, a space, JSON', () => {
    writeFileSync(file('by hand'), 'e3069283 123456789\n')
    // CRC-32C of "123456789" is 0xe3069283 (RFC 3720, B.4 and the catalogue of CRCs)
    const { journal, records } = Journal.open(file('by hand'))
    journal.close()
    expect(records).to.deep.equal([123456789])
  })
})
