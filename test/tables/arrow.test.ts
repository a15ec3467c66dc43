import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tableFromIPC, tableToIPC, type Table } from 'apache-arrow'
import { expect } from 'chai'
import { ResultsError } from '../../src/errors.js'
import { openResults, type Results } from '../../src/tables/read.js'
import { columnsOf, type TableName } from '../../src/tables/schema.js'
import { ResultsWriter } from '../../src/tables/writer.js'
import { pythonWith } from '../python.js'
import { rejection } from '../support/rejection.js'
import { useFolder } from './folder.js'
import { madeUpFacts, writeMadeUpRun } from './made-up.js'

const INTERVALS = 40

async function writeRun(dir: string): Promise<Results> {
  const writer = await ResultsWriter.create(dir, { granularity: 'parameter', overwrite: true, facts: {} })
  writeMadeUpRun(writer, 'parameter', INTERVALS)
  await writer.commit(madeUpFacts())
  return openResults(dir)
}

/** A column's values as plain numbers, strings and arrays. */
function valuesOf(table: Table, name: string): unknown[] {
  return Array.from(table.getChild(name)!, plain)
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  return typeof value === 'object' ? Array.from(value as Iterable<number>) : value
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'Dictionary<Int32, Utf8>',
  int32: 'Int32',
  int64: 'Int64',
  float64: 'Float64',
  bool: 'Bool',
  'list<int32>': 'List<Int32>',
  'list<float32>': 'List<Float32>',
}

describe('Results.arrow', () => {
  const folder = useFolder()

  it('holds the values that the tables hold, in their order and types, without nulls', async () => {
    const results = await writeRun(folder())
    for (const name of results.tables) {
      const table = await results.arrow(name)
      const { rows, columns } = await results.readTable(name)
      expect(table.numRows).to.equal(rows)
      expect(
        table.schema.fields.map((field) => [field.name, String(field.type), field.nullable]),
      ).to.deep.equal(columnsOf(name).map((column) => [column.name, TYPES[column.type], false]))
      for (const [column, values] of Object.entries(columns)) {
        const expected = Array.from(values as ArrayLike<unknown>, plain)
        expect(valuesOf(table, column), `${name}.${column}`).to.deep.equal(expected)
      }
    }
  })

  it('types its columns', async () => {
    const table = await (await writeRun(folder())).arrow('parameters')
    const step: bigint = table.getChild('step_to')!.get(0)!
    const tensor: string = table.getChild('tensor')!.get(2)!
    const lca: Float32Array = table.getChild('lca')!.get(2)!.toArray()
    expect([step, tensor, lca.length]).to.deep.equal([10n, 'fc.weight', 160])
    const steps = await (await openResults(folder())).arrow('steps', { columns: ['loss_to'] })
    const losses: Float64Array = steps.getChild('loss_to')!.toArray()
    expect(losses.length).to.equal(2 * INTERVALS)
  })

  it('takes columns and a filter as readTable does', async () => {
    const results = await writeRun(folder())
    const options = {
      columns: ['interval', 'unit', 'lca'],
      filter: { split: 'val', interval: { from: 30 } },
    } as const
    const table = await results.arrow('units', options)
    const { rows, columns } = await results.readTable('units', options)
    expect(rows).to.equal(10 * 18)
    expect(table.numRows).to.equal(rows)
    expect(table.schema.names).to.deep.equal(['interval', 'unit', 'lca'])
    expect(valuesOf(table, 'lca')).to.deep.equal(Array.from(columns.lca))
    const none = await results.arrow('parameters', { filter: { split: 'test' } })
    expect([none.numRows, none.numCols]).to.deep.equal([0, 7])
  })

  it('goes through the forms of Arrow that others read, a stream and a file', async () => {
    const results = await writeRun(folder())
    for (const name of results.tables) {
      const table = await results.arrow(name)
      for (const form of ['stream', 'file'] as const) {
        const back = tableFromIPC(tableToIPC(table, form))
        expect(back.schema.metadata.get('retrograd.table')).to.equal(name)
        for (const { name: column } of columnsOf(name))
          expect(valuesOf(back, column), `${name}.${column}`).to.deep.equal(valuesOf(table, column))
      }
    }
  })

  it('has one dictionary for all batches', async () => {
    const table = await (await writeRun(folder())).arrow('units')
    expect(table.batches.length).to.be.greaterThan(1)
    const dictionaries = table
      .getChild('tensor')!
      .data.map(({ dictionary }): unknown => dictionary!.toArray())
    for (const one of dictionaries) expect(one).to.deep.equal(['conv1.weight', 'conv1.bias', 'fc.weight'])
  })

  it('refuses a table that is not there, and a column that the table does not have', async () => {
    const results = await writeRun(folder())
    expect(await rejection(results.arrow('blocks'))).to.be.instanceOf(ResultsError)
    const columns = ['loss'] as unknown as ['lca']
    expect((await rejection(results.arrow('steps', { columns }))).message).to.equal(
      'table steps has no column loss',
    )
  })
})

const python = pythonWith('pyarrow')

/** Holds what pyarrow reads of the stream and the file against the Parquet files, types and values. */
const COMPARE = `
import sys, pyarrow as pa, pyarrow.parquet as pq
folder, table = sys.argv[1:]
expected = pq.read_table(f"{folder}/{table}")
for found in (pa.ipc.open_stream(f"{folder}/{table}.arrows").read_all(), pa.ipc.open_file(f"{folder}/{table}.arrow").read_all()):
    found.validate(full=True)
    strings = [field.name for field in found.schema if pa.types.is_dictionary(field.type)]
    assert strings == [field.name for field in expected.schema if field.type == pa.string()], strings
    assert not any(field.nullable for field in found.schema)
    for name in expected.schema.names:
        one, other = found[name], expected[name]
        if name in strings: one = one.cast(pa.string())
        if pa.types.is_list(other.type): other = other.cast(one.type)
        assert one.type == other.type, (name, one.type, other.type)
        one, other = one.combine_chunks(), other.combine_chunks()
        if pa.types.is_list(one.type):
            assert one.offsets.equals(other.offsets), name
            one, other = one.values, other.values
        if pa.types.is_floating(one.type):
            assert one.to_numpy().tobytes() == other.to_numpy().tobytes(), name
        else:
            assert one.equals(other), name
print(expected.num_rows)
`

describe(`Results.arrow in pyarrow${python === undefined ? ' [skipped: no Python with pyarrow]' : ''}`, function () {
  this.timeout(60_000)
  const folder = useFolder()
  const test = python === undefined ? it.skip : it

  test('is what pyarrow reads from Parquet, bit for bit', async () => {
    const results = await writeRun(folder())
    for (const name of results.tables) await check(results, name)
  })

  async function check(results: Results, name: TableName): Promise<void> {
    const table = await results.arrow(name)
    writeFileSync(join(folder(), `${name}.arrows`), tableToIPC(table, 'stream'))
    writeFileSync(join(folder(), `${name}.arrow`), tableToIPC(table, 'file'))
    const { stdout, stderr } = spawnSync(python!, ['-c', COMPARE, folder(), name], { encoding: 'utf8' })
    expect(stderr).to.equal('')
    expect(stdout).to.equal(`${table.numRows}\n`)
  }
})
