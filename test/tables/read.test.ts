import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { ResultsError } from '../../src/errors.js'
import { openResults } from '../../src/tables/read.js'
import type { Granularity } from '../../src/tables/schema.js'
import { ResultsWriter } from '../../src/tables/writer.js'
import { useFolder } from './folder.js'
import { rejection } from '../support/rejection.js'
import { madeUpFacts, madeUpLca, writeMadeUpRun } from './made-up.js'

const INTERVALS = 40

async function writeRun(dir: string, granularity: Granularity = 'parameter'): Promise<void> {
  const writer = await ResultsWriter.create(dir, { granularity, overwrite: true, facts: {} })
  writeMadeUpRun(writer, granularity, INTERVALS)
  await writer.commit(madeUpFacts())
}

function editManifest(dir: string, edit: (text: string) => string): void {
  const path = join(dir, 'manifest.json')
  writeFileSync(path, edit(readFileSync(path, 'utf8')))
}

describe('openResults', () => {
  const folder = useFolder()

  it('gives the manifest and the names of the tables', async () => {
    await writeRun(folder(), 'unit')
    const results = await openResults(folder())
    expect(results.manifest.options).to.deep.equal({ quadrature: 'simpson', tolerance: 0.001 })
    expect(results.tables).to.deep.equal(['steps', 'tensors', 'units', 'totals'])
  })

  it('reads a table over all its parts, in the order it was written, int64 as exact numbers', async () => {
    await writeRun(folder())
    const { rows, columns } = await (await openResults(folder())).readTable('steps')
    expect(rows).to.equal(2 * INTERVALS)
    expect(columns.interval).to.be.instanceOf(Int32Array)
    expect(columns.step_to).to.be.instanceOf(Float64Array)
    expect(Array.from(columns.interval.slice(-3))).to.deep.equal([38, 39, 39])
    expect(Array.from(columns.step_to.slice(-3))).to.deep.equal([390, 400, 400])
    expect(columns.split.slice(0, 2)).to.deep.equal(['train', 'val'])
    expect(columns.converged[0]).to.equal(true)
    expect(columns.cosine[0]).to.satisfy(Number.isNaN)
  })

  it('reads the columns and the rows that are asked for', async () => {
    await writeRun(folder())
    const results = await openResults(folder())
    const { rows, columns } = await results.readTable('parameters', {
      columns: ['interval', 'lca', 'shape'],
      filter: { split: 'val', tensor: ['fc.weight', 'absent'], interval: { from: 30, to: 33 } },
    })
    expect(rows).to.equal(4)
    expect(Object.keys(columns)).to.deep.equal(['interval', 'shape', 'lca'])
    expect(Array.from(columns.interval)).to.deep.equal([30, 31, 32, 33])
    expect(Array.from(columns.shape[0]!)).to.deep.equal([10, 16])
    const expected = Array.from({ length: 160 }, (_, parameter) => madeUpLca(1, 33, 2, parameter))
    expect(Array.from(columns.lca[3]!)).to.deep.equal(expected)
  })

  it('filters by an int64 column, whose statistics are BigInts', async () => {
    await writeRun(folder())
    const results = await openResults(folder())
    const one = await results.readTable('steps', { filter: { step_from: 350, split: 'train' } })
    expect(Array.from(one.columns.interval)).to.deep.equal([35])
    const some = await results.readTable('steps', { filter: { step_to: { from: 391 } } })
    expect(some.rows).to.equal(2)
  })

  it('does not read row groups whose statistics exclude the filter', async () => {
    await writeRun(folder())
    const part = join(folder(), 'units/part-00000.parquet')
    const bytes = readFileSync(part)
    writeFileSync(part, bytes.fill(0xff, 4, bytes.length / 2))
    const results = await openResults(folder())
    const { rows } = await results.readTable('units', { filter: { interval: { from: 32 } } })
    expect(rows).to.equal(8 * 36)
  })

  it('yields batches, a row group at a time', async () => {
    await writeRun(folder())
    const sizes: number[] = []
    for await (const { rows } of (await openResults(folder())).batches('units', { columns: ['lca'] }))
      sizes.push(rows)
    expect(sizes).to.deep.equal([32 * 36, 8 * 36])
  })

  it('gives empty columns of the right type where no row fulfils the filter', async () => {
    await writeRun(folder())
    const { rows, columns } = await (
      await openResults(folder())
    ).readTable('steps', { filter: { split: 'test' } })
    expect(rows).to.equal(0)
    expect(columns.lca).to.deep.equal(new Float64Array(0))
    expect(columns.split).to.deep.equal([])
  })

  it('refuses a folder without a manifest', async () => {
    const error = await rejection(openResults(folder()))
    expect(error).to.be.instanceOf(ResultsError)
    expect(error.message).to.include('holds no finished results (no manifest.json)')
  })

  it('refuses a manifest of another schema, of another shape, or cut short', async () => {
    await writeRun(folder(), 'tensor')
    const whole = readFileSync(join(folder(), 'manifest.json'), 'utf8')
    const cases: [edit: (text: string) => string, message: string][] = [
      [(text) => text.replace('"schema": 3', '"schema": 9'), 'has schema 9, but this version reads schema 3'],
      [(text) => text.replace('"complete"', '"done"'), 'is not a manifest: status'],
      [(text) => text.slice(0, 100), 'is not valid JSON'],
    ]
    for (const [edit, message] of cases) {
      editManifest(folder(), () => edit(whole))
      const error = await rejection(openResults(folder()))
      expect(error).to.be.instanceOf(ResultsError)
      expect(error.message).to.include(message)
    }
  })

  it('says which granularity a table needs when it was not written', async () => {
    await writeRun(folder(), 'tensor')
    const error = await rejection((await openResults(folder())).readTable('units'))
    expect(error).to.be.instanceOf(ResultsError)
    expect(error.message).to.include('has no table units, only steps, tensors, totals')
  })

  it('misses a part that was removed', async () => {
    await writeRun(folder())
    rmSync(join(folder(), 'units/part-00001.parquet'))
    const error = await rejection((await openResults(folder())).readTable('units'))
    expect(error.message).to.include('has 1 parts, but the manifest names 2')
  })

  it('refuses a part that is cut short, empty, damaged inside, or of other columns', async () => {
    await writeRun(folder())
    const part = join(folder(), 'units/part-00000.parquet')
    const whole = readFileSync(part)
    const other = parquetWriteBuffer({ columnData: [{ name: 'x', data: [1, 2], type: 'INT32' }] })
    const damaged = Buffer.from(whole).fill(0xff, 4, whole.length / 2)
    const contents = [whole.subarray(0, whole.length - 20), new Uint8Array(0), damaged, new Uint8Array(other)]
    for (const bytes of contents) {
      writeFileSync(part, bytes)
      const error = await rejection((await openResults(folder())).readTable('units'))
      expect(error).to.be.instanceOf(ResultsError)
      expect(error.message).to.include(part)
    }
  })

  it('refuses a column that the table does not have', async () => {
    await writeRun(folder(), 'tensor')
    const results = await openResults(folder())
    const columns = ['lca', 'loss'] as unknown as ['lca']
    expect((await rejection(results.readTable('steps', { columns }))).message).to.equal(
      'table steps has no column loss',
    )
  })
})
