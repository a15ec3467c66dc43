import { Random } from '../random.js'
import type { Synchrony } from './model.js'
import { FEWEST_INTERVALS, sumOf } from './statistics/blocks.js'

/** Permutations at most and at least, and about how many peaks are counted in all of them. */
const PERMUTATIONS = { most: 4999, least: 1999, work: 1e8 } as const
const SEED = 20190904
/** Intervals within which peaks are shifted, about. */
const WINDOW = 10

/** A layer that may peak. */
export interface LayerLca {
  readonly layer: string
  /** LCA per interval. */
  readonly lca: Float64Array
}

/**
 * Whether layers learn most in the same intervals (Lan et al. 2019, section 4.3). A layer peaks in an interval in which
 * its LCA is below zero and below that of both neighbours. Chance is what shifting each layer's peaks by random numbers
 * of intervals of its own gives, round in a circle within windows of about 10 intervals: how often a layer peaks in each
 * part of the run stays, so that layers that all peak more often late, or not at all while the loss falls smoothly, are
 * not taken for layers that peak together. The p-value is of the number of pairs of layers that peak together, one-sided.
 * @returns undefined of fewer than two layers that peak, or fewer than 20 intervals
 */
export function analyzeSynchrony(layers: readonly LayerLca[]): Synchrony | undefined {
  const peaking = layers
    .map(({ layer, lca }) => ({ layer, peaks: peaksOf(lca) }))
    .filter(({ peaks }) => peaks.includes(1))
  const intervals = layers[0]?.lca.length ?? 0
  if (peaking.length < 2 || intervals < FEWEST_INTERVALS) return undefined
  const peaks = peaking.map((layer) => layer.peaks)
  const windows = windowsOf(intervals)
  const places = peaks.map(placesOf)
  const pairs = pairCounts(peaks, windows)
  return {
    layers: peaking.map(({ layer }) => layer),
    peaks,
    coincident: Float64Array.from({ length: intervals }, (_, t) => peaks.reduce((sum, p) => sum + p[t]!, 0)),
    ...shares(pairs),
    p: permutationTest(places, windows),
    pairs: pairs.map((row) => row.map(({ together, chance }) => together / chance)),
  }
}

/** 1 in the intervals in which LCA is below zero and below that of both neighbours. */
export function peaksOf(lca: Float64Array): Uint8Array {
  return Uint8Array.from(lca, (value, t) =>
    Number(t > 0 && t + 1 < lca.length && value < 0 && value < lca[t - 1]! && value < lca[t + 1]!),
  )
}

/** Neighbouring intervals: from the first up to, not including, the last. */
interface Window {
  readonly from: number
  readonly to: number
}

/** Windows of nearly equal length, together all intervals. */
function windowsOf(intervals: number): Window[] {
  const count = Math.max(1, Math.round(intervals / WINDOW))
  const end = (window: number): number => Math.floor((window * intervals) / count)
  return Array.from({ length: count }, (_, window) => ({ from: end(window), to: end(window + 1) }))
}

function placesOf(peaks: Uint8Array): Uint32Array {
  return Uint32Array.from([...peaks.keys()].filter((t) => peaks[t] === 1))
}

/** Two layers: peaks of both, peaks that they share, and how many of them chance gives. */
interface Pair {
  readonly peaks: number
  readonly together: number
  readonly chance: number
}

function pairCounts(peaks: readonly Uint8Array[], windows: readonly Window[]): Pair[][] {
  const within = peaks.map((layer) => windows.map(({ from, to }) => sumOf(layer.subarray(from, to))))
  const pairs: Pair[][] = []
  for (let i = 0; i < peaks.length; i += 1)
    pairs.push(
      peaks.map((layer, j) =>
        j < i ? pairs[j]![i]! : pairOf([peaks[i]!, layer], [within[i]!, within[j]!], windows),
      ),
    )
  return pairs
}

/** @param within peaks of each in each window */
function pairOf(
  [a, b]: readonly [Uint8Array, Uint8Array],
  [withinA, withinB]: readonly [readonly number[], readonly number[]],
  windows: readonly Window[],
): Pair {
  let [together, chance] = [0, 0]
  for (let t = 0; t < a.length; t += 1) together += a[t]! & b[t]!
  for (let w = 0; w < windows.length; w += 1)
    chance += (withinA[w]! * withinB[w]!) / (windows[w]!.to - windows[w]!.from)
  return { peaks: sumOf(withinA) + sumOf(withinB), together, chance }
}

/** Dice's coefficient, 2 |a and b| / (|a| + |b|), mean over pairs, as found and as expected by chance. */
function shares(pairs: readonly (readonly Pair[])[]): Pick<Synchrony, 'observed' | 'expected'> {
  const different = pairs.flatMap((row, i) => row.slice(i + 1))
  const mean = (of: (pair: Pair) => number): number =>
    different.reduce((sum, pair) => sum + (2 * of(pair)) / pair.peaks, 0) / different.length
  return { observed: mean(({ together }) => together), expected: mean(({ chance }) => chance) }
}

function permutationTest(places: readonly Uint32Array[], windows: readonly Window[]): number {
  const random = Random.ofSeed(SEED)
  const counter = new PairCounter(places, windows)
  const wanted = Math.floor(PERMUTATIONS.work / counter.work)
  const permutations = Math.min(PERMUTATIONS.most, Math.max(PERMUTATIONS.least, wanted))
  const found = counter.together(() => 0)
  let atLeast = 0
  for (let i = 0; i < permutations; i += 1)
    atLeast += Number(counter.together((width) => Math.floor((random.next() / 2 ** 32) * width)) >= found)
  return (1 + atLeast) / (1 + permutations)
}

/** Counts pairs of layers that peak in one interval, when each layer's peaks are shifted within each window. */
class PairCounter {
  /** Peaks and shifts of all layers; a shift takes about as long as five peaks. */
  readonly work: number
  private readonly windowOf: Uint32Array
  private readonly counts: Uint32Array
  private readonly shifts: Uint32Array

  constructor(
    private readonly places: readonly Uint32Array[],
    private readonly windows: readonly Window[],
  ) {
    const intervals = windows.at(-1)!.to
    this.work = places.reduce((sum, { length }) => sum + length + 5 * windows.length, 0)
    this.counts = new Uint32Array(intervals)
    this.shifts = new Uint32Array(windows.length)
    this.windowOf = new Uint32Array(intervals)
    windows.forEach(({ from, to }, window) => this.windowOf.fill(window, from, to))
  }

  together(shiftOf: (width: number) => number): number {
    const { places, windows, windowOf, counts, shifts } = this
    counts.fill(0)
    let pairs = 0
    for (const layer of places) {
      for (let w = 0; w < shifts.length; w += 1) shifts[w] = shiftOf(windows[w]!.to - windows[w]!.from)
      for (const place of layer) {
        const { from, to } = windows[windowOf[place]!]!
        const moved = place + shifts[windowOf[place]!]!
        const t = moved >= to ? moved - (to - from) : moved
        // with those that peak there already
        pairs += counts[t]!
        counts[t]! += 1
      }
    }
    return pairs
  }
}
