import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { expect } from 'chai'
import { parse } from 'csv-parse/sync'
import { openResults } from '../../src/tables/read.js'
import { TABLES, type TableName } from '../../src/tables/schema.js'
import { ResultsWriter } from '../../src/tables/writer.js'
import { madeUpFacts, writeMadeUpRun } from '../tables/made-up.js'
import { moveIntoTree } from '../tables/tree.js'
import { MAIN, newFolder, removeFolders, retrograd, runArguments, type Outcome } from './command.js'

const LAYERS =
  "select layer, sum(lca) as lca from tensors where split = 'train' group by layer order by layer"

async function writeMadeUp(dir: string): Promise<void> {
  const writer = await ResultsWriter.create(dir, { granularity: 'parameter', overwrite: true, facts: {} })
  writeMadeUpRun(writer, 'parameter', 40)
  await writer.commit(madeUpFacts())
}

describe('retrograd query', function () {
  this.timeout(60_000)
  /** A recorded run of the demo's network. */
  let real: string
  let madeUp: string
  let tree: string

  before(async () => {
    real = join(newFolder(), 'results')
    const { status, stderr } = await retrograd(
      runArguments({ steps: '0:3', granularity: 'parameter', out: real }),
    )
    expect(status, stderr).to.equal(0)
    madeUp = newFolder()
    await writeMadeUp(madeUp)
    tree = newFolder()
    for (const run of ['007', '10']) {
      const dir = newFolder()
      await writeMadeUp(dir)
      moveIntoTree(dir, tree, run)
    }
  })
  after(removeFolders)

  async function ask(sql: string, ...options: string[]): Promise<Outcome> {
    return retrograd(['query', real, sql, ...options])
  }

  async function answer(sql: string, ...options: string[]): Promise<string> {
    const { status, stdout, stderr } = await ask(sql, ...options)
    expect(status, stderr).to.equal(0)
    expect(stderr).to.equal('')
    return stdout
  }

  /** What the first query must give, by our own reader of the tables, in the order of the rows. */
  async function layers(): Promise<{ layer: string; lca: number }[]> {
    const { columns } = await (await openResults(real)).readTable('tensors')
    const sums = new Map<string, number>()
    columns.layer.forEach((layer, row) => {
      if (columns.split[row] === 'train') sums.set(layer, (sums.get(layer) ?? 0) + columns.lca[row]!)
    })
    return [...sums].map(([layer, lca]) => ({ layer, lca })).sort((a, b) => (a.layer < b.layer ? -1 : 1))
  }

  function expectLayers(found: readonly { layer: string; lca: number }[], expected: typeof found): void {
    expect(found.map(({ layer }) => layer)).to.deep.equal(expected.map(({ layer }) => layer))
    found.forEach(({ lca }, i) => expect(lca).to.be.closeTo(expected[i]!.lca, 1e-15))
  }

  it('answers in CSV where stdout is no terminal, with all digits', async () => {
    const rows = parse<{ layer: string; lca: string }>(await answer(LAYERS), { columns: true })
    expectLayers(
      rows.map(({ layer, lca }) => ({ layer, lca: Number(lca) })),
      await layers(),
    )
    expect(await answer(LAYERS, '--format', 'csv')).to.equal(await answer(LAYERS))
  })

  it('answers in JSON and JSON lines', async () => {
    expectLayers(JSON.parse(await answer(LAYERS, '--format', 'json')) as [], await layers())
    const lines = (await answer(LAYERS, '--format', 'jsonl')).trimEnd().split('\n')
    expectLayers(
      lines.map((line) => JSON.parse(line) as { layer: string; lca: number }),
      await layers(),
    )
  })

  it('writes every kind of value so that it reads back', async () => {
    const sql = `select null as nothing, '' as empty, 'a "b",
c' as text, 2.0::double as whole, -0.0::double as minus, 'NaN'::double as nan, 9007199254740993 as large,
      1.10::decimal(9, 2) as decimal, [1.5::float, 2] as list, {'a': [true]} as struct, date '2026-01-02' as day`
    const [, ...fields] = parse(await answer(sql))
    expect(fields).to.deep.equal([
      [
        '',
        '',
        'a "b",\nc',
        '2.0',
        '-0.0',
        'NaN',
        '9007199254740993',
        '1.10',
        '[1.5, 2]',
        "{'a': [true]}",
        '2026-01-02',
      ],
    ])
    expect((await answer(sql)).split('\n')[1]).to.match(/^,"","a ""b"",$/)
    const json = await answer(sql, '--format', 'json')
    expect(json).to.include('"large":9007199254740993')
    expect(JSON.parse(json)).to.deep.equal([
      {
        nothing: null,
        empty: '',
        text: 'a "b",\nc',
        whole: 2,
        minus: -0,
        nan: null,
        large: 9007199254740992,
        decimal: 1.1,
        list: [1.5, 2],
        struct: { a: [true] },
        day: '2026-01-02',
      },
    ])
  })

  it('gives an empty array and an empty file of lines where there are no rows', async () => {
    const none = 'select lca from steps where interval > 99'
    expect(JSON.parse(await answer(none, '--format', 'json'))).to.deep.equal([])
    expect(await answer(none, '--format', 'jsonl')).to.equal('')
    expect(await answer(none)).to.equal('lca\n')
  })

  it('shows a table, numbers to the right, and says how many rows there are', async () => {
    const sql = "from (values ('a', 1, [1, 2]), ('bc', 22, null)) as t(name, number, list)"
    const shown = await answer(sql, '--format', 'table')
    expect(shown).to.equal(
      ['name  number  list', 'a          1  [1, 2]', 'bc        22  NULL', '2 rows', ''].join('\n'),
    )
    const some = await answer('select index from totals', '--format', 'table', '--rows', '3')
    expect(some.split('\n').slice(0, 5)).to.deep.equal([
      'index',
      '    0',
      '    1',
      '    2',
      '3 of 11,978 rows; --rows 0 shows all',
    ])
    const all = await answer('select index from totals', '--format', 'table', '--rows', '0')
    expect(all.split('\n').length).to.equal(11_978 + 3)
  })

  it('shows long lists and texts by their beginning', async () => {
    const sql = "select lca, repeat('x', 100) as x from parameters where tensor = 'fc1.weight' limit 1"
    const [, row] = (await answer(sql, '--format', 'table')).split('\n')
    expect(row!.length).to.be.lessThan(100)
    expect(row).to.match(/^\[.*…  x+…$/)
  })

  it('keeps control characters from the terminal, also in names, and from JSON', async () => {
    const escape = 'select concat(chr(27), $$[31m\n$$, chr(155)) as "\u001b[1m"'
    const shown = await answer(escape, '--format', 'table')
    expect(shown).to.equal('\\u001b[1m\n\\u001b[31m\\n\\u009b\n1 row\n')
    expect(await answer(escape, '--format', 'json')).not.to.match(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
    const { stderr } = await ask("select '\u001b[31m'::int")
    expect(stderr).to.include("'\\u001b[31m'")
  })

  it('lists the tables with rows and columns as DuckDB sees them', async () => {
    const { stdout } = await retrograd(['query', real])
    expect(stdout).to.match(
      /^steps {2}3 rows\. One row per split and interval\.\n {2}split +VARCHAR +Name of/,
    )
    const rows = parse<Record<'table' | 'rows' | 'column' | 'type', string>>(
      (await retrograd(['query', real, '--format', 'csv'])).stdout,
      { columns: true },
    )
    const tables = Object.keys(TABLES).filter((name) => name !== 'blocks') as TableName[]
    expect([...new Set(rows.map(({ table }) => table))]).to.deep.equal(tables)
    for (const table of tables) {
      const listed = rows.filter((row) => row.table === table)
      const described = parse<{ column_name: string; column_type: string }>(
        await answer(`describe ${table}`),
        {
          columns: true,
        },
      )
      expect(listed.map(({ column, type }) => [column, type])).to.deep.equal(
        described.map(({ column_name, column_type }) => [column_name, column_type]),
      )
      expect(await answer(`select count(*) as n from ${table}`)).to.equal(`n\n${listed[0]!.rows}\n`)
    }
  })

  it('reads a tree of runs, with a column for the run', async () => {
    const asked = async (...args: string[]): Promise<string> => {
      const { status, stdout, stderr } = await retrograd(['query', tree, ...args])
      expect(status, stderr).to.equal(0)
      return stdout
    }
    const sql =
      'select run, count(*) as n from steps join tensors using (run, split, interval) group by run order by run'
    expect(await asked(sql)).to.equal('run,n\n007,240\n10,240\n')
    expect(await asked()).to.match(/steps {2}160 rows[^]*run +VARCHAR +Name of the run/)
  })

  it('takes the query from stdin', async () => {
    const { stdout } = await retrograd(['query', real, '-'], { input: '-- a comment\nselect 1 as one;\n' })
    expect(stdout).to.equal('one\n1\n')
    const { status, stderr } = await retrograd(['query', real, '-'], { input: '' })
    expect(status).to.equal(2)
    expect(stderr).to.match(/the query holds no statement/)
  })

  it('writes a file by its ending, whole, and no other file', async () => {
    const folder = newFolder()
    const out = (name: string): string => join(folder, name)
    expect(await answer(LAYERS, '--out', out('a.csv'))).to.equal('')
    expect(readFileSync(out('a.csv'), 'utf8')).to.equal(await answer(LAYERS))
    await answer(LAYERS, '--out', out('a.json'))
    expectLayers(JSON.parse(readFileSync(out('a.json'), 'utf8')) as [], await layers())
    await answer(LAYERS, '--out', out('a.txt'), '--format', 'jsonl')
    expect(readFileSync(out('a.txt'), 'utf8')).to.equal(await answer(LAYERS, '--format', 'jsonl'))
    await answer('from parameters', '--out', out("it's.parquet"))
    const connection = await (await DuckDBInstance.create()).connect()
    const reader = await connection.runAndReadAll(`from '${folder}/it''s.parquet'`)
    const { columns } = await (await openResults(real)).readTable('parameters')
    expect(reader.getColumnsObjectJS().lca).to.deep.equal(columns.lca.map((lca) => Array.from(lca)))
    connection.closeSync()
    expect(readdirSync(folder).sort()).to.deep.equal(['a.csv', 'a.json', 'a.txt', "it's.parquet"])
  })

  it('replaces a file only when it is told to, and leaves it as it is where the query fails', async () => {
    const out = join(newFolder(), 'x.parquet')
    writeFileSync(out, 'mine')
    const refused = await ask('from steps', '--out', out)
    expect(refused).to.deep.include({ status: 2, stdout: '' })
    expect(refused.stderr).to.match(/x\.parquet: the file exists; name another, or give --overwrite/)
    const wrong = await ask('select nope from steps', '--out', out, '--overwrite')
    expect(wrong.status).to.equal(2)
    expect(readFileSync(out, 'utf8')).to.equal('mine')
    expect(existsSync(`${out}.partial`)).to.equal(false)
    await answer('from steps', '--out', out, '--overwrite')
    expect(readFileSync(out).subarray(0, 4).toString()).to.equal('PAR1')
  })

  it('says what is wrong, in one go, with its exit code', async () => {
    const taken = newFolder()
    mkdirSync(join(taken, 'x.csv'))
    const cases: [args: string[], status: number, message: RegExp][] = [
      [
        ['selec 1'],
        2,
        /^retrograd: Parser Error: syntax error at or near "selec"\n\nLINE 1: selec 1\n {8}\^\n$/,
      ],
      [["select * from read_csv('README.md')"], 2, /a query reads the tables of the results only/],
      [['create table t (x int)'], 2, /a query must be, or end in, one that gives rows/],
      [[''], 2, /the query is empty/],
      [['from steps', '--format', 'xml'], 2, /Invalid values/],
      [['from steps', '--format', 'parquet'], 2, /--format parquet needs a file: --out FILE\.parquet/],
      [['from steps', '--out', 'x.xlsx'], 2, /--out x\.xlsx: name a format/],
      [['from steps', '--out', join(taken, 'x.csv')], 2, /that is no file/],
      [['from steps', '--out', join(taken, 'no/x.csv')], 2, /there is no folder/],
      [['from steps', '--out', join(taken, 'no/x.parquet')], 2, /there is no folder/],
      [['from steps', '--rows', '-1'], 2, /--rows takes a number/],
      [['from steps', '--threads', '0'], 2, /--threads takes a number/],
      [['from steps', '--memory', 'much'], 2, /--memory much: /],
      [['from steps', '--foramt', 'csv'], 2, /did you mean --format\?/],
      [['--out', 'x.parquet'], 2, /--format parquet needs a query/],
    ]
    for (const [args, status, message] of cases) {
      const outcome = await retrograd(['query', real, ...args])
      expect(outcome.stderr, args.join(' ')).to.match(message)
      expect(outcome, args.join(' ')).to.deep.include({ status, stdout: '' })
    }
    const missing = await retrograd(['query', taken, 'from steps'])
    expect(missing.status).to.equal(1)
    expect(missing.stderr).to.match(/holds no finished results/)
  })

  it('ends quietly where the reader has seen enough', () => {
    const command = `"${process.execPath}" "${MAIN}" query "${real}" "from totals t, range(20)" | head -n 1`
    const { stdout, stderr, status } = spawnSync('bash', ['-o', 'pipefail', '-c', command], {
      encoding: 'utf8',
    })
    expect(stderr).to.equal('')
    expect(stdout).to.match(/^split,tensor,index,unit,lca,.*,range\n$/)
    expect(status).to.equal(0)
  })

  it('ends with 130 where it is interrupted, and leaves no file', async () => {
    const [out, temp] = [newFolder(), newFolder()]
    const sql = 'select count(*) as n from (select distinct range from range(1000000000))'
    const { status } = await retrograd(
      ['query', real, sql, '--memory', '60MB', '--out', join(out, 'x.parquet')],
      {
        env: { TMPDIR: temp, TEMP: temp },
        onSpawn: (child) => {
          const waiting = setInterval(() => {
            if (readdirSync(temp).length === 0) return
            clearInterval(waiting)
            child.kill('SIGINT')
          }, 20)
        },
      },
    )
    expect(status).to.equal(130)
    expect([...readdirSync(out), ...readdirSync(temp)]).to.deep.equal([])
  })
})
