import { narrowBfloat16, narrowFloat16, widenBfloat16, widenFloat16 } from '../io/float16.js'
import type { FloatArray, StoredDType } from '../tensor.js'
import { walkTransposed } from '../transpose.js'

/** Arrays with fewer different numbers (zeros, ones, small tables) are equal by chance. */
const FEWEST_DISTINCT = 8

/** Numbers in float32, the precision that a model and the checkpoint it was exported from share. */
export function inFloat32(numbers: FloatArray): Float32Array {
  return numbers instanceof Float32Array ? numbers : Float32Array.from(numbers)
}

/** Numbers that are rounded at a time: plain arrays of numbers take several times the memory of typed ones. */
const ROUNDED_AT_ONCE = 65536

/** Numbers as a checkpoint of a narrower type would hold them: a model in float32 was often saved in half precision. */
export function roundedTo(numbers: Float32Array, dtype: StoredDType): Float32Array {
  if (dtype !== 'float16' && dtype !== 'bfloat16') return numbers
  const rounded = new Float32Array(numbers.length)
  for (let at = 0; at < numbers.length; at += ROUNDED_AT_ONCE) {
    const part = [...numbers.subarray(at, at + ROUNDED_AT_ONCE)]
    const there =
      dtype === 'float16' ? widenFloat16(narrowFloat16(part)) : widenBfloat16(narrowBfloat16(part))
    rounded.set(there, at)
  }
  return rounded
}

/**
 * A digest of an array that does not depend on the order of its elements: their number, and two sums over the mixed bits of
 * each. Arrays of equal numbers have equal digests in whatever layout; 0 and -0 count as equal.
 */
export function unorderedDigest(numbers: Float32Array): string {
  const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length)
  let [a, b] = [0, 0]
  for (const word of bits) {
    const value = word === 0x80000000 ? 0 : word
    a = (a + mixed(value, 0x85ebca6b)) | 0
    b = (b + mixed(value, 0xc2b2ae35)) | 0
  }
  return `${numbers.length}:${a}:${b}`
}

/** The finalizer of MurmurHash3, by Austin Appleby, with one of its factors free. */
function mixed(word: number, factor: number): number {
  let hash = Math.imul(word ^ (word >>> 16), factor)
  hash = Math.imul(hash ^ (hash >>> 13), 0x27d4eb2f)
  return hash ^ (hash >>> 16)
}

/** Whether an array holds enough different numbers not to equal another by chance. */
export function isDistinctive(numbers: Float32Array): boolean {
  const seen = new Set<number>()
  for (const value of numbers) if (seen.add(value).size >= FEWEST_DISTINCT) return true
  return false
}

/** Whether two arrays hold the same numbers, bit for bit but for the kinds of NaN. */
export function sameNumbers(a: FloatArray, b: FloatArray): boolean {
  return a.length === b.length && a.every((value: number, i: number) => Object.is(value, b[i]))
}

/** Whether an array is another with its axes in the order `permutation`, number by number. */
export function equalsTransposed(
  wanted: Float32Array,
  numbers: Float32Array,
  shape: readonly number[],
  permutation: readonly number[],
): boolean {
  if (wanted.length !== numbers.length) return false
  let target = 0
  return walkTransposed(shape, permutation, (source) => wanted[target++] === numbers[source])
}
