import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, type FileMetaData } from 'hyparquet'
import type { Batch, Granularity } from '../../src/tables/schema.js'
import { ResultsWriter } from '../../src/tables/writer.js'
import { useFolder } from './folder.js'
import { madeUpFacts, writeMadeUpRun } from './made-up.js'

const FACTS = { version: '0.0.0', options: { loss: 'cross-entropy' } }

function create(dir: string, granularity: Granularity): Promise<ResultsWriter> {
  return ResultsWriter.create(dir, { granularity, overwrite: false, facts: FACTS })
}

async function readRows(path: string): Promise<Record<string, unknown>[]> {
  return parquetReadObjects({ file: await asyncBufferFromFile(path) })
}

async function readMetadata(path: string): Promise<FileMetaData> {
  return parquetMetadataAsync(await asyncBufferFromFile(path))
}

function unitBatch(unit: Int32Array, lca: Float64Array): Batch<'units'> {
  const key = { split: 'train', interval: 3, step_from: 30, step_to: 40, tensor: 'fc1.weight' }
  return { ...key, unit, lca, helping: 5, hurting: 2, first_order: 0.25 }
}

describe('ResultsWriter', () => {
  const folder = useFolder()

  it('writes rows that another library reads, a scalar standing for every row', async () => {
    const writer = await create(folder(), 'unit')
    writer.append('units', 3, unitBatch(Int32Array.of(0, 1, 2), Float64Array.of(-0.5, 0, 1e-300)))
    await writer.commit(madeUpFacts())
    const rows = await readRows(join(folder(), 'units/part-00000.parquet'))
    const shared = {
      split: 'train',
      interval: 3,
      step_from: 30n,
      step_to: 40n,
      tensor: 'fc1.weight',
      helping: 5n,
      hurting: 2n,
      first_order: 0.25,
    }
    expect(rows).to.deep.equal([
      { ...shared, unit: 0, lca: -0.5 },
      { ...shared, unit: 1, lca: 0 },
      { ...shared, unit: 2, lca: 1e-300 },
    ])
  })

  it('keeps every bit of float64: signed zeros, infinities, subnormals and NaN payloads', async () => {
    const bits = BigUint64Array.of(
      0x8000000000000000n,
      0x0000000000000001n,
      0x800fffffffffffffn,
      0x7ff0000000000000n,
      0xfff0000000000000n,
      0x7ff8000000000000n,
      0x7ff8000000012345n,
      0xfff8000000000001n,
    )
    const writer = await create(folder(), 'unit')
    writer.append('units', bits.length, unitBatch(new Int32Array(bits.length), new Float64Array(bits.buffer)))
    await writer.commit(madeUpFacts())
    const rows = await readRows(join(folder(), 'units/part-00000.parquet'))
    const read = new BigUint64Array(Float64Array.from(rows, (row) => Number(row['lca'])).buffer)
    expect(Array.from(read)).to.deep.equal(Array.from(bits))
  })

  it('keeps numbers that stand for all rows, the sign of zero too, until another is given', async () => {
    const at = (interval: number, first_order: number, lca: number): Batch<'units'> => ({
      ...unitBatch(Int32Array.of(0, 1), Float64Array.of(0, 0)),
      interval,
      first_order,
      lca,
    })
    const writer = await create(folder(), 'unit')
    writer.append('units', 2, at(0, NaN, -0))
    writer.append('units', 2, at(1, NaN, -0))
    writer.endBlock()
    writer.append('units', 2, at(2, -0, 1))
    writer.append('units', 2, at(3, 0, 1))
    await writer.commit(madeUpFacts())
    const columns = async (part: string, name: string): Promise<unknown[]> =>
      (await readRows(join(folder(), 'units', part))).map((row) => row[name])
    expect(await columns('part-00000.parquet', 'first_order')).to.deep.equal([NaN, NaN, NaN, NaN])
    expect(await columns('part-00000.parquet', 'lca')).to.deep.equal([-0, -0, -0, -0])
    expect(await columns('part-00001.parquet', 'first_order')).to.deep.equal([-0, -0, 0, 0])
    expect(await columns('part-00001.parquet', 'lca')).to.deep.equal([1, 1, 1, 1])
  })

  it('keeps strings in runs, one by one, and of more kinds than a byte counts; their bounds are those of their bytes', async () => {
    const names = Array.from({ length: 700 }, (_, i) => `layer.${i % 300}.\u{1f600}`)
    // in UTF-16 the first would come last
    const wide = ['\uff5e', '\u{1f600}', 'a']
    const tensors = [...names, ...names.slice(0, 5).flatMap((name) => [name, name, name]), ...wide]
    const writer = await create(folder(), 'unit')
    const numbers = new Float64Array(1)
    for (const tensor of tensors)
      writer.append('units', 1, { ...unitBatch(Int32Array.of(0), numbers), tensor: [tensor] })
    await writer.commit(madeUpFacts())
    const path = join(folder(), 'units/part-00000.parquet')
    expect((await readRows(path)).map((row) => row['tensor'])).to.deep.equal(tensors)
    const { row_groups } = await readMetadata(path)
    const chunk = row_groups[0]!.columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === 'tensor')
    const { min_value, max_value, null_count } = chunk!.meta_data!.statistics!
    expect([min_value, max_value, null_count]).to.deep.equal(['a', '\u{1f600}', 0n])
  })

  it('keeps every bit of the float32 in lists, and lists of any length', async () => {
    const bits = Uint32Array.of(0x80000000, 1, 0x807fffff, 0x7f800000, 0xff800000, 0x3f800000)
    const long = Float32Array.from({ length: 400_000 }, (_, i) => Math.sin(i))
    const lists = [
      new Float32Array(bits.buffer),
      new Float32Array(0),
      Float32Array.of(1.5),
      long,
      new Float32Array(0),
    ]
    const writer = await create(folder(), 'parameter')
    lists.forEach((lca, interval) => {
      const key = { split: 'train', interval, step_from: 0, step_to: 1, tensor: 'a' }
      writer.append('parameters', 1, { ...key, shape: [[1, lca.length]], lca: [lca] })
    })
    await writer.commit(madeUpFacts())
    const rows = await readRows(join(folder(), 'parameters/part-00000.parquet'))
    expect(rows.map((row) => row['shape'])).to.deep.equal(lists.map(({ length }) => [1, length]))
    const read = rows.map((row) => Float32Array.from(row['lca'] as number[]))
    for (const [i, list] of lists.entries())
      expect(Buffer.from(read[i]!.buffer).equals(Buffer.from(list.slice().buffer))).to.equal(true)
  })

  it('holds steps beyond 32 bits and refuses what an integer column cannot hold', async () => {
    const writer = await create(folder(), 'unit')
    const batch = unitBatch(Int32Array.of(0), Float64Array.of(1))
    writer.append('units', 1, { ...batch, step_from: 2 ** 40, step_to: Number.MAX_SAFE_INTEGER })
    expect(() => {
      writer.append('units', 1, { ...batch, step_from: 1.5 })
    }).to.throw('column step_from is int64 and cannot hold 1.5')
    expect(() => {
      writer.append('units', 1, { ...batch, interval: 2 ** 31 })
    }).to.throw('column interval is int32 and cannot hold 2147483648')
    await writer.discard()
  })

  it('refuses a column that is missing or of another length', async () => {
    const writer = await create(folder(), 'unit')
    const batch = unitBatch(Int32Array.of(0, 1), Float64Array.of(1, 2))
    expect(() => {
      writer.append('units', 3, batch)
    }).to.throw('column unit has 2 values for 3 rows')
    expect(() => {
      writer.append('units', 2, { ...batch, lca: undefined } as unknown as Batch<'units'>)
    }).to.throw('column lca is missing')
    await writer.discard()
  })

  it('copies what it is given, so that callers can reuse their arrays', async () => {
    const writer = await create(folder(), 'unit')
    const lca = Float64Array.of(1)
    writer.append('units', 1, unitBatch(Int32Array.of(0), lca))
    lca[0] = 2
    writer.append('units', 1, unitBatch(Int32Array.of(0), lca))
    await writer.commit(madeUpFacts())
    const rows = await readRows(join(folder(), 'units/part-00000.parquet'))
    expect(rows.map((row) => row['lca'])).to.deep.equal([1, 2])
  })

  it('begins a part with every block of the per-interval tables, and counts rows, parts and bytes', async () => {
    const writer = await create(folder(), 'parameter')
    writeMadeUpRun(writer, 'parameter', 70)
    const { tables } = await writer.commit(madeUpFacts())
    expect(tables.map(({ name, rows, parts }) => [name, rows, parts])).to.deep.equal([
      ['steps', 140, 3],
      ['tensors', 420, 3],
      ['units', 2520, 3],
      ['parameters', 420, 3],
      ['totals', 400, 1],
    ])
    const intervals = (await readRows(join(folder(), 'steps/part-00001.parquet'))).map(
      (row) => row['interval'],
    )
    expect(new Set(intervals)).to.deep.equal(new Set(Array.from({ length: 32 }, (_, i) => 32 + i)))
    const sizes = [0, 1, 2].map(
      (part) => readFileSync(join(folder(), `units/part-0000${part}.parquet`)).length,
    )
    expect(tables[2]!.bytes).to.equal(sizes[0]! + sizes[1]! + sizes[2]!)
  })

  it('writes row groups as rows arrive, none above its limit', async () => {
    const writer = await create(folder(), 'unit')
    const rows = 300_000
    writer.append(
      'units',
      rows,
      unitBatch(
        Int32Array.from({ length: rows }, (_, i) => i),
        new Float64Array(rows),
      ),
    )
    await writer.commit(madeUpFacts())
    const metadata = await readMetadata(join(folder(), 'units/part-00000.parquet'))
    expect(metadata.row_groups.map((group) => Number(group.num_rows))).to.deep.equal([131072, 131072, 37856])
    const read = await readRows(join(folder(), 'units/part-00000.parquet'))
    expect(read.every((row, i) => row['unit'] === i)).to.equal(true)
  })

  it('ends a row group of long lists at 16 MiB', async () => {
    const writer = await create(folder(), 'parameter')
    const lca = new Float32Array(1 << 20)
    for (let interval = 0; interval < 10; interval += 1) {
      const key = { split: 'train', interval, step_from: 0, step_to: 1, tensor: 'a' }
      writer.append('parameters', 1, { ...key, shape: [[lca.length]], lca: [lca] })
    }
    await writer.commit(madeUpFacts())
    const metadata = await readMetadata(join(folder(), 'parameters/part-00000.parquet'))
    expect(metadata.row_groups.map((group) => Number(group.num_rows))).to.deep.equal([4, 4, 2])
  })

  it('writes every table of the granularity, with its columns, even when it has no rows', async () => {
    const writer = await create(folder(), 'tensor')
    const { tables } = await writer.commit(madeUpFacts())
    expect(tables.map(({ name, rows, parts }) => [name, rows, parts])).to.deep.equal([
      ['steps', 0, 1],
      ['tensors', 0, 1],
      ['totals', 0, 1],
    ])
    const metadata = await readMetadata(join(folder(), 'steps/part-00000.parquet'))
    expect(metadata.schema.slice(1, 4).map(({ name }) => name)).to.deep.equal([
      'split',
      'interval',
      'step_from',
    ])
  })

  it("gives every file the run's facts and its table's name as metadata", async () => {
    const writer = await create(folder(), 'tensor')
    await writer.commit(madeUpFacts())
    const metadata = await readMetadata(join(folder(), 'totals/part-00000.parquet'))
    const values = new Map(metadata.key_value_metadata?.map(({ key, value }) => [key, value]))
    expect(JSON.parse(values.get('retrograd') ?? '')).to.deep.equal(FACTS)
    expect(values.get('retrograd.table')).to.equal('totals')
  })

  it('stores no nulls, and minimum and maximum of the columns that readers filter by', async () => {
    const writer = await create(folder(), 'unit')
    writer.append('units', 2, unitBatch(Int32Array.of(0, 1), Float64Array.of(1, 2)))
    await writer.commit(madeUpFacts())
    const { schema, row_groups } = await readMetadata(join(folder(), 'units/part-00000.parquet'))
    expect(schema.slice(1).every(({ repetition_type }) => repetition_type === 'REQUIRED')).to.equal(true)
    const withStatistics = row_groups[0]!.columns.filter(
      (column) => column.meta_data?.statistics !== undefined,
    )
    expect(withStatistics.map((column) => column.meta_data?.path_in_schema[0])).to.deep.equal([
      'split',
      'interval',
      'step_from',
      'step_to',
      'tensor',
    ])
  })

  it('refuses rows of a table that its granularity leaves out', async () => {
    const writer = await create(folder(), 'tensor')
    expect(() => {
      writer.append('units', 1, unitBatch(Int32Array.of(0), Float64Array.of(1)))
    }).to.throw('table units is not open')
    await writer.discard()
  })
})
