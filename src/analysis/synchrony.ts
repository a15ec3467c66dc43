import { Random } from '../random.js'
import type { Synchrony } from './model.js'
import { FEWEST_INTERVALS } from './statistics/blocks.js'

/** Permutations at most and at least, and about how many peaks are counted in all of them. */
const PERMUTATIONS = { most: 9999, least: 1999, work: 3e8 } as const
const SEED = 20190904

/** A layer that may peak. */
export interface LayerLca {
  readonly layer: string
  /** LCA per interval. */
  readonly lca: Float64Array
}

/**
 * Whether layers learn most in the same intervals (Lan et al. 2019, section 4.3). A layer peaks in an interval in which
 * its LCA is below zero and below that of both neighbours. Chance is what shifting each layer's peaks in time by a random
 * number of intervals of its own gives (circular shifts: how often a layer peaks, and how its peaks follow each other,
 * stays). The p-value is of the number of pairs of layers that peak together, one-sided.
 * @returns undefined of fewer than two layers that peak, or fewer than 20 intervals
 */
export function analyzeSynchrony(layers: readonly LayerLca[]): Synchrony | undefined {
  const peaking = layers
    .map(({ layer, lca }) => ({ layer, peaks: peaksOf(lca) }))
    .filter(({ peaks }) => peaks.includes(1))
  const intervals = layers[0]?.lca.length ?? 0
  if (peaking.length < 2 || intervals < FEWEST_INTERVALS) return undefined
  const peaks = peaking.map((layer) => layer.peaks)
  const places = peaks.map(placesOf)
  const pairs = pairRatios(peaks, places)
  return {
    layers: peaking.map(({ layer }) => layer),
    peaks,
    coincident: Float64Array.from({ length: intervals }, (_, t) => peaks.reduce((sum, p) => sum + p[t]!, 0)),
    ...shares(places, pairs, intervals),
    p: permutationTest(places, intervals),
    pairs,
  }
}

/** 1 in the intervals in which LCA is below zero and below that of both neighbours. */
export function peaksOf(lca: Float64Array): Uint8Array {
  return Uint8Array.from(lca, (value, t) =>
    Number(t > 0 && t + 1 < lca.length && value < 0 && value < lca[t - 1]! && value < lca[t + 1]!),
  )
}

function placesOf(peaks: Uint8Array): Uint32Array {
  return Uint32Array.from([...peaks.keys()].filter((t) => peaks[t] === 1))
}

/** Peaks that two layers share over the number that chance gives. */
function pairRatios(peaks: readonly Uint8Array[], places: readonly Uint32Array[]): number[][] {
  const intervals = peaks[0]!.length
  return places.map((a) =>
    peaks.map((b, other) => {
      const together = a.reduce((sum, t) => sum + b[t]!, 0)
      return (together * intervals) / (a.length * places[other]!.length)
    }),
  )
}

/** Dice's coefficient, 2 |a and b| / (|a| + |b|), mean over pairs, as found and as expected by chance. */
function shares(
  places: readonly Uint32Array[],
  ratios: readonly (readonly number[])[],
  intervals: number,
): Pick<Synchrony, 'observed' | 'expected'> {
  let [observed, expected, pairs] = [0, 0, 0]
  for (let a = 0; a < places.length; a += 1) {
    for (let b = a + 1; b < places.length; b += 1) {
      const [countA, countB] = [places[a]!.length, places[b]!.length]
      const chance = (2 * countA * countB) / intervals / (countA + countB)
      expected += chance
      observed += chance * ratios[a]![b]!
      pairs += 1
    }
  }
  return { observed: observed / pairs, expected: expected / pairs }
}

function permutationTest(places: readonly Uint32Array[], intervals: number): number {
  const random = Random.ofSeed(SEED)
  const peaks = places.reduce((sum, { length }) => sum + length, 0)
  const wanted = Math.floor(PERMUTATIONS.work / peaks)
  const permutations = Math.min(PERMUTATIONS.most, Math.max(PERMUTATIONS.least, wanted))
  const found = pairsTogether(places, intervals, () => 0)
  let atLeast = 0
  for (let i = 0; i < permutations; i += 1)
    atLeast += Number(pairsTogether(places, intervals, () => random.below(intervals)) >= found)
  return (1 + atLeast) / (1 + permutations)
}

/** Pairs of layers that peak in one interval, over all intervals, when each layer's peaks are shifted. */
function pairsTogether(places: readonly Uint32Array[], intervals: number, shiftOf: () => number): number {
  const counts = new Uint32Array(intervals)
  let pairs = 0
  for (const layer of places) {
    const shift = shiftOf()
    for (const place of layer) {
      const moved = place + shift
      const t = moved >= intervals ? moved - intervals : moved
      // with those that peak there already
      pairs += counts[t]!
      counts[t]! += 1
    }
  }
  return pairs
}
