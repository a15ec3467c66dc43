import type { Encoding, KeyValue, SchemaElement } from 'hyparquet'
import type { Column, ColumnType } from './column.js'
import { columnsOf, type TableName } from './schema.js'

const PHYSICAL = {
  string: 'BYTE_ARRAY',
  int32: 'INT32',
  int64: 'INT64',
  float64: 'DOUBLE',
  bool: 'BOOLEAN',
  'list<int32>': 'INT32',
  'list<float32>': 'FLOAT',
} as const satisfies Record<ColumnType, SchemaElement['type']>

/** How the library stores what it encodes: integers as differences. What is absent it chooses. */
export const ENCODINGS: Readonly<Partial<Record<ColumnType, Encoding>>> = {
  int32: 'DELTA_BINARY_PACKED',
  int64: 'DELTA_BINARY_PACKED',
}

/**
 * Whether columns of a type have encoders of ours (column-chunk.ts): floats as byte streams (their exponents compress,
 * their mantissas don't), strings by dictionary.
 */
export function isOwn(type: ColumnType): boolean {
  return type === 'float64' || type === 'string' || type === 'list<float32>'
}

/** Columns that readers filter by. Only these carry minimum and maximum, which cost half of the writing time. */
const FILTERED: ReadonlySet<string> = new Set(['split', 'interval', 'step_from', 'step_to', 'tensor'])

export function hasStatistics(column: Column): boolean {
  return FILTERED.has(column.name)
}

/** A table's Parquet schema, all columns required. */
export function schemaElements(table: TableName): SchemaElement[] {
  const columns = columnsOf(table)
  return [{ name: 'root', num_children: columns.length }, ...columns.flatMap(elementsOf)]
}

function elementsOf({ name, type }: Column): SchemaElement[] {
  const leaf: SchemaElement = { name, type: PHYSICAL[type], repetition_type: 'REQUIRED' }
  if (type === 'string') return [{ ...leaf, converted_type: 'UTF8', logical_type: { type: 'STRING' } }]
  if (type === 'list<int32>' || type === 'list<float32>') {
    return [
      {
        name,
        repetition_type: 'REQUIRED',
        num_children: 1,
        converted_type: 'LIST',
        logical_type: { type: 'LIST' },
      },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      { ...leaf, name: 'element' },
    ]
  }
  return [leaf]
}

/** Facts of a run known when it starts; any JSON object. */
export type RunFacts = Readonly<Record<string, unknown>>

/** The key-value metadata of every file: the run's facts as JSON under `retrograd`, the table's name beside it. */
export function keyValues(table: TableName, facts: RunFacts): KeyValue[] {
  return [
    { key: 'retrograd', value: JSON.stringify(facts) },
    { key: 'retrograd.table', value: table },
  ]
}
