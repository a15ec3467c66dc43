import type { RunAnalysis, SplitAnalysis, Synchrony } from '../../analysis/model.js'
import { MOST_LAYERS } from '../choose.js'
import {
  binNote,
  COMMON,
  LAYER_AXIS,
  OF_CHOSEN_SPLIT,
  rowHeight,
  splitChoice,
  stepAxis,
  type AbsentFigure,
  type Figure,
} from '../figure.js'
import { SEQUENTIAL } from '../palette.js'
import { binsOf, largest, sum, type Bins } from '../reduce.js'
import { counted } from '../../counting.js'
import { percent, pValue } from '../text.js'

const MOST_BINS = 300

/** When each layer learns most, and how many do in the same interval. */
export function synchronyFigure(run: RunAnalysis): Figure | AbsentFigure {
  const { facts, splits } = run
  const described = {
    name: 'synchrony',
    title: 'Do layers learn at the same moments?',
    reading:
      'Each mark is an interval in which a layer learned more than in its neighbours: a peak. The more layers peak in it, the stronger its colour: columns of strong marks are moments in which the whole network learns.',
  } as const
  if (splits.every(({ synchrony }) => synchrony === undefined))
    return {
      ...described,
      absent: 'It takes two layers that move and more intervals than this run has to tell.',
    }
  const bins = binsOf(facts.steps, MOST_BINS)
  const chosen = chooseByPeaks(splits.find(({ synchrony }) => synchrony !== undefined)!.synchrony!)
  const rows = splits.flatMap((split, place) => rowsOf(split, place, { bins, chosen }))
  const most = largest(splits.flatMap(({ synchrony }) => [...(synchrony?.coincident ?? [])]))
  return {
    ...described,
    description: splits.map(describe).join(' '),
    notes: [
      ...splits.map(describe),
      ...layersLeftOut(splits, chosen),
      ...binNote(bins, 'of each the interval is drawn in which most layers peak'),
    ],
    spec: {
      ...COMMON,
      height: { step: rowHeight(chosen.length) },
      params: [splitChoice(run)],
      data: { values: rows },
      transform: [OF_CHOSEN_SPLIT, { flatten: ['from', 'to', 'together'] }],
      mark: { type: 'rect' },
      encoding: {
        x: {
          field: 'from',
          ...stepAxis(run),
          scale: { zero: false, nice: false, domain: [bins.from[0]!, bins.to.at(-1)!] },
        },
        x2: { field: 'to' },
        y: { ...LAYER_AXIS, scale: { padding: 0.2 } },
        color: {
          field: 'together',
          type: 'quantitative',
          title: 'layers that peak in the same interval',
          scale: { type: 'linear', domain: spread(most), range: [...SEQUENTIAL] },
          legend: {
            format: 'd',
            tickMinStep: 1,
            tickCount: 4,
            direction: 'horizontal',
            gradientLength: { expr: 'min(width, 260)' },
            gradientThickness: 10,
            titleLimit: 300,
          },
        },
        tooltip: [
          { field: 'layer', type: 'nominal', title: 'layer' },
          { field: 'from', type: 'quantitative', title: `from ${facts.stepUnit}` },
          { field: 'to', type: 'quantitative', title: `to ${facts.stepUnit}` },
          { field: 'together', type: 'quantitative', title: 'layers that peak' },
        ],
      },
    },
  }
}

/** One stop of the domain for each color. */
function spread(most: number): number[] {
  return SEQUENTIAL.map((_, i) => 1 + (i * Math.max(1, most - 1)) / (SEQUENTIAL.length - 1))
}

/** The layers with the most peaks, in the network's order. */
function chooseByPeaks({ layers, peaks }: Synchrony): readonly string[] {
  const counts = new Map(layers.map((layer, i) => [layer, sum(peaks[i]!)]))
  const chosen = new Set([...layers].sort((a, b) => counts.get(b)! - counts.get(a)!).slice(0, MOST_LAYERS))
  return layers.filter((layer) => chosen.has(layer))
}

/** The first interval from `start` to before `end` in which most layers peak. */
function fullest(coincident: Float64Array, start: number, end: number): number {
  let best = start
  for (let t = start; t < end; t += 1) if (coincident[t]! > coincident[best]!) best = t
  return best
}

interface Choices {
  readonly bins: Bins
  readonly chosen: readonly string[]
}

function rowsOf({ synchrony }: SplitAnalysis, place: number, { bins, chosen }: Choices) {
  if (synchrony === undefined) return []
  const { layers, peaks, coincident } = synchrony
  const moments = bins.starts
    .slice(0, -1)
    .map((start, bin) => fullest(coincident, start, bins.starts[bin + 1]!))
  return chosen.flatMap((layer, order) => {
    const own = peaks[layers.indexOf(layer)]
    if (own === undefined) return []
    const together = moments.map((t) => (own[t] === 1 ? coincident[t]! : 0))
    const places = [...together.keys()].filter((bin) => together[bin]! > 0)
    return [
      {
        place,
        layer,
        order,
        from: places.map((bin) => bins.from[bin]!),
        to: places.map((bin) => bins.to[bin]!),
        together: places.map((bin) => together[bin]!),
      },
    ]
  })
}

function describe({ split, synchrony }: SplitAnalysis): string {
  if (synchrony === undefined) return `On ${split} too few layers move.`
  const { observed, expected, p } = synchrony
  return `On ${split} ${percent(observed)} of the peaks of two layers coincide in the mean; chance gives ${percent(expected)} (${pValue(p)} by random shifts, before correction for other tests).`
}

function layersLeftOut(splits: readonly SplitAnalysis[], chosen: readonly string[]): string[] {
  const all = largest(splits.map(({ synchrony }) => synchrony?.layers.length ?? 0))
  return all > chosen.length
    ? [`The ${counted(chosen.length, 'layer')} of ${all} with the most peaks are drawn.`]
    : []
}
