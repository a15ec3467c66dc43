import type {
  Estimate,
  GroupAnalysis,
  MeasureCorrelation,
  Oscillation,
  ParameterAnalysis,
  RunAnalysis,
  SplitAnalysis,
  Synchrony,
  TensorAnalysis,
  UnitAnalysis,
} from '../../src/analysis/model.js'
import { MEASURES } from '../../src/analysis/model.js'
import { Random } from '../support/random.js'

export interface Size {
  readonly intervals: number
  readonly layers: number
  readonly tensorsPerLayer?: number
  readonly units?: number
  readonly splits?: readonly string[]
  readonly name?: string
  /** Name of a layer by its place. */
  readonly layerName?: (place: number) => string
  readonly stride?: number
}

/**
 * An analysis that looks like one of a real run: the loss falls, most layers help, the last hurts on val. Its parts fit
 * each other (LCA of layers sums to that of the split, which is the loss change), so that figures of it make sense.
 */
export function madeUpRun(size: Size): RunAnalysis {
  const { intervals, layers, tensorsPerLayer = 2, splits = ['train', 'val'], stride = 1 } = size
  const names = Array.from({ length: layers }, (_, i) => size.layerName?.(i) ?? `block.${i}.linear`)
  return {
    facts: {
      name: size.name ?? 'made-up',
      intervals,
      steps: Array.from({ length: intervals + 1 }, (_, t) => t * stride),
      stepUnit: 'step',
      parameters: layers * tensorsPerLayer * 1000,
      loss: 'cross-entropy',
      quadrature: 'simpson',
      tolerance: 0.001,
      converged: intervals,
      restricted: false,
      sampled: false,
      fisherSamples: undefined,
      warnings: [],
    },
    splits: splits.map((split, place) =>
      madeUpSplit({ split, place, intervals, names, tensorsPerLayer, units: size.units ?? 24 }),
    ),
    findings: [
      {
        kind: 'hurting-layer',
        text: `${names.at(-1)!} raises the loss on ${splits.at(-1)!} by 0.031 over the run (95 % 0.012 to 0.047).`,
        advice: 'Freeze it, or divide its learning rate by ten.',
        p: 0.0042,
        weight: 0.3,
        split: splits.at(-1),
        layer: names.at(-1),
        figure: 'layers',
      },
      {
        kind: 'synchrony',
        text: 'Layers learn most in the same steps: 41 % of their peaks coincide, where chance gives 33 %.',
        advice: undefined,
        p: 0.0004,
        weight: 0.1,
        split: splits[0],
        layer: undefined,
        figure: 'synchrony',
      },
      {
        kind: 'dead-units',
        text: `3 of 24 units of ${names[0]!} never changed the loss.`,
        advice: undefined,
        p: undefined,
        weight: 0.02,
        split: undefined,
        layer: names[0],
        figure: 'units',
      },
    ],
  }
}

interface SplitSize {
  readonly split: string
  readonly place: number
  readonly intervals: number
  readonly names: readonly string[]
  readonly tensorsPerLayer: number
  readonly units: number
}

function madeUpSplit(size: SplitSize): SplitAnalysis {
  const { split, place, intervals, names, tensorsPerLayer } = size
  const random = new Random(`split ${place}`)
  const series = names.map((_, layer) =>
    layerSeries(random, { intervals, layer, layers: names.length, place }),
  )
  const lca = Float64Array.from({ length: intervals }, (_, t) => total(series.map((values) => values[t]!)))
  const losses = new Float64Array(intervals + 1)
  losses[0] = 2.31 + 0.01 * place
  for (let t = 0; t < intervals; t += 1) losses[t + 1] = losses[t]! + lca[t]!
  const residual = Float64Array.from({ length: intervals }, () => (random.next() - 0.5) * 1e-4)
  const firstOrder = lca.map((value) => value * 1.2 - 0.4 / intervals)
  const helping = Float64Array.from(
    { length: intervals },
    (_, t) => 0.5 + 0.06 * (1 - t / intervals) + 0.04 * (random.next() - 0.5),
  )
  const still = new Float64Array(intervals).fill(0.02)
  const tensors = names.flatMap((layer, i) => madeUpTensors(layer, series[i]!, tensorsPerLayer))
  return {
    split,
    losses,
    lca,
    residual,
    firstOrder,
    helping,
    hurting: helping.map((share) => 0.98 - share),
    still,
    layers: names.map((name, i) => group(name, series[i]!, 1000 * tensorsPerLayer)),
    tensors,
    roles: [
      group('weight', lca, 1000 * names.length),
      group(
        'bias',
        lca.map((value) => value / 50),
        10 * names.length,
      ),
    ],
    approximation: {
      error: total(firstOrder) - total(lca),
      relativeError: 0.38,
      perInterval: Math.abs(total(firstOrder) - total(lca)) / intervals,
      changedSigns: [names.at(-1)!],
    },
    synchrony: madeUpSynchrony(names, series),
    parameters: madeUpParameters(random, tensors),
    units: madeUpUnits(random, tensors, size),
    measures: MEASURES.map((measure, i): MeasureCorrelation => ({
      measure,
      tensors: measure === 'empirical Fisher' ? NaN : 0.9 - 0.15 * i,
      parameters: i % 2 === 0 ? 0.7 - 0.1 * i : NaN,
    })),
  }
}

interface SeriesSize {
  readonly intervals: number
  readonly layer: number
  readonly layers: number
  readonly place: number
}

