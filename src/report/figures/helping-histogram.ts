import type { RunAnalysis, SplitAnalysis } from '../../analysis/model.js'
import {
  choice,
  COMMON,
  legendColumns,
  splitColor,
  type AbsentFigure,
  type Encoding,
  type Figure,
  type Layer,
} from '../figure.js'
import { LIGHT } from '../palette.js'
import { shorts, sum } from '../reduce.js'
import { grouped } from '../../counting.js'
import { percent } from '../text.js'

/** Tensors that may be chosen. */
const MOST_TENSORS = 24

/** Parameters by how often they helped. */
export function helpingHistogramFigure(run: RunAnalysis): Figure | AbsentFigure {
  const { facts, splits } = run
  const first = splits[0]!.parameters
  const described = {
    name: 'helping-histogram',
    title: 'How often a parameter helps',
    reading:
      'Parameters by the share of intervals in which they helped. A narrow hill at 50 % is what coin flips would give; a second hill further right are parameters that steadily learn, one at the left parameters that steadily hurt.',
  } as const
  if (splits.every(({ parameters }) => sum(parameters.helpedHistogram) === 0))
    return { ...described, absent: 'No parameter moved.' }
  const slots = slotsOf(first.helpedHistogram.length, facts.intervals)
  const tensors = first.helpedByTensor.slice(0, MOST_TENSORS).map(({ tensor }) => tensor)
  return {
    ...described,
    description: splits
      .map(
        ({ split, parameters }) =>
          `Histogram: on ${split} ${percent(aboveHalf(parameters.helpedHistogram))} of the parameters that moved helped in more than half of the intervals.`,
      )
      .join(' '),
    notes: [
      ...(first.neverMoved > 0
        ? [`${grouped(first.neverMoved)} parameters never moved and are left out.`]
        : []),
      ...(first.helpedByTensor.length > tensors.length
        ? [`The ${tensors.length} largest tensors can be chosen.`]
        : []),
    ],
    spec: {
      ...COMMON,
      height: 240,
      params: [choice('tensor', 'Tensor', ['all parameters', ...tensors])],
      data: { values: splits.flatMap((split, place) => rowsOf(split, place, { tensors, slots })) },
      transform: [{ filter: 'datum.tensor === tensor' }, { flatten: ['from', 'to', 'parameters', 'share'] }],
      layer: [bars(shared(run)), ...(splits.length > 1 ? [outlines(shared(run))] : []), middle()],
    },
  }
}

function shared(run: RunAnalysis): Encoding {
  return {
    color: { ...splitColor(run), legend: { symbolType: 'square', columns: legendColumns(110) } },
    tooltip: [
      { field: 'split', type: 'nominal', title: 'data set' },
      { field: 'from', type: 'quantitative', format: '.0%', title: 'helped in' },
      { field: 'to', type: 'quantitative', format: '.0%', title: 'to' },
      { field: 'parameters', type: 'quantitative', format: ',', title: 'parameters' },
    ],
  }
}

const SHARE = {
  field: 'share',
  type: 'quantitative',
  title: 'share of the parameters, per interval',
  axis: { format: '~%', tickCount: 5 },
} as const

/** The first split. */
function bars(encoding: Encoding): Layer {
  return {
    transform: [{ filter: 'datum.place === 0' }],
    mark: { type: 'bar', opacity: 0.5, binSpacing: 1, stroke: null },
    encoding: {
      ...encoding,
      x: {
        field: 'from',
        bin: 'binned',
        type: 'quantitative',
        title: 'share of intervals in which a parameter helped',
        scale: { domain: [0, 1] },
        axis: { format: '.0%', tickCount: 5 },
      },
      x2: { field: 'to' },
      y: { ...SHARE, stack: null },
    },
  }
}

/** The other splits, over it. */
function outlines(encoding: Encoding): Layer {
  return {
    transform: [{ filter: 'datum.place > 0' }],
    mark: { type: 'line', interpolate: 'step-after', strokeWidth: 2, strokeJoin: 'round' },
    encoding: { ...encoding, x: { field: 'from', type: 'quantitative' }, y: SHARE },
  }
}

function middle(): Layer {
  return {
    data: { values: [{ half: 0.5 }] },
    mark: { type: 'rule', color: LIGHT.muted, strokeDash: [5, 4] },
    encoding: { x: { field: 'half', type: 'quantitative' } },
  }
}

/** A bin with the numbers of intervals that fall into it. */
interface Slot {
  readonly bin: number
  /** How many such numbers there are. */
  readonly numbers: number
  /** Shares of the intervals that it reaches from and to. */
  readonly from: number
  readonly to: number
}

/**
 * Of a run of 60 intervals a parameter helped in 0, 1, ... or 60 of them: of 50 equal bins some hold one of these numbers
 * and some hold two, which would look like peaks. So bins are as wide as the numbers in them.
 */
function slotsOf(bins: number, intervals: number): Slot[] {
  const byBin = new Map<number, number[]>()
  for (let helped = 0; helped <= intervals; helped += 1) {
    const bin = Math.min(bins - 1, Math.floor((bins * helped) / intervals))
    byBin.set(bin, [...(byBin.get(bin) ?? []), helped])
  }
  return [...byBin].map(([bin, numbers]) => ({
    bin,
    numbers: numbers.length,
    from: Math.max(0, (numbers[0]! - 0.5) / intervals),
    to: Math.min(1, (numbers.at(-1)! + 0.5) / intervals),
  }))
}

interface Choices {
  readonly tensors: readonly string[]
  readonly slots: readonly Slot[]
}

/** All parameters have place 0 among the choices, then come the tensors. */
function rowsOf({ split, parameters }: SplitAnalysis, place: number, { tensors, slots }: Choices) {
  const byTensor = new Map(parameters.helpedByTensor.map(({ tensor, histogram }) => [tensor, histogram]))
  const histograms = [parameters.helpedHistogram, ...tensors.map((tensor) => byTensor.get(tensor) ?? [])]
  return histograms.map((counts, tensor) => {
    const moved = Math.max(1, sum(counts))
    // the right edge of an outline: a line of steps ends where its last step begins
    const edge = place === 0 ? [] : [{ ...slots.at(-1)!, from: slots.at(-1)!.to }]
    const drawn = [...slots, ...edge].map((slot) => ({ ...slot, parameters: counts[slot.bin] ?? 0 }))
    return {
      split,
      place,
      tensor,
      from: shorts(drawn.map(({ from }) => from)),
      to: shorts(drawn.map(({ to }) => to)),
      parameters: drawn.map(({ parameters: count }) => count),
      share: shorts(drawn.map(({ parameters: count, numbers }) => count / moved / numbers)),
    }
  })
}

function aboveHalf(histogram: readonly number[]): number {
  return sum(histogram.slice(Math.ceil(histogram.length / 2))) / sum(histogram)
}
