import { DataError, UsageError } from '../errors.js'
import { elementCount } from '../tensor.js'
import type { DataNeeds, DataOptions, InputSpec } from './needs.js'
import { listArrays, type ArrayFile, type ReadableArray, type StoredArray } from './stored-array.js'

/** Names by which arrays are found when the network's own name for the input is not among them. */
const INPUT_NAMES = [
  'x',
  'inputs',
  'images',
  'image',
  'img',
  'pixel_values',
  'input_ids',
  'tokens',
  'features',
]
const TARGET_NAMES = ['y', 'targets', 'labels', 'label', 'target', 'fine_label']

/** Columns that pandas writes for its row numbers; an unnamed one in CSV. */
const INDEX_COLUMN = /^(__index_level_\d+__|Unnamed: 0|)$/

/** The arrays that a network and its loss are given. */
export interface Choice {
  readonly inputs: ReadonlyMap<string, ReadableArray>
  readonly target?: ReadableArray
  /** What has no array of its own and is the next token of the first input, where sequences are cut. */
  readonly shifted?: { readonly inputs: readonly string[]; readonly target: boolean }
}

/** Which option names the array, and which names are tried when it does not. */
interface Role {
  readonly option: 'input' | 'target'
  readonly aliases: readonly string[]
}

const INPUT: Role = { option: 'input', aliases: INPUT_NAMES }
const TARGET: Role = { option: 'target', aliases: TARGET_NAMES }

/**
 * Chooses an array for every input of the network, and for the target. An input takes the array that the options name
 * for it, or of its own name; else one that is named like a target takes the target's array, and the one other that
 * is left the input's. Of a table, the columns that are no target are one input together.
 * @throws UsageError when an array is not there, listing those that are
 * @throws DataError when the array is of a type that is not read
 */
export function chooseArrays(
  file: ArrayFile,
  needs: DataNeeds,
  options: DataOptions,
  notes: string[],
): Choice {
  const roles = rolesOf(file, needs, options)
  const target = needs.target === undefined ? undefined : findTarget(file, options)
  const inputs = new Map<string, ReadableArray>()
  const shifted: string[] = []
  for (const spec of needs.inputs) {
    const array = inputArray(file, spec, roles.get(spec.name), { options, target, notes })
    if (array === undefined) shifted.push(spec.name)
    else inputs.set(spec.name, array)
  }
  if (
    needs.target !== undefined &&
    target === undefined &&
    (options.context === undefined || needs.target.kind !== 'labels')
  )
    throw notFound(file, 'the target', TARGET, wanted(options.target, TARGET_NAMES))
  const shiftsTarget = needs.target !== undefined && target === undefined
  return {
    inputs,
    ...(target !== undefined && { target }),
    ...((shiftsTarget || shifted.length > 0) && { shifted: { inputs: shifted, target: shiftsTarget } }),
  }
}

/** The role of each input, which decides what option and aliases may name its array. */
function rolesOf(
  file: ArrayFile,
  { inputs }: DataNeeds,
  { input, inputs: named = {} }: DataOptions,
): ReadonlyMap<string, Role> {
  const list = inputs.map(({ name }) => name).join(', ')
  const unknown = Object.keys(named).find((name) => !inputs.some((spec) => spec.name === name))
  if (unknown !== undefined)
    throw new UsageError(`--input ${unknown}=...: the network has no such input; it has ${list}`)
  const open = inputs.filter(({ name }) => named[name] === undefined)
  if (inputs.length === 1) return new Map(open.map(({ name }) => [name, INPUT]))
  const present = new Set(file.arrays.map(({ name }) => name))
  const targetLike = open.filter(
    ({ name }) => TARGET_NAMES.includes(name) || TARGET_NAMES.includes(`${name}s`),
  )
  const unresolved = open.filter((spec) => !targetLike.includes(spec) && !present.has(spec.name))
  if (input !== undefined && unresolved.length !== 1)
    throw new UsageError(
      `--input ${input}: the network has inputs ${list}; say which: --input INPUT=${input}`,
    )
  return new Map([
    ...targetLike.map(({ name }): [string, Role] => [name, TARGET]),
    ...(unresolved.length === 1 ? unresolved : []).map(({ name }): [string, Role] => [name, INPUT]),
  ])
}

function findTarget(file: ArrayFile, { target }: DataOptions): ReadableArray | undefined {
  const array = wanted(target, TARGET_NAMES)
    .map((name) => find(file, name))
    .find((found) => found !== undefined)
  if (array === undefined && target !== undefined) throw notFound(file, 'the target', TARGET, [target])
  return array === undefined ? undefined : readable(file, array)
}

