import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

/** ONNX's own backend tests of single operators, as scripts/make-fixtures/node-tests.py keeps them. */
const FOLDER = 'fixtures/onnx-node-tests'

export interface StoredTensor {
  /** ONNX TensorProto.DataType. */
  readonly code: number
  readonly shape: readonly number[]
  /** Elements as little-endian bytes; none for strings. */
  readonly bytes: Uint8Array
}

/** A tensor, a sequence, or an optional value that is not there. */
export type StoredValue = StoredTensor | readonly StoredValue[] | null

/** One case: a model of one operator (or of the nodes that it expands into) with inputs and expected outputs. */
export interface NodeTest {
  readonly name: string
  readonly model: Uint8Array
  readonly inputs: readonly StoredValue[]
  readonly outputs: readonly StoredValue[]
  /** Tolerances of the comparison with the expected outputs. */
  readonly rtol: number
  readonly atol: number
}

export interface NodeTests {
  readonly cases: readonly NodeTest[]
  /** Cases that are too large to be kept. */
  readonly leftOut: readonly { readonly name: string; readonly bytes: number }[]
}

type Place = readonly [offset: number, length: number]
type Entry = { readonly type: number; readonly shape: readonly number[]; readonly at?: Place }
type EntryValue = Entry | readonly EntryValue[] | null

interface Index {
  readonly leftOut: NodeTests['leftOut']
  readonly cases: readonly {
    readonly name: string
    readonly rtol: number
    readonly atol: number
    readonly model: Place
    readonly inputs: readonly EntryValue[]
    readonly outputs: readonly EntryValue[]
  }[]
}

export function readNodeTests(): NodeTests {
  const index = JSON.parse(unzipped('cases.json.gz').toString()) as Index
  const content = unzipped('cases.bin.gz')
  const bytes = ([offset, length]: Place): Uint8Array => content.subarray(offset, offset + length)
  const value = (entry: EntryValue): StoredValue => {
    if (entry === null) return null
    if (isList(entry)) return entry.map(value)
    return { code: entry.type, shape: entry.shape, bytes: bytes(entry.at ?? [0, 0]) }
  }
  const cases = index.cases.map(({ model, inputs, outputs, ...facts }) => ({
    ...facts,
    model: bytes(model),
    inputs: inputs.map(value),
    outputs: outputs.map(value),
  }))
  return { cases, leftOut: index.leftOut }
}

function unzipped(name: string): Buffer {
  return gunzipSync(readFileSync(`${FOLDER}/${name}`))
}

/** Array.isArray does not narrow readonly arrays. */
export function isList<T>(value: T | readonly T[] | null): value is readonly T[] {
  return Array.isArray(value)
}

/** The tensors of a value: one, or those of a sequence. */
export function tensorsOf(value: StoredValue): readonly StoredTensor[] {
  if (value === null) return []
  return isList(value) ? value.flatMap(tensorsOf) : [value]
}
