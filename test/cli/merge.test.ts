import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { mergeParts } from '../../src/replay/merge.js'
import { openResults } from '../../src/tables/read.js'
import { verifyResults } from '../../src/verify/verify.js'
import { newFolder, removeFolders, retrograd, runArguments } from './command.js'

/** All 60 intervals of the recorded run, on few samples' worth of work. */
const WHOLE = { steps: undefined, 'max-splits': '2', tolerance: '1', granularity: 'parameter' }

async function run(changes: Readonly<Record<string, string | undefined>>): Promise<string> {
  const out = join(newFolder(), 'out')
  const { status, stderr } = await retrograd(runArguments({ ...WHOLE, ...changes, out }))
  expect(status, stderr).to.equal(0)
  return out
}

/** Every value of every table of a run. */
async function rowsOf(folder: string): Promise<unknown[]> {
  const results = await openResults(folder)
  return Promise.all(results.tables.map(async (table) => [table, await results.readTable(table)]))
}

describe('retrograd merge', function () {
  this.timeout(120_000)
  let whole: string
  let parts: string[]

  before(async () => {
    whole = await run({})
    parts = [await run({ intervals: '32:60' }), await run({ intervals: '0:32' })]
  })
  after(removeFolders)

  it('joins parts into the tables of one run, in every bit', async () => {
    const out = join(newFolder(), 'out')
    const { status, stdout, stderr } = await retrograd(['merge', ...parts, '--out', out])
    expect(status, stderr).to.equal(0)
    expect(stdout).to.match(/60 intervals, step 0 to 60/)
    expect(await rowsOf(out)).to.deep.equal(await rowsOf(whole))
    const [joined, one] = [(await openResults(out)).manifest, (await openResults(whole)).manifest]
    expect(joined).to.deep.include({ status: 'complete', result: one.result, checkpoints: one.checkpoints })
  })

  it('says where parts have micro-batches of different sizes', async () => {
    const other = join(newFolder(), 'part')
    cpSync(parts[0]!, other, { recursive: true })
    const file = join(other, 'manifest.json')
    const manifest = JSON.parse(readFileSync(file, 'utf8')) as { result: { batch_size: number } }
    const { batch_size: size } = manifest.result
    writeFileSync(file, JSON.stringify({ ...manifest, result: { ...manifest.result, batch_size: size / 2 } }))
    const out = join(newFolder(), 'out')
    expect((await retrograd(['merge', parts[1]!, other, '--out', out])).status).to.equal(0)
    const { batch_size, messages } = (await openResults(out)).manifest.result
    expect(batch_size).to.equal(size / 2)
    expect(messages).to.deep.equal([
      `parts have micro-batches of ${size}, ${size / 2} samples, which numbers hang on in their last bits`,
    ])
  })

  it('verifies intervals of what was joined from parts', async () => {
    const out = join(newFolder(), 'out')
    await mergeParts({ parts, out, overwrite: false })
    const found = (await verifyResults(out, { intervals: [0, 40], tolerance: 1, maxSplits: 8 }))!
    expect(found).to.deep.include({ verdict: 'agrees', of: 60, contradictions: [] })
    expect(found.intervals.map(({ stepFrom, reproduced }) => [stepFrom, reproduced])).to.deep.equal([
      [0, 0],
      [40, 0],
    ])
  })

  it('makes parts that say so, with the sums of their blocks', async () => {
    const { manifest, tables } = await openResults(parts[0]!)
    expect(manifest).to.deep.include({ status: 'part', intervals: { from: 32, to: 60, of: 60 } })
    expect(tables).to.include('blocks')
  })

  it('refuses a gap, parts of different runs, a whole run, and cuts inside a block, each with its reason', async () => {
    const out = join(newFolder(), 'out')
    const refused = async (args: readonly string[], message: RegExp): Promise<void> => {
      const { status, stderr } = await retrograd(args)
      expect(status, stderr).to.equal(2)
      expect(stderr).to.match(message)
    }
    const other = await run({ intervals: '32:60', tolerance: '2' })
    await refused(['merge', parts[1]!, other, '--out', out], /another run than .*: tolerance was 1, is 2/)
    await refused(['merge', parts[0]!, parts[0]!, '--out', out], /overlap/)
    await refused(['merge', parts[0]!, whole, '--out', out], /holds a whole run/)
    mkdirSync(out)
    await refused(runArguments({ ...WHOLE, intervals: '0:30', out }), /instead of 30 take 0 or 32/)
    await refused(runArguments({ ...WHOLE, intervals: '0:96', out }), /the run has 60 intervals/)
    await refused(runArguments({ ...WHOLE, intervals: '5', out }), /two numbers are needed/)
  })
})
