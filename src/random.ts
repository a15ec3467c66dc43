/** Numbers below it fit the generator's words. */
const WORDS = 2 ** 32

/**
 * Numbers that look random and are the same on every platform: xoshiro128** 1.1 (Blackman and Vigna, "Scrambled linear
 * pseudorandom number generators", ACM Transactions on Mathematical Software 2021), whose state is filled from the seed
 * by SplitMix64, as its authors advise. Period 2^128 - 1. Not for secrets.
 */
export class Random {
  private readonly state: Uint32Array

  private constructor(state: readonly number[]) {
    this.state = Uint32Array.from(state)
  }

  /** @param seed a whole number; of a larger one the last 64 bits count */
  static ofSeed(seed: number | bigint): Random {
    return new Random(
      splitMix64(BigInt(seed), 2).flatMap((word) => [Number(word & 0xffffffffn), Number(word >> 32n)]),
    )
  }

  /** @param state four 32-bit words, not all of them zero */
  static ofState(state: readonly [number, number, number, number]): Random {
    return new Random(state)
  }

  /** A whole number from 0 up to, not including, 2^32. */
  next(): number {
    const { state } = this
    const [a, b, c, d] = [state[0]!, state[1]!, state[2]!, state[3]!]
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0
    state[2] = c ^ a ^ (b << 9)
    state[3] = rotate(d ^ b, 11)
    state[1] = b ^ c ^ a
    state[0] = a ^ d ^ b
    return result
  }

  /**
   * A whole number from 0 up to, not including, `bound`, each equally likely: words from the incomplete last round are
   * drawn again, since their remainders would favour small numbers.
   * @param bound from 1 to 2^32
   */
  below(bound: number): number {
    if (!(bound >= 1 && bound <= WORDS)) throw new RangeError(`bound ${bound}: 1 to 2^32 is needed`)
    const limit = WORDS - (WORDS % bound)
    let word = this.next()
    while (word >= limit) word = this.next()
    return word % bound
  }

  /**
   * `count` of the numbers 0 to `population` - 1 without repeats, in random order: every ordered choice is equally
   * likely (the first steps of Fisher and Yates's shuffle, of which only the numbers that moved are kept). From one
   * seed a smaller choice is the beginning of a larger one.
   */
  choose(count: number, population: number): number[] {
    if (count > population) throw new RangeError(`${count} of ${population} can't be chosen`)
    const moved = new Map<number, number>()
    return Array.from({ length: count }, (_, place) => {
      const other = place + this.below(population - place)
      const chosen = moved.get(other) ?? other
      moved.set(other, moved.get(place) ?? place)
      moved.delete(place)
      return chosen
    })
  }
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}

/** The first outputs of SplitMix64 (Steele, Lea, Flood 2014) from a state of 64 bits. */
export function splitMix64(seed: bigint, count: number): bigint[] {
  const wrap = (value: bigint): bigint => BigInt.asUintN(64, value)
  return Array.from({ length: count }, (_, index) => {
    let word = wrap(seed + BigInt(index + 1) * 0x9e3779b97f4a7c15n)
    word = wrap((word ^ (word >> 30n)) * 0xbf58476d1ce4e5b9n)
    word = wrap((word ^ (word >> 27n)) * 0x94d049bb133111ebn)
    return word ^ (word >> 31n)
  })
}