interface Choosing {
  readonly options: DataOptions
  readonly target: ReadableArray | undefined
  readonly notes: string[]
}

/** The array for an input; undefined where it is the next token of another. */
function inputArray(
  file: ArrayFile,
  spec: InputSpec,
  role: Role | undefined,
  choosing: Choosing,
): ReadableArray | undefined {
  const { options } = choosing
  const named = options.inputs?.[spec.name] ?? (role === undefined ? undefined : options[role.option])
  const candidates = wanted(named, [spec.name, ...(role?.aliases ?? [])])
  const array = candidates.map((name) => find(file, name)).find((found) => found !== undefined)
  const table = named === undefined && role === INPUT && options.context === undefined
  if (table && file.stack !== undefined && (array === undefined || isOneOfMany(array, spec)))
    return stackInput(file, choosing) ?? readable(file, required(file, array, spec, role, candidates))
  if (array === undefined && named === undefined && role === TARGET && options.context !== undefined)
    return undefined
  const only = named === undefined ? onlyArray(file, role) : undefined
  return readable(file, required(file, array ?? only, spec, role, candidates))
}

/** A single column where the network takes several numbers a sample: the column's name says nothing then. */
function isOneOfMany(array: StoredArray, { dims }: InputSpec): boolean {
  const sizes = dims.slice(1)
  const fixed = sizes.filter((dim) => typeof dim === 'number')
  return array.shape.length === 1 && fixed.length === sizes.length && elementCount(fixed) > 1
}

/** All columns of a table but the target and row numbers; undefined where it has none. */
function stackInput(file: ArrayFile, { target, notes }: Choosing): ReadableArray | undefined {
  const others = file.arrays.filter(({ name }) => name !== target?.name && !TARGET_NAMES.includes(name))
  const columns = others.filter(({ name, shape }) => shape.length === 1 && !INDEX_COLUMN.test(name))
  if (columns.length === 0 || others.some(({ shape }) => shape.length !== 1)) return undefined
  const text = columns.find((column) => !('dtype' in column))
  if (text !== undefined && !('dtype' in text))
    throw new DataError(`${file.path}: column '${text.name}' ${text.refusal}, or drop the column`)
  const numbers = columns.filter((column) => 'dtype' in column)
  const left = file.arrays
    .map(({ name }) => name)
    .filter((name) => !columns.some((column) => column.name === name))
  notes.push(
    `${file.path}: the input is made of ${numbers.length} columns, in this order: ${shorten(numbers.map(({ name }) => name))}` +
      (left.length > 0 ? `; not of ${left.map((name) => name || 'the unnamed one').join(', ')}` : ''),
  )
  return file.stack?.(numbers)
}

/** A note is one line on a terminal. */
const NAMES_IN_NOTE = 8

function shorten(names: readonly string[]): string {
  if (names.length <= NAMES_IN_NOTE) return names.join(', ')
  return `${names.slice(0, NAMES_IN_NOTE - 1).join(', ')}, ... ${names.at(-1)!}`
}

function wanted(named: string | undefined, names: readonly string[]): readonly string[] {
  return named === undefined ? names : [named]
}

function required(
  file: ArrayFile,
  array: StoredArray | undefined,
  { name }: InputSpec,
  role: Role | undefined,
  candidates: readonly string[],
): StoredArray {
  if (array !== undefined) return array
  throw notFound(file, `the network's input '${name}'`, role, candidates, name)
}

function notFound(
  file: ArrayFile,
  what: string,
  role: Role | undefined,
  candidates: readonly string[],
  input?: string,
): UsageError {
  const option = role === undefined ? `--input ${input ?? ''}=ARRAY` : `--${role.option}`
  return new UsageError(
    `${file.path}: no array for ${what} (looked for ${candidates.join(', ')}); it holds ${listArrays(file.arrays)}` +
      `; name the array with ${option}${file.hint === undefined ? '' : `; ${file.hint}`}`,
  )
}

function readable(file: ArrayFile, array: StoredArray): ReadableArray {
  if ('dtype' in array) return array
  throw new DataError(`${file.path}: array ${array.name} ${array.refusal}`)
}

function find(file: ArrayFile, name: string): StoredArray | undefined {
  return file.arrays.find((array) => array.name === name)
}

/** An .npy file on its own is the input, whatever its name. */
function onlyArray(file: ArrayFile, role: Role | undefined): StoredArray | undefined {
  return role === INPUT && file.path.endsWith('.npy') && file.arrays.length === 1 ? file.arrays[0] : undefined
}
