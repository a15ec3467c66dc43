import { expect } from 'chai'
import { Random, splitMix64 } from '../src/random.js'

// the 0.1 % and 99.9 % points of chi-square with 99 degrees of freedom: scipy.stats.chi2.ppf([.001, .999], 99)
const CHI_SQUARE_99 = [61.136, 148.231] as const

describe('random numbers', () => {
  it('are those of the published generators', () => {
    // xoshiro128** 1.1 from the state 1, 2, 3, 4: the authors' C code, as rand_xoshiro's tests have it too
    const random = Random.ofState([1, 2, 3, 4])
    expect(Array.from({ length: 10 }, () => random.next())).to.deep.equal([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ])
    // SplitMix64 from 1234567: Rosetta Code, Pseudo-random numbers/Splitmix64
    expect(splitMix64(1234567n, 5)).to.deep.equal([
      6457827717110365317n,
      3203168211198807973n,
      9817491932198370423n,
      4593380528125082431n,
      16408922859458223821n,
    ])
  })

  it('below a bound are all equally likely', () => {
    const random = Random.ofSeed(7)
    const counts = new Array<number>(100).fill(0)
    for (let draw = 0; draw < 20_000; draw += 1) counts[random.below(100)]! += 1
    const statistic = counts.reduce((sum, count) => sum + (count - 200) ** 2 / 200, 0)
    expect(statistic).to.be.within(...CHI_SQUARE_99)
  })

  it('below a bound that does not divide 2^32 are no likelier for being small', () => {
    // words modulo 3 * 2^30 would fall into the lowest third half of the time
    const random = Random.ofSeed(11)
    const bound = 3 * 2 ** 30
    let low = 0
    for (let draw = 0; draw < 10_000; draw += 1) low += random.below(bound) < bound / 3 ? 1 : 0
    expect(low / 10_000).to.be.closeTo(1 / 3, 4 * Math.sqrt(2 / 9 / 10_000))
  })

  it('refuse bounds that a word does not reach', () => {
    for (const bound of [0, 2 ** 32 + 1, NaN])
      expect(() => Random.ofSeed(0).below(bound)).to.throw(RangeError, `bound ${bound}`)
  })
})

describe('a random choice', () => {
  it('is the same for the same seed on every platform', () => {
    // an implementation in Python's integers, of the generator and of Fisher-Yates on a whole list
    const golden: [seed: number, population: number, chosen: number[]][] = [
      [0, 100, [5, 56, 58, 47, 94, 64, 66, 22, 51, 20, 31, 92, 36, 19, 52, 83]],
      [
        1,
        60000,
        [
          45466, 58728, 42947, 41168, 46994, 54224, 52233, 37272, 21261, 38411, 54622, 49049, 40450, 15039,
          18099, 52763,
        ],
      ],
      [2 ** 53 - 1, 1000, [643, 462, 722, 688, 150, 531, 514, 862, 308, 777, 693, 485, 915, 173, 287, 434]],
    ]
    for (const [seed, population, chosen] of golden)
      expect(Random.ofSeed(seed).choose(16, population)).to.deep.equal(chosen)
  })

  it('repeats nothing, and all is a permutation of all', () => {
    for (let seed = 0; seed < 50; seed += 1) {
      const chosen = Random.ofSeed(seed).choose(64, 64)
      expect([...chosen].sort((a, b) => a - b)).to.deep.equal(Array.from({ length: 64 }, (_, i) => i))
    }
  })

  it('of fewer is the beginning of that of more', () => {
    expect(Random.ofSeed(5).choose(300, 1000).slice(0, 100)).to.deep.equal(Random.ofSeed(5).choose(100, 1000))
  })

  it('gives every member the same chance, at every tenth of it', () => {
    // Of 2,000 choices of 40 of 100, by each tenth of the places: sum (O - E)^2 / (R f (1 - f)) (N - 1) / N is
    // chi-square with N - 1 degrees of freedom, f being the share that is chosen.
    const places = 10
    const counts = Array.from({ length: places }, () => new Array<number>(100).fill(0))
    for (let seed = 0; seed < 2000; seed += 1) {
      for (const [place, member] of Random.ofSeed(seed).choose(40, 100).entries())
        counts[Math.floor(place / 4)]![member]! += 1
    }
    const statistic = (of: readonly number[], share: number): number =>
      (of.reduce((sum, count) => sum + (count - 2000 * share) ** 2, 0) / (2000 * share * (1 - share))) * 0.99
    for (const of of counts) expect(statistic(of, 0.04)).to.be.within(...CHI_SQUARE_99)
    const all = Array.from({ length: 100 }, (_, member) => counts.reduce((sum, of) => sum + of[member]!, 0))
    expect(statistic(all, 0.4)).to.be.within(...CHI_SQUARE_99)
  })

  it('of more than there are is refused', () => {
    expect(() => Random.ofSeed(0).choose(11, 10)).to.throw(RangeError, '11 of 10')
  })
})
