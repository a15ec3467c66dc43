import type { DType } from '../../tensor.js'
import type { FlatTable } from './flatbuffer.js'

/** A column or a part of one (Arrow, format/Schema.fbs, table Field). */
export interface ArrowField {
  readonly name: string
  readonly type: ArrowType
  /** Where this is one of positions in a dictionary of values of `type`: the dictionary, and the positions' type. */
  readonly dictionary?: { readonly id: bigint; readonly index: DType }
  readonly children: readonly ArrowField[]
}

/** What is to be known of a type to read it, or to step over its buffers. */
export type ArrowType =
  | { readonly kind: 'number'; readonly dtype: DType }
  | { readonly kind: 'list'; readonly offsetBytes: 4 | 8 }
  | { readonly kind: 'fixed-list'; readonly size: number }
  | { readonly kind: 'struct' }
  | { readonly kind: 'binary'; readonly offsetBytes: 4 | 8 }
  /** Not read; `buffers` are those of its own, before its children's. `variadic` types have further ones, counted apart. */
  | { readonly kind: 'other'; readonly name: string; readonly buffers: number; readonly variadic?: boolean }

/** Fields of data sets nest a few lists. */
const MAX_DEPTH = 32

/** The type numbers of Schema.fbs, union Type, that are not read, with their buffers. */
const OTHERS: ReadonlyMap<number, readonly [name: string, buffers: number]> = new Map([
  [1, ['null', 0]],
  [5, ['string', 3]],
  [7, ['decimal', 2]],
  [8, ['date', 2]],
  [9, ['time', 2]],
  [10, ['timestamp', 2]],
  [11, ['interval', 2]],
  [15, ['fixed-size binary', 2]],
  [17, ['map', 2]],
  [18, ['duration', 2]],
  [20, ['string', 3]],
  [22, ['run-end encoded', 0]],
  [25, ['list view', 3]],
  [26, ['list view', 3]],
])

/** The columns of a schema. Throws where it is corrupt or big-endian. */
export function readSchema(schema: FlatTable): ArrowField[] {
  if (schema.int16(0) !== 0) throw new Error('written by a big-endian machine, which is not read')
  return schema.tables(1).map((field) => readField(field, 0))
}

function readField(field: FlatTable, depth: number): ArrowField {
  if (depth > MAX_DEPTH) throw new Error(`columns nested deeper than ${MAX_DEPTH}`)
  const encoding = field.table(4)
  return {
    name: field.text(0),
    type: readType(field.int8(2), field.table(3)),
    ...(encoding !== undefined && {
      dictionary: { id: encoding.id(0), index: indexType(encoding.table(1)) },
    }),
    children: field.tables(5).map((child) => readField(child, depth + 1)),
  }
}

/** The type of positions in a dictionary: int32 where nothing is said. */
function indexType(type: FlatTable | undefined): DType {
  return type === undefined ? 'int32' : integer(type)
}

function readType(number: number, type: FlatTable | undefined): ArrowType {
  switch (number) {
    case 2:
      return { kind: 'number', dtype: integer(type) }
    case 3:
      return {
        kind: 'number',
        dtype: (['float16', 'float32', 'float64'] as const)[type?.int16(0) ?? 0] ?? 'float32',
      }
    case 6:
      return { kind: 'number', dtype: 'bool' }
    case 4:
    case 19:
      return { kind: 'binary', offsetBytes: number === 4 ? 4 : 8 }
    case 12:
    case 21:
      return { kind: 'list', offsetBytes: number === 12 ? 4 : 8 }
    case 13:
      return { kind: 'struct' }
    case 16:
      return { kind: 'fixed-list', size: listSize(type) }
    case 14:
      return { kind: 'other', name: 'union', buffers: 1 + (type?.int16(0) ?? 0) }
    case 23:
    case 24:
      return { kind: 'other', name: 'view', buffers: 2, variadic: true }
    default: {
      const [name, buffers] = OTHERS.get(number) ?? []
      if (name === undefined || buffers === undefined)
        throw new Error(`a column of type ${number}, which Arrow did not have`)
      return { kind: 'other', name, buffers }
    }
  }
}

function listSize(type: FlatTable | undefined): number {
  const size = type?.int32(0) ?? 0
  if (size < 1) throw new Error(`lists of ${size} elements`)
  return size
}

function integer(type: FlatTable | undefined): DType {
  const bits = type?.int32(0) ?? 0
  const signed = (type?.int8(1) ?? 0) !== 0
  const dtype = INTEGERS.find((name) => name === `${signed ? '' : 'u'}int${bits}`)
  if (dtype === undefined) throw new Error(`integers of ${bits} bits`)
  return dtype
}

const INTEGERS: readonly DType[] = ['uint8', 'uint16', 'uint32', 'uint64', 'int8', 'int16', 'int32', 'int64']
