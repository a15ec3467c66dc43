import { DataError, UsageError } from '../errors.js'
import type { DataNeeds, DataOptions } from './needs.js'
import { listArrays, type ArrayFile, type ReadableArray, type StoredArray } from './stored-array.js'

/** Names by which arrays are found when the network's own name for the input is not among them. */
const INPUT_NAMES = ['x', 'inputs', 'images']
const TARGET_NAMES = ['y', 'targets', 'labels']

/** The arrays that a network and its loss are given. */
export interface Choice {
  readonly inputs: ReadonlyMap<string, ReadableArray>
  readonly target?: ReadableArray
}

/** Which option names the array, and which names are tried when it does not. */
interface Role {
  readonly option: 'input' | 'target'
  readonly aliases: readonly string[]
}

const INPUT: Role = { option: 'input', aliases: INPUT_NAMES }
const TARGET: Role = { option: 'target', aliases: TARGET_NAMES }

/**
 * Chooses an array for every input of the network, and for the target. An input takes the array of its own name;
 * else one that is named like a target takes the target's array, and the one other that is left the input's.
 * @throws UsageError when an array is not there, listing those that are
 * @throws DataError when the array is of a type that is not read
 */
export function chooseArrays(file: ArrayFile, needs: DataNeeds, options: DataOptions): Choice {
  const roles = rolesOf(file, needs)
  const inputs = new Map<string, ReadableArray>()
  for (const { name } of needs.inputs) {
    inputs.set(name, pick(file, roles.get(name), `the network's input '${name}'`, [name], options))
  }
  if (needs.target === undefined) return { inputs }
  return { inputs, target: pick(file, TARGET, 'the target', [], options) }
}

/** The role of each input, which decides what option and aliases may name its array. */
function rolesOf(file: ArrayFile, { inputs }: DataNeeds): ReadonlyMap<string, Role> {
  if (inputs.length === 1) return new Map([[inputs[0]!.name, INPUT]])
  const present = new Set(file.arrays.map(({ name }) => name))
  const targetLike = inputs.filter(
    ({ name }) => TARGET_NAMES.includes(name) || TARGET_NAMES.includes(`${name}s`),
  )
  const others = inputs.filter((input) => !targetLike.includes(input))
  const unresolved = others.filter(({ name }) => !present.has(name))
  return new Map([
    ...targetLike.map(({ name }): [string, Role] => [name, TARGET]),
    ...(unresolved.length === 1 ? unresolved : []).map(({ name }): [string, Role] => [name, INPUT]),
  ])
}

function pick(
  file: ArrayFile,
  role: Role | undefined,
  what: string,
  ownNames: readonly string[],
  options: DataOptions,
): ReadableArray {
  const named = role === undefined ? undefined : options[role.option]
  const candidates = named === undefined ? [...ownNames, ...(role?.aliases ?? [])] : [named]
  const array =
    candidates.map((name) => find(file, name)).find((found) => found !== undefined) ?? onlyArray(file, role)
  if (array === undefined || (named !== undefined && array.name !== named)) {
    throw new UsageError(
      `${file.path}: no array for ${what} (looked for ${candidates.join(', ')}); it holds ${listArrays(file.arrays)}` +
        (role === undefined ? '; name the array like the input' : `; name the array with --${role.option}`),
    )
  }
  if (!('dtype' in array)) throw new DataError(`${file.path}: array ${array.name} ${array.refusal}`)
  return array
}

function find(file: ArrayFile, name: string): StoredArray | undefined {
  return file.arrays.find((array) => array.name === name)
}

/** An .npy file on its own is the input, whatever its name. */
function onlyArray(file: ArrayFile, role: Role | undefined): StoredArray | undefined {
  return role === INPUT && file.path.endsWith('.npy') && file.arrays.length === 1 ? file.arrays[0] : undefined
}
