import { readFile, stat } from 'node:fs/promises'
import * as z from 'zod'
import { reasonOf, UsageError } from '../errors.js'
import { isIdentity } from '../transpose.js'
import type { Binding } from './bind.js'

/** A map names the tensors of one network: more bytes than these hold something else. */
const LARGEST_MAP = 2 ** 26

/** What a draft says where a person is to decide. */
export const OPEN = '?'

const entrySchema = z.union([
  z.string(),
  z.null(),
  z.strictObject({
    /** Name of the checkpoint's tensor. */
    tensor: z.string(),
    /** Order of the tensor's axes that makes it the network's (NumPy's and ONNX's transpose). */
    transpose: z.array(z.int().nonnegative()).optional(),
    /** The network's shape, where the transposed tensor still has another. */
    reshape: z.array(z.int().nonnegative()).optional(),
  }),
])

/**
 * Which tensor of the checkpoints is which parameter, by the network's names: a tensor's name (its layout follows from
 * names and shapes), a name with the layout spelt out, or null for a constant that stays as the model has it.
 */
export type NameMap = Readonly<Record<string, MapEntry>>
export type MapEntry = z.infer<typeof entrySchema>

const EXAMPLE =
  '{"val_3": "fc1.weight", "val_5": {"tensor": "fc2.weight", "transpose": [1, 0]}, "scale": null}'

/**
 * Reads the file of `--map`.
 * @throws UsageError where there is none, or it is no map; the entry that is wrong is named
 */
export async function readMap(path: string): Promise<NameMap> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isFile() !== true) throw new UsageError(`--map ${path}: there is no such file`)
  if (found.size > LARGEST_MAP)
    throw new UsageError(`--map ${path}: ${found.size} bytes is no map of names; it looks like ${EXAMPLE}`)
  return parseMap(await readFile(path, 'utf8'), `--map ${path}`)
}

/** A map from its text; `where` names it in errors. */
export function parseMap(text: string, where: string): NameMap {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new UsageError(`${where} is not JSON: ${reasonOf(error)}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UsageError(`${where}: a map is an object such as ${EXAMPLE}`)
  return Object.fromEntries(
    Object.entries(value).map(([name, entry]) => [name, parseEntry(name, entry, where)]),
  )
}

function parseEntry(name: string, value: unknown, where: string): MapEntry {
  const entry = entrySchema.safeParse(value)
  if (!entry.success)
    throw new UsageError(
      `${where}: entry '${name}' is ${JSON.stringify(value)}: a tensor's name, ` +
        '{"tensor": NAME, "transpose": [AXES], "reshape": [SIZES]} (the last two may be left out) or null is needed',
    )
  if (entry.data === OPEN)
    throw new UsageError(
      `${where}: entry '${name}' is still open ("${OPEN}"): name a tensor of the checkpoints, or null for a constant`,
    )
  return entry.data
}

/** A binding as a map that gives the same binding again. */
export function writeMap({ pairs, constants }: Pick<Binding, 'pairs' | 'constants'>): NameMap {
  const bound = pairs.map((pair): [string, MapEntry] => {
    const { parameter, tensor, shape, permutation, reshaped, by } = pair
    const follows = by === 'name' || by === 'translated name' || shape.length < 2
    if (follows && permutation === undefined && reshaped === undefined) return [parameter, tensor]
    const transpose = [...(permutation ?? shape.map((_, axis) => axis))]
    return [
      parameter,
      {
        tensor,
        ...(reshaped === undefined || !isIdentity(transpose) ? { transpose } : {}),
        ...(reshaped && { reshape: [...reshaped] }),
      },
    ]
  })
  return Object.fromEntries([...bound, ...constants.map((name): [string, MapEntry] => [name, null])])
}

/** A map as the text of a file, an entry a line. */
export function formatMap(map: NameMap): string {
  const lines = Object.entries(map).map(
    ([name, entry]) => `  ${JSON.stringify(name)}: ${JSON.stringify(entry)}`,
  )
  return `{\n${lines.join(',\n')}\n}\n`
}
