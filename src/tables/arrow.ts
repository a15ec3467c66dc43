import {
  Bool,
  Dictionary,
  Field,
  Float32,
  Float64,
  Int32,
  Int64,
  List,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  Utf8,
  vectorFromArray,
  type Data,
  type DataType,
  type Vector,
} from 'apache-arrow'
import type { ArrowTypes } from './arrow-types.js'
import type { Column, ColumnType } from './column.js'
import type { ColumnData } from './column-data.js'
import type { PartRows } from './part-reader.js'
import type { ColumnName, TableName } from './schema.js'

/**
 * Rows as an Arrow table, a record batch for each of the parts. Numbers are not copied. A column of strings has one
 * dictionary for all batches, so that the table can be written as a stream and as a file.
 */
export function arrowTable<T extends TableName, N extends ColumnName<T>>(
  table: T,
  columns: readonly Column[],
  parts: readonly PartRows[],
): Table<ArrowTypes<T, N>> {
  const types = columns.map(({ type }, i) => arrowType(type, i))
  const fields = columns.map(({ name }, i) => new Field(name, types[i]!, false))
  const schema = new Schema(fields, new Map([['retrograd.table', table]]))
  const chunks = columns.map(({ name, type }, i) => {
    const data = parts.map((part) => part.columns.get(name)!)
    return type === 'string' ? coded(i, data as string[][]) : data.map((one) => dataOf(type, one))
  })
  const batches = parts.map(({ rows }, part) => {
    const children = chunks.map((chunk) => chunk[part]!)
    return new RecordBatch(
      schema,
      makeData({ type: new Struct(fields), length: rows, nullCount: 0, children }),
    )
  })
  return new Table(schema, batches) as Table<ArrowTypes<T, N>>
}

function arrowType(type: ColumnType, id: number): DataType {
  switch (type) {
    case 'string':
      return dictionaryType(id)
    case 'int32':
      return new Int32()
    case 'int64':
      return new Int64()
    case 'float64':
      return new Float64()
    case 'bool':
      return new Bool()
    case 'list<int32>':
      return new List(new Field('item', new Int32(), false))
    case 'list<float32>':
      return new List(new Field('item', new Float32(), false))
  }
}

function dictionaryType(id: number): Dictionary<Utf8, Int32> {
  return new Dictionary(new Utf8(), new Int32(), id)
}

/** Strings as numbers of a dictionary, in the order in which they first occur. */
function coded(id: number, chunks: readonly (readonly string[])[]): Data[] {
  const codes = new Map<string, number>()
  const codeOf = (value: string): number => {
    const known = codes.get(value)
    if (known !== undefined) return known
    codes.set(value, codes.size)
    return codes.size - 1
  }
  const indices = chunks.map((values) => Int32Array.from(values, codeOf))
  const dictionary: Vector<Utf8> = vectorFromArray([...codes.keys()], new Utf8())
  const type = dictionaryType(id)
  return indices.map((data) => makeData({ type, length: data.length, nullCount: 0, data, dictionary }))
}

function dataOf(type: Exclude<ColumnType, 'string'>, data: ColumnData): Data {
  const props = { length: data.length, nullCount: 0 }
  switch (type) {
    case 'int32':
      return makeData({ ...props, type: new Int32(), data: data as Int32Array })
    case 'int64':
      return makeData({ ...props, type: new Int64(), data: BigInt64Array.from(data as Float64Array, BigInt) })
    case 'float64':
      return makeData({ ...props, type: new Float64(), data: data as Float64Array })
    case 'bool':
      return makeData({ ...props, type: new Bool(), data: bits(data as boolean[]) })
    case 'list<int32>':
      return listData(data as Int32Array[], new Int32(), Int32Array)
    case 'list<float32>':
      return listData(data as Float32Array[], new Float32(), Float32Array)
  }
}

function bits(values: readonly boolean[]): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(values.length / 8))
  values.forEach((value, i) => {
    if (value) bytes[i >> 3]! |= 1 << (i & 7)
  })
  return bytes
}

type ListItems = Int32Array | Float32Array

function listData<A extends ListItems>(
  rows: readonly A[],
  type: A extends Int32Array ? Int32 : Float32,
  ArrayType: new (length: number) => A,
): Data {
  const valueOffsets = new Int32Array(rows.length + 1)
  rows.forEach((row, i) => {
    valueOffsets[i + 1] = valueOffsets[i]! + row.length
  })
  const items = new ArrayType(valueOffsets.at(-1)!)
  rows.forEach((row, i) => {
    items.set(row, valueOffsets[i])
  })
  const child = makeData({
    type: type as Float32,
    length: items.length,
    nullCount: 0,
    data: items as Float32Array,
  })
  const list = new List(new Field('item', type as Float32, false))
  return makeData({ type: list, length: rows.length, nullCount: 0, valueOffsets, child })
}
