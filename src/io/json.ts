import { reasonOf } from '../errors.js'
import type { ErrorClass } from './corrupt.js'
import { withFile } from './ranged-file.js'

/** A value takes some 70 bytes of memory, and two in the file; the log of a long run has some 100,000. */
const MAX_VALUES = 2_000_000

/** Configurations of networks nest some dozen levels deep. */
const MAX_DEPTH = 512

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c]
const OPENING = [0x5b, 0x7b]
const CLOSING = [0x5d, 0x7d]

/**
 * What JSON text in UTF-8 says.
 * @param what the file and what it is, for messages: `a.safetensors: corrupt safetensors: the header`
 * @param mend changes the text before it is parsed
 * @throws Fault when it is no JSON, or holds more values than memory should be filled with
 */
export function parseJson(
  bytes: Uint8Array,
  what: string,
  Fault: ErrorClass,
  mend = (text: string): string => text,
): unknown {
  const fault = faultOf(bytes)
  if (fault !== undefined) throw new Fault(`${what} ${fault}`)
  try {
    return JSON.parse(mend(new TextDecoder('utf-8', { fatal: true }).decode(bytes)))
  } catch (error) {
    throw new Fault(`${what} is no JSON: ${reasonOf(error)}`)
  }
}

/**
 * What a file of JSON says, and its size.
 * @param most the most bytes that such a file honestly has
 * @throws Fault when it is larger, or no JSON
 */
export async function readJsonFile(
  path: string,
  most: number,
  Fault: ErrorClass,
  mend?: (text: string) => string,
): Promise<{ json: unknown; bytes: number }> {
  const bytes = await withFile(path, Fault, (file) => {
    if (file.size > most) throw new Fault(`${path}: ${file.size} bytes are too many`)
    return file.read(0, file.size)
  })
  return { json: parseJson(bytes, `${path}: corrupt: it`, Fault, mend), bytes: bytes.length }
}

/** Counts values, without making any: each but the first follows an opening bracket or a comma. */
function faultOf(bytes: Uint8Array): string | undefined {
  let [values, depth] = [1, 0]
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!
    if (byte === QUOTE) at = endOfText(bytes, at)
    else if (byte === COMMA) values++
    else if (OPENING.includes(byte)) {
      values++
      if (++depth > MAX_DEPTH) return `nests more than ${MAX_DEPTH} deep`
    } else if (CLOSING.includes(byte)) depth--
    if (values > MAX_VALUES) return `holds more than ${MAX_VALUES} values`
  }
  return undefined
}

/** The position of the quote that ends the text which begins at `start`. */
function endOfText(bytes: Uint8Array, start: number): number {
  let at = start + 1
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1
  return at
}