/** Learns fast at first, with noise; the last layer hurts on splits that training did not see. */
function layerSeries(random: Random, { intervals, layer, layers, place }: SeriesSize): Float64Array {
  const rate = 5 / intervals
  const size = (2 / layers) * (0.4 + (1.2 * ((layer * 7) % layers)) / layers)
  const sign = place > 0 && layer === layers - 1 ? 0.06 : -1
  return Float64Array.from({ length: intervals }, (_, t) => {
    const noise = (random.next() - 0.5) * 0.15 * size * Math.sqrt(rate)
    return sign * size * rate * Math.exp(-rate * t) + noise * (0.2 + Math.exp(-rate * t))
  })
}

function total(values: Iterable<number>): number {
  let sum = 0
  for (const value of values) sum += value
  return sum
}

function estimate(value: number): Estimate {
  return { value, low: value - Math.abs(value) * 0.3 - 0.002, high: value + Math.abs(value) * 0.3 + 0.002 }
}

const OSCILLATION: Oscillation = {
  movementFlips: 0.46,
  gradientFlips: 0.48,
  lcaFlips: 0.44,
  undone: 0.3,
  movementCosine: { value: 0.1, low: 0.02, high: 0.18 },
  cosineAtLag: [0.3, 0.1],
  lag: 0,
}

function group(name: string, lca: Float64Array, parameters: number): GroupAnalysis {
  return {
    name,
    parameters,
    lca,
    total: estimate(total(lca)),
    firstOrderTotal: total(lca) * 1.2 - 0.01,
    hurtIn: lca.filter((value) => value > 0).length,
    p: 0.01,
    helping: 0.52,
    hurting: 0.46,
    oscillation: OSCILLATION,
  }
}

const ROLES = ['weight', 'bias', 'norm', 'buffer'] as const

function madeUpTensors(layer: string, lca: Float64Array, count: number): TensorAnalysis[] {
  return Array.from({ length: count }, (_, i) => {
    const share = i === 0 ? 1 - 0.1 * (count - 1) : 0.1
    const role = ROLES[i % ROLES.length]!
    return {
      ...group(
        `${layer}.${role}`,
        lca.map((value) => value * share),
        i === 0 ? 1000 : 10,
      ),
      layer,
      role,
      gradientNorm: 0.3 / (i + 1),
      updateNorm: 0.02,
      relativeUpdate: 0.001,
      cosine: 0.4,
      pathLength: 3.2,
      efficiency: 0.35,
      synapticIntelligence: 0.12,
      fisher: NaN,
    }
  })
}

/** A peak is a local minimum. */
function madeUpSynchrony(names: readonly string[], series: readonly Float64Array[]): Synchrony {
  const peaks = series.map((values) =>
    Uint8Array.from(values, (value, t) =>
      value < (values[t - 1] ?? Infinity) && value < (values[t + 1] ?? Infinity) ? 1 : 0,
    ),
  )
  const coincident = Float64Array.from({ length: series[0]!.length }, (_, t) =>
    total(peaks.map((own) => own[t]!)),
  )
  return {
    layers: names,
    peaks,
    coincident,
    observed: 0.41,
    expected: 0.33,
    p: 0.0004,
    pairs: names.map(() => names.map(() => 1.2)),
  }
}

function histogram(random: Random, parameters: number): number[] {
  return Array.from({ length: 50 }, (_, bin) =>
    Math.round((parameters / 12) * Math.exp(-(((bin - 26) / 7) ** 2)) * (0.8 + 0.4 * random.next())),
  )
}

function madeUpParameters(random: Random, tensors: readonly TensorAnalysis[]): ParameterAnalysis {
  const parameters = total(tensors.map((tensor) => tensor.parameters))
  const tensor = tensors[0]!.name
  return {
    parameters,
    half: Math.round(parameters * 0.08),
    halfShare: 0.08,
    hurtingHalf: Math.round(parameters * 0.07),
    helpedHistogram: histogram(random, parameters),
    helpedByTensor: tensors.map(({ name, parameters: own }) => ({
      tensor: name,
      histogram: histogram(random, own),
    })),
    neverMoved: 120,
    best: [{ tensor, index: 17, unit: 1, lca: -0.012 }],
    worst: [{ tensor, index: 4, unit: 0, lca: 0.0031 }],
  }
}

function madeUpUnits(
  random: Random,
  tensors: readonly TensorAnalysis[],
  { intervals, units }: SplitSize,
): UnitAnalysis {
  const count = Math.min(100, intervals)
  const bins = Array.from({ length: count + 1 }, (_, bin) => Math.floor((bin * intervals) / count))
  const kept = tensors.filter(({ role }) => role === 'weight')
  return {
    tensors: kept.map(({ name, layer, lca }) => ({
      tensor: name,
      layer,
      count: units,
      dead: [2],
      half: 3,
      best: { unit: 1, lca: -0.1 },
      worst: { unit: 0, lca: 0.02 },
      map: {
        units: Array.from({ length: Math.min(64, units) }, (_, unit) => unit),
        bins,
        lca: Array.from({ length: Math.min(64, units) }, (_, unit) =>
          bins
            .slice(0, -1)
            .map((start, bin) =>
              unit === 2
                ? 0
                : (total(lca.subarray(start, bins[bin + 1])) / units) * (2 * random.next() + (unit % 3)),
            ),
        ),
      },
    })),
  }
}
