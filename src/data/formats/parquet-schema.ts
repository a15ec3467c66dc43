import type { SchemaElement, SchemaTree } from 'hyparquet'

import type { DType } from '../../tensor.js'

/** A leaf of the schema that numbers or images are read from. */
export interface Leaf {
  /** The names from the column down, as column chunks name it. */
  readonly path: readonly string[]
  readonly element: SchemaElement
  /** Levels of a value that is there: nulls and empty lists have a lower one (Dremel). */
  readonly maxDefinition: number
  /** The number of lists around it. */
  readonly maxRepetition: number
}

/** What a column is, by its schema. */
export type ColumnKind =
  | { readonly kind: 'numbers'; readonly leaf: Leaf; readonly dtype: DType }
  | { readonly kind: 'images'; readonly leaf: Leaf }
  | { readonly kind: 'other'; readonly type: string }

/** Schemas of data sets nest a few lists. */
const MAX_DEPTH = 16

export function columnKind(column: SchemaTree): ColumnKind {
  const leaves = leavesOf(column, [], { definition: 0, repetition: 0 })
  const bytes = leaves.find(({ path }) => path.length === 2 && path[1] === 'bytes')
  if (bytes?.element.type === 'BYTE_ARRAY' && bytes.maxRepetition === 0 && leaves.length <= 2)
    return { kind: 'images', leaf: bytes }
  const [leaf] = leaves
  if (leaf === undefined || leaves.length > 1) return { kind: 'other', type: 'a structure' }
  const dtype = dtypeOf(leaf.element)
  return dtype === undefined
    ? { kind: 'other', type: typeName(leaf.element) }
    : { kind: 'numbers', leaf, dtype }
}

function leavesOf(
  tree: SchemaTree,
  parents: readonly string[],
  levels: { readonly definition: number; readonly repetition: number },
): Leaf[] {
  if (parents.length > MAX_DEPTH) throw new Error(`columns nested deeper than ${MAX_DEPTH}`)
  const path = [...parents, tree.element.name]
  const definition = levels.definition + (tree.element.repetition_type === 'REQUIRED' ? 0 : 1)
  const repetition = levels.repetition + (tree.element.repetition_type === 'REPEATED' ? 1 : 0)
  if (tree.children.length === 0)
    return [{ path, element: tree.element, maxDefinition: definition, maxRepetition: repetition }]
  return tree.children.flatMap((child) => leavesOf(child, path, { definition, repetition }))
}

const BY_CONVERTED: Readonly<Record<string, DType>> = {
  UINT_8: 'uint8',
  UINT_16: 'uint16',
  UINT_32: 'uint32',
  UINT_64: 'uint64',
  INT_8: 'int8',
  INT_16: 'int16',
  INT_32: 'int32',
  INT_64: 'int64',
}
const INTEGERS: readonly DType[] = Object.values(BY_CONVERTED)

function dtypeOf({
  type,
  converted_type: converted,
  logical_type: logical,
  type_length: length,
}: SchemaElement): DType | undefined {
  if (logical?.type === 'FLOAT16')
    return type === 'FIXED_LEN_BYTE_ARRAY' && length === 2 ? 'float16' : undefined
  if (logical?.type === 'INTEGER') {
    const name = `${logical.isSigned ? '' : 'u'}int${logical.bitWidth}`
    return INTEGERS.find((dtype) => dtype === name)
  }
  if (converted !== undefined) return BY_CONVERTED[converted]
  if (logical !== undefined) return undefined
  switch (type) {
    case 'BOOLEAN':
      return 'bool'
    case 'INT32':
      return 'int32'
    case 'INT64':
      return 'int64'
    case 'FLOAT':
      return 'float32'
    case 'DOUBLE':
      return 'float64'
    default:
      return undefined
  }
}

function typeName({ type, converted_type: converted, logical_type: logical }: SchemaElement): string {
  const name = logical?.type ?? converted ?? type ?? 'unknown'
  return name === 'UTF8' ? 'string' : name.toLowerCase()
}
