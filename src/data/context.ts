import { DataError, UsageError } from '../errors.js'
import { BYTES_PER_ELEMENT, formatShape, isFloat, type TypedArray } from '../tensor.js'
import type { Choice } from './choose.js'
import type { ReadableArray } from './stored-array.js'

/** @throws UsageError where it is no number of tokens */
export function checkContext(context: number): void {
  if (!Number.isSafeInteger(context) || context < 1)
    throw new UsageError(`--context ${context}: a whole number from 1 on is needed`)
}

/**
 * Cuts long arrays of T tokens into floor((T - 1) / context) sequences, one after the other. What has no array of its
 * own (the target, or an input of the network that is one) is the first input's tokens one position further: the next
 * token of each.
 * @throws UsageError when an array is no long row of tokens, DataError when it is shorter than one sequence and a token
 */
export function cutSequences(choice: Choice, context: number, notes: string[]): Choice {
  const arrays = [...choice.inputs.values(), ...(choice.target === undefined ? [] : [choice.target])]
  const [first] = arrays
  if (first === undefined) return choice
  arrays.forEach(checkTokens)
  const [length = 0] = first.shape
  const other = arrays.find(({ shape }) => shape[0] !== length)
  if (other !== undefined)
    throw new DataError(`${other.where} has ${other.shape[0]!} tokens, but ${first.where} has ${length}`)
  const sequences = Math.floor((length - 1) / context)
  if (sequences < 1) {
    throw new DataError(
      `${first.where} has ${length} tokens; --context ${context} needs ${context + 1} at least: a sequence, and the token after it`,
    )
  }
  const cut = (array: ReadableArray, offset: number): ReadableArray => ({
    ...array,
    shape: [sequences, context],
    place: array.place && {
      ...array.place,
      offset: array.place.offset + offset * BYTES_PER_ELEMENT[array.dtype],
    },
    blocks: () => windowOf(array, offset, sequences * context),
  })
  notes.push(describe(first, choice, { length, sequences, context }))
  const inputs = new Map([...choice.inputs].map(([name, array]) => [name, cut(array, 0)]))
  for (const name of choice.shifted?.inputs ?? []) inputs.set(name, cut(first, 1))
  const target = choice.shifted?.target === true ? cut(first, 1) : choice.target && cut(choice.target, 0)
  return { inputs, ...(target !== undefined && { target }) }
}

function checkTokens({ where, dtype, shape }: ReadableArray): void {
  if (shape.length !== 1)
    throw new UsageError(
      `${where} is ${formatShape(shape)}; --context cuts one long row of tokens: leave it out`,
    )
  if (isFloat(dtype))
    throw new UsageError(`${where} holds ${dtype}; --context cuts tokens, which are whole numbers`)
}

function describe(
  { where }: ReadableArray,
  { shifted }: Choice,
  { length, sequences, context }: { length: number; sequences: number; context: number },
): string {
  const left = length - 1 - sequences * context
  const targets = [
    ...(shifted?.inputs ?? []).map((name) => `'${name}'`),
    ...(shifted?.target === true ? ['the target'] : []),
  ]
  return (
    `${where}: ${length} tokens are cut into ${sequences} sequences of ${context}` +
    (targets.length > 0 ? `; ${targets.join(' and ')} is the token after each` : '') +
    (left > 0 ? `; ${left} at the end are left out` : '')
  )
}

/** The elements `offset` to `offset + count` of an array. */
async function* windowOf(array: ReadableArray, offset: number, count: number): AsyncGenerator<TypedArray> {
  let at = 0
  for await (const block of array.blocks()) {
    const from = Math.max(0, offset - at)
    const to = Math.min(block.length, offset + count - at)
    if (to > from) yield block.subarray(from, to)
    at += block.length
    if (at >= offset + count) return
  }
}
