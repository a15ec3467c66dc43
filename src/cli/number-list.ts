import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { openArrayFile } from '../data/array-files.js'
import { readFloats } from '../data/convert.js'
import { reasonOf, UsageError } from '../errors.js'
import { formatShape } from '../tensor.js'

/**
 * Numbers that an option gives as a list (1,2,0.5) or in a file: .npy of one dimension, .json (an array), or text with
 * commas or spaces between.
 *
 * @throws UsageError where the file is not there or holds something else
 */
export async function readNumbers(
  option: string,
  text: string | undefined,
): Promise<readonly number[] | undefined> {
  if (text === undefined) return undefined
  if (/^[\d\s,.eE+-]+$/.test(text)) return listed(option, text, text)
  const kind = extname(text).toLowerCase()
  if (kind === '.npy') return fromArray(option, text)
  const content = await readFile(text, 'utf8').catch((error: unknown) => {
    throw new UsageError(
      `${option} ${text}: neither a list of numbers nor a file to read (${reasonOf(error)})`,
    )
  })
  return kind === '.json' ? fromJson(option, text, content) : listed(option, text, content)
}

function listed(option: string, what: string, text: string): number[] {
  const numbers = text
    .trim()
    .split(/[\s,]+/)
    .map(Number)
  if (numbers.some((number) => Number.isNaN(number)))
    throw new UsageError(`${option} ${what}: a list of numbers is needed, as 1,2,0.5`)
  return numbers
}

function fromJson(option: string, path: string, text: string): number[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new UsageError(`${option} ${path}: not valid JSON: ${reasonOf(error)}`)
  }
  if (Array.isArray(value) && value.every((one) => typeof one === 'number')) return value
  throw new UsageError(`${option} ${path}: a JSON array of numbers is needed`)
}

async function fromArray(option: string, path: string): Promise<number[]> {
  const file = await openArrayFile(path)
  const [array] = file.arrays
  if (array === undefined || !('dtype' in array) || array.shape.length > 1)
    throw new UsageError(
      `${option} ${path}: an array of real numbers with one axis is needed${array && 'shape' in array ? `, this is ${formatShape(array.shape)}` : ''}`,
    )
  return Array.from(await readFloats(array, 'float64', 1))
}
