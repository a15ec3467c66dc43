import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { ReplayJournal } from '../../src/replay/journal.js'
import type { ReplayRecord } from '../../src/replay/records.js'
import { useTempFolder } from '../io/temp-folder.js'

const noise = (floor: number): ReplayRecord => ({ kind: 'noise', floor, evaluations: 1 })
const advance = (intervals: number): ReplayRecord => ({ kind: 'advance', intervals, tables: [] })

describe("a replay's journal", () => {
  const path = useTempFolder()
  let folder: string
  let journal: ReplayJournal | undefined

  beforeEach(() => {
    folder = path('journal')
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder)
  })

  afterEach(() => {
    journal?.close()
  })

  /** Opens the journal as the system's start `boot` does; its records but those of its own bookkeeping. */
  function open(boot: string): ReplayRecord[] {
    journal?.close()
    const opened = ReplayJournal.open(folder, boot)
    journal = opened.journal
    return opened.records.filter(({ kind }) => kind !== 'begin' && kind !== 'synced')
  }

  it('gives everything back while the machine runs on, synced or not', () => {
    open('a')
    journal!.append(noise(1))
    expect(open('a')).to.deep.equal([noise(1)])
    journal!.append(noise(2))
    expect(open('a')).to.deep.equal([noise(1), noise(2)])
  })

  it('drops what was not synced when the machine was started anew, and goes on behind the rest', async () => {
    open('a')
    journal!.append(noise(1))
    await journal!.sync(['journal'])
    journal!.append(noise(2))
    expect(open('b')).to.deep.equal([noise(1)])
    journal!.append(noise(3))
    expect(open('b')).to.deep.equal([noise(1), noise(3)])
  })

  it('has nothing after a start when nothing was synced', () => {
    open('a')
    journal!.append(noise(1))
    expect(open('b')).to.deep.equal([])
    expect(open('c')).to.deep.equal([])
  })

  it('keeps what was synced however often the machine stops: files that older records speak of are gone by then', async () => {
    open('a')
    await journal!.sync(['journal'])
    journal!.append(advance(32))
    await journal!.sync(['journal'])
    journal!.append(noise(2))
    for (const boot of ['b', 'c', 'd', 'b']) expect(open(boot), `start ${boot}`).to.deep.equal([advance(32)])
  })

  it('counts as synced what was appended before the sync began, not while it went on', async () => {
    open('a')
    journal!.append(noise(1))
    const synced = journal!.sync(['journal'])
    journal!.append(noise(2))
    await synced
    expect(open('a')).to.deep.equal([noise(1), noise(2)])
    expect(open('b')).to.deep.equal([noise(1)])
  })

  it('cut off at any byte, gives a prefix of the records, after another start one that was synced', async () => {
    open('a')
    const all = [noise(1), advance(32), noise(2), advance(64)]
    for (const record of all) {
      journal!.append(record)
      if (record.kind === 'advance') await journal!.sync(['journal'])
    }
    journal!.close()
    const whole = readFileSync(join(folder, 'journal'))
    for (let length = 0; length < whole.length; length += 1) {
      for (const boot of ['a', 'b']) {
        writeFileSync(join(folder, 'journal'), whole.subarray(0, length))
        const records = open(boot)
        expect(records, `${length} bytes, start ${boot}`).to.deep.equal(all.slice(0, records.length))
        if (boot === 'b') expect(records.length % 2, `${length} bytes: ends with a sync`).to.equal(0)
        journal!.append(noise(9))
        expect(open(boot).at(-1)).to.deep.equal(noise(9))
      }
    }
  })
})
