import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance, type DuckDBResultReader } from '@duckdb/node-api'
import { expect } from 'chai'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { ResultsError, UsageError } from '../../src/errors.js'
import { openQuery, type Query, type QueryOptions } from '../../src/tables/query.js'
import { openArchive, openResults, type Archive, type Results } from '../../src/tables/read.js'
import type { ColumnBatch, Granularity } from '../../src/tables/schema.js'
import { ResultsWriter } from '../../src/tables/writer.js'
import { rejection } from '../support/rejection.js'
import { useFolder } from './folder.js'
import { madeUpFacts, madeUpLca, writeMadeUpRun } from './made-up.js'
import { moveIntoTree } from './tree.js'

const INTERVALS = 40

async function writeRun(dir: string, granularity: Granularity = 'parameter'): Promise<Results> {
  const writer = await ResultsWriter.create(dir, { granularity, overwrite: true, facts: {} })
  writeMadeUpRun(writer, granularity, INTERVALS)
  await writer.commit(madeUpFacts())
  return openResults(dir)
}

describe('openQuery', () => {
  const folder = useFolder()
  const open: Query[] = []
  afterEach(async () => {
    for (const query of open.splice(0)) await query.close()
  })
  async function queryOf(source: Results | Archive, options?: QueryOptions): Promise<Query> {
    const query = await openQuery(source, options)
    open.push(query)
    return query
  }

  it('has a view for each table that is there, with the rows in the order they were written', async () => {
    const results = await writeRun(folder(), 'unit')
    const query = await queryOf(results)
    expect(query.tables).to.deep.equal(['steps', 'tensors', 'units', 'totals'])
    for (const table of query.tables) {
      const { rows, columns } = await results.readTable(table)
      const found = await query.columns(`from ${table}`)
      expect(found.rows).to.equal(rows)
      expect(found.names).to.deep.equal(Object.keys(columns))
      for (const [name, values] of Object.entries(columns)) {
        const expected: unknown[] = Array.from(values as ArrayLike<unknown>)
        expect(Array.from(found.columns[name]!), `${table}.${name}`).to.deep.equal(expected)
      }
    }
  })

  it('gives numbers, strings, lists and nulls as plain values', async () => {
    const query = await queryOf(await writeRun(folder()))
    const [row] = await query.rows(
      `select split, interval, step_to, count(*) over () as rows, sum(interval) over () as hugeint, 1.25 as decimal,
              null as nothing, shape, list_sum(lca) as total, {'a': 1, 'b': [true]} as struct, date '2026-01-02' as day
       from parameters where tensor = 'fc.weight' and interval = 39`,
    )
    expect(row).to.deep.include({
      split: 'train',
      interval: 39,
      step_to: 400,
      rows: 2,
      hugeint: 78,
      decimal: 1.25,
    })
    expect(row).to.deep.include({
      nothing: null,
      shape: [10, 16],
      struct: { a: 1, b: [true] },
      day: '2026-01-02',
    })
    const lca = Array.from({ length: 160 }, (_, parameter) => madeUpLca(0, 39, 2, parameter))
    expect(row!.total).to.be.closeTo(
      lca.reduce((sum, value) => sum + value, 0),
      1e-9,
    )
  })

  it('refuses integers that a number does not hold', async () => {
    const query = await queryOf(await writeRun(folder(), 'tensor'))
    expect(await query.rows('select 9007199254740991 as n')).to.deep.equal([{ n: 9007199254740991 }])
    for (const call of [
      query.rows('select 9007199254740993 as n'),
      query.columns('select -9007199254740993 as n'),
    ]) {
      const error = await rejection(call)
      expect(error).to.be.instanceOf(UsageError)
      expect(error.message).to.match(
        /column n holds -?9007199254740993, which a number does not hold exactly/,
      )
    }
  })

  it('computes with one thread wherever it runs, so that sums have the same bits', async () => {
    const results = await writeRun(folder(), 'tensor')
    const threads = "select current_setting('threads') as threads"
    expect(await (await queryOf(results)).rows(threads)).to.deep.equal([{ threads: 1 }])
    expect(await (await queryOf(results, { threads: 3 })).rows(threads)).to.deep.equal([{ threads: 3 }])
  })

  it('takes parameters by place and by name', async () => {
    const query = await queryOf(await writeRun(folder(), 'tensor'))
    const where = 'select count(*) as n from tensors where'
    expect(await query.rows(`${where} layer = ? and interval < ?`, ['fc', 10])).to.deep.equal([{ n: 20 }])
    expect(await query.rows(`${where} layer = $layer`, { layer: "f'c" })).to.deep.equal([{ n: 0 }])
  })

  it('tells columns of one name apart', async () => {
    const query = await queryOf(await writeRun(folder(), 'tensor'))
    expect(await query.rows('select 1 as a, 2 as a')).to.deep.equal([{ a: 1, 'a:1': 2 }])
  })

  it('pivots, and takes tables made in memory before', async () => {
    const query = await queryOf(await writeRun(folder(), 'tensor'))
    const sql = `create temp table t as from tensors where split = 'train' and interval < 2;
                 pivot t on layer using count(*) group by interval order by interval; -- two layers`
    expect(await query.rows(sql)).to.deep.equal([
      { interval: 0, conv1: 2, fc: 1 },
      { interval: 1, conv1: 2, fc: 1 },
    ])
  })

  it('reads the files of the tables and nothing else', async () => {
    const results = await writeRun(folder(), 'tensor')
    const other = join(folder(), 'other.parquet')
    writeFileSync(
      other,
      new Uint8Array(parquetWriteBuffer({ columnData: [{ name: 'x', data: [1], type: 'INT32' }] })),
    )
    const query = await queryOf(results)
    const queries = [
      `from '${other}'`,
      `from read_text('${join(folder(), 'manifest.json')}')`,
      `from glob('${folder()}/*')`,
      `from read_csv('https://example.org/x.csv')`,
    ]
    for (const sql of queries) {
      const error = await rejection(query.rows(sql))
      expect(error, sql).to.be.instanceOf(UsageError)
      expect(error.message, sql).to.match(/^a query reads the tables of the results only\. Permission Error/)
    }
  })

  it('writes nothing, and changes no setting', async () => {
    const results = await writeRun(folder(), 'tensor')
    const [part] = await results.partsOf('steps')
    const before = readFileSync(part!)
    const query = await queryOf(results)
    const statements = [
      `copy (select 1) to '${part!}'`,
      `explain analyze copy (select 1) to '${part!}'`,
      `create table t (x int); insert into t values (1)`,
      `create table t (x int)`,
      `attach '${join(folder(), 'x.db')}' as x; select 1`,
      `set threads = 2`,
      `install httpfs`,
      `set lock_configuration = false; select 1`,
      `create persistent secret s (type http); select 1`,
      `prepare p as copy (select 1) to '${part!}'; select 1`,
    ]
    for (const sql of statements) expect(await rejection(query.rows(sql)), sql).to.be.instanceOf(UsageError)
    expect(readFileSync(part!).equals(before)).to.equal(true)
    expect(readdirSync(folder()).sort()).to.deep.equal(['manifest.json', 'steps', 'tensors', 'totals'])
  })

  it('says what is wrong with a query in the words of DuckDB, with the place', async () => {
    const query = await queryOf(await writeRun(folder(), 'tensor'))
    const cases: [sql: string, message: RegExp][] = [
      ['selec 1', /^Parser Error: syntax error at or near "selec"\n\nLINE 1: selec 1\n {8}\^/],
      [
        'select loss from steps',
        /"loss" not found.*\n.*loss_to.*\n\nLINE 1: select loss from steps\n {15}\^/,
      ],
      ['from units', /^Catalog Error: Table with name units does not exist/],
      ["select '\u001b[31m'::int", /Could not convert string '\\u001b\[31m' to INT32/],
      ['', /holds no statement/],
      [' ; -- nothing', /holds no statement/],
      ['select ?', /parameter/],
    ]
    for (const [sql, message] of cases) {
      const error = await rejection(query.rows(sql))
      expect(error, sql).to.be.instanceOf(UsageError)
      expect(error.message).to.match(message)
    }
    expect(await query.rows('select 1 as one')).to.deep.equal([{ one: 1 }])
  })

  it('says which file is damaged or missing', async () => {
    const results = await writeRun(folder(), 'tensor')
    const [part] = await results.partsOf('tensors')
    const whole = readFileSync(part!)
    const query = await queryOf(results)
    writeFileSync(part!, Buffer.from(whole).fill(0xff, 4, whole.length >> 1))
    const error = await rejection(query.rows('select sum(lca) from tensors'))
    expect(error).to.be.instanceOf(ResultsError)
    expect(error.message).to.include(`DuckDB failed on the tables of ${folder()}: `)
    writeFileSync(part!, whole.subarray(0, 100))
    expect(await rejection(openQuery(results))).to.be.instanceOf(ResultsError)
    rmSync(part!)
    expect(await rejection(openQuery(results))).to.be.instanceOf(ResultsError)
  })

  it("takes a folder's name as it is, whatever stands in it", async () => {
    const dirs = ["it's", 'a[1]', 'a1', 'run=5', 'step=5', '*', '?x', 'ü –'].map((name) =>
      join(folder(), name),
    )
    for (const dir of dirs) {
      mkdirSync(dir)
      const query = await queryOf(await writeRun(dir, 'tensor'))
      const { rows, names } = await query.columns('from steps')
      expect(rows, dir).to.equal(2 * INTERVALS)
      expect(names, dir).not.to.include.members(['run', 'step'])
      await query.close()
      open.pop()
    }
  })

  it('reads a tree of runs as one, with their names as strings', async () => {
    const names = ['007', '10', "it's a [run]"]
    for (const name of names) {
      const dir = join(folder(), 'made', name)
      mkdirSync(dir, { recursive: true })
      await writeRun(dir, name === '10' ? 'unit' : 'tensor')
      moveIntoTree(dir, join(folder(), 'tree'), name)
    }
    const query = await queryOf(await openArchive(join(folder(), 'tree')))
    expect(query.tables).to.deep.equal(['steps', 'tensors', 'units', 'totals'])
    const { names: columns } = await query.columns('from steps limit 0')
    expect(columns.slice(-2)).to.deep.equal(['step_unit', 'run'])
    const rows = await query.rows('select run, count(*) as n from steps group by run order by run')
    expect(rows).to.deep.equal(names.map((run) => ({ run, n: 2 * INTERVALS })))
    expect(await query.rows('select distinct run from units')).to.deep.equal([{ run: '10' }])
    expect(
      await query.rows("select count(*) as n from tensors where run = '007' and interval = 0"),
    ).to.deep.equal([{ n: 6 }])
  })

  it('spills to files where memory is short, and removes them', async () => {
    const results = await writeRun(folder(), 'tensor')
    const sql = `select count(*) as n, sum(x) as sum from (select distinct s.interval * 200000 + t.range as x
                 from (from steps where split = 'train') s, range(200000) t where s.interval < 20)`
    const tempDir = join(folder(), 'temp')
    mkdirSync(tempDir)
    const query = await queryOf(results, { memoryLimit: '60MB', tempDir })
    expect(await query.rows(sql)).to.deep.equal([{ n: 4_000_000, sum: (4_000_000 * 3_999_999) / 2 }])
    await query.close()
    open.pop()
    expect(readdirSync(tempDir)).to.deep.equal([])
    // that it was short: where there can be no files, it is not enough
    const none = await queryOf(results, {
      memoryLimit: '60MB',
      tempDir: join(folder(), 'manifest.json/temp'),
    })
    const error = await rejection(none.rows(sql))
    expect(error).to.be.instanceOf(ResultsError)
    expect(error.message).to.include('manifest.json')
  })

  it('gives the values as DuckDB has them, chunk by chunk', async () => {
    const query = await queryOf(await writeRun(folder(), 'tensor'))
    const result = await query.result('select interval, lca, [tensor] as names from tensors')
    expect(result.names).to.deep.equal(['interval', 'lca', 'names'])
    expect(result.types).to.deep.equal(['INTEGER', 'DOUBLE', 'VARCHAR[]'])
    let rows = 0
    for await (const chunk of result.chunks()) rows += chunk.length
    expect(rows).to.equal(6 * INTERVALS)
  })

  it('fails where a late row does, instead of leaving out the rest', async () => {
    const query = await queryOf(await writeRun(folder(), 'tensor'), { output: join(folder(), 'x.parquet') })
    const sql = "select case when range < 2000000 then '1' else 'x' end::int as n from range(3000000)"
    for (const call of ['rows', 'columns', 'result', 'writeParquet'] as const) {
      const error = await rejection(query[call](sql))
      expect(error, call).to.be.instanceOf(UsageError)
      expect(error.message).to.match(
        /^Conversion Error: Could not convert string 'x' to INT32(\n\nLINE 1: select|$)/,
      )
    }
    expect(await query.rows('select 1 as one')).to.deep.equal([{ one: 1 }])
  })

  it('writes a result as Parquet, to the file that was named before', async () => {
    const output = join(folder(), "it's.parquet")
    const results = await writeRun(folder())
    const query = await queryOf(results, { output })
    const sql = `select *, null as nothing, 'a'::enum ('a', 'b') as kind, {'x': interval} as struct, 1.5::decimal(9, 2) as decimal,
             count(*) over () as "as ""rows""" from`
    await query.writeParquet('-- no rows\nselect 1 as one where false;')
    const both = [`${sql} parameters; -- all`, `create temp table t as from parameters; ${sql} t; -- all`]
    for (const one of both) {
      await query.writeParquet(one)
      await checkParquet(output, await results.readTable('parameters'))
    }
    for (const [one, columns] of [
      ['describe steps', 6],
      ['pivot tensors on layer using sum(lca) group by step_to', 3],
    ] as const) {
      await query.writeParquet(one)
      expect((await readParquet(output)).columnCount).to.equal(columns)
    }
    expect(await rejection(query.writeParquet('select nope from steps'))).to.be.instanceOf(UsageError)
    expect(await rejection(query.writeParquet("copy steps to 'x.csv'"))).to.be.instanceOf(UsageError)
  })
})

async function readParquet(path: string): Promise<DuckDBResultReader> {
  const connection = await (await DuckDBInstance.create()).connect()
  return connection.runAndReadAll(`from '${path.replace("'", "''")}'`)
}

async function checkParquet(path: string, { columns, rows }: ColumnBatch<'parameters'>): Promise<void> {
  const reader = await readParquet(path)
  const types = [
    'VARCHAR',
    'INTEGER[]',
    'FLOAT[]',
    'INTEGER',
    'VARCHAR',
    'STRUCT("x" INTEGER)',
    'DECIMAL(9,2)',
    'BIGINT',
  ]
  expect(reader.columnTypes().map(String).slice(4)).to.deep.equal(types)
  const found = reader.getColumnsObjectJS()
  expect(found.interval).to.deep.equal(Array.from(columns.interval))
  expect(found.lca).to.deep.equal(columns.lca.map((list) => Array.from(list)))
  expect(found['as "rows"']).to.deep.equal(Array<bigint>(rows).fill(BigInt(rows)))
}
