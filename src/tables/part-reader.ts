import {
  asyncBufferFromFile,
  parquetMetadataAsync,
  parquetScan,
  type FileMetaData,
  type ParquetScan,
} from 'hyparquet'
import { reasonOf, ResultsError } from '../errors.js'
import type { Column } from './column.js'
import { decodeColumn, takeRows, type ColumnData } from './column-data.js'
import { schemaElements } from './encoding.js'
import { fulfils, pruningFilter, type Condition } from './filter.js'
import { columnsOf, type TableName } from './schema.js'

/**
 * Rows that a row group may declare. The writer's are far smaller; a footer that claims more than this is refused
 * before anything is allocated for it.
 */
const MAX_ROW_GROUP_ROWS = 1 << 24

/** Some rows of a part: a column by name. */
export interface PartRows {
  readonly rows: number
  readonly columns: ReadonlyMap<string, ColumnData>
}

/** What to read of a part. */
export interface Selection {
  readonly table: TableName
  readonly columns: readonly Column[]
  readonly conditions: ReadonlyMap<string, Condition>
}

/**
 * The rows of a part file that fulfil the conditions, a row group at a time. Row groups whose statistics exclude them
 * are not read. Throws ResultsError naming the file when it is corrupt or has other columns than the schema's.
 */
export async function* readPart(path: string, selection: Selection): AsyncGenerator<PartRows> {
  try {
    yield* rowGroups(path, selection)
  } catch (error) {
    if (error instanceof ResultsError) throw error
    throw damaged(path, error)
  }
}

/** The number of rows of a part file. Throws ResultsError naming it when it is corrupt. */
export async function rowsOfPart(path: string): Promise<number> {
  try {
    return Number((await parquetMetadataAsync(await asyncBufferFromFile(path))).num_rows)
  } catch (error) {
    throw damaged(path, error)
  }
}

function damaged(path: string, error: unknown): ResultsError {
  return new ResultsError(`cannot read ${path}: ${reasonOf(error)}; the file is damaged, run again`, {
    cause: error,
  })
}

async function* rowGroups(path: string, selection: Selection): AsyncGenerator<PartRows> {
  const file = await asyncBufferFromFile(path)
  const metadata = await parquetMetadataAsync(file)
  checkMetadata(path, selection.table, metadata)
  const pruning = pruningFilter(selection.table, selection.conditions)
  const scan = await parquetScan({
    file,
    metadata,
    ...(pruning === undefined ? {} : { pruningFilter: pruning }),
  })
  for (const range of scan.ranges) yield await readRange(scan, range, selection)
}

type Range = ParquetScan['ranges'][number]

async function readRange(scan: ParquetScan, range: Range, selection: Selection): Promise<PartRows> {
  const kept = await matchingRows(scan, range, selection)
  const columns = new Map<string, ColumnData>()
  for (const column of selection.columns) {
    const data = await readColumn(scan, range, column)
    columns.set(column.name, kept === undefined ? data : takeRows(column.type, data, kept))
  }
  return { rows: kept?.length ?? range.rowEnd - range.rowStart, columns }
}

/** The rows of the range that fulfil every condition, or undefined when there are no conditions. */
async function matchingRows(
  scan: ParquetScan,
  range: Range,
  { table, conditions }: Selection,
): Promise<readonly number[] | undefined> {
  if (conditions.size === 0) return undefined
  let rows = Array.from({ length: range.rowEnd - range.rowStart }, (_, row) => row)
  for (const column of columnsOf(table)) {
    const condition = conditions.get(column.name)
    if (condition === undefined) continue
    const data = await readColumn(scan, range, column)
    rows = rows.filter((row) => fulfils(data[row], condition))
  }
  return rows
}

async function readColumn(scan: ParquetScan, range: Range, { name, type }: Column): Promise<ColumnData> {
  const values: ArrayLike<unknown> = await scan.readColumn({ column: name, ...range })
  const data = decodeColumn(type, values)
  const rows = range.rowEnd - range.rowStart
  if (data.length !== rows) throw new RangeError(`column ${name} has ${data.length} values for ${rows} rows`)
  return data
}

function checkMetadata(path: string, table: TableName, metadata: FileMetaData): void {
  const wanted = schemaElements(table).slice(1)
  const found = metadata.schema.slice(1)
  const different = wanted.find(({ name, type }, i) => name !== found[i]?.name || type !== found[i].type)
  if (different !== undefined || found.length !== wanted.length) {
    const names = found.map(({ name }) => name).join(', ')
    throw new ResultsError(
      `${path} does not have the columns of table ${table} (${different?.name ?? 'too many'}); it has ${names}`,
    )
  }
  const largest = metadata.row_groups.reduce((most, group) => Math.max(most, Number(group.num_rows)), 0)
  if (largest > MAX_ROW_GROUP_ROWS) {
    throw new ResultsError(
      `${path} declares a row group of ${largest} rows, more than ${MAX_ROW_GROUP_ROWS}; the file is damaged, run again`,
    )
  }
}
