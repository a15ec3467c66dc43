import type { RunAnalysis, SplitAnalysis } from '../../analysis/model.js'
import { choice, COMMON, legendColumns, splitColor, type AbsentFigure, type Figure } from '../figure.js'
import { LIGHT } from '../palette.js'
import { short, sum } from '../reduce.js'
import { grouped, percent } from '../text.js'

/** Tensors that may be chosen. */
const MOST_TENSORS = 24

/** Parameters by how often they helped. */
export function helpingHistogramFigure(run: RunAnalysis): Figure | AbsentFigure {
  const { splits } = run
  const first = splits[0]!.parameters
  const described = {
    name: 'helping-histogram',
    title: 'How often a parameter helps',
    reading:
      'Parameters by the share of intervals in which they helped. A narrow hill at 50 % is what coin flips would give; a second hill further right are parameters that steadily learn, one at the left parameters that steadily hurt.',
  } as const
  if (splits.every(({ parameters }) => sum(parameters.helpedHistogram) === 0))
    return { ...described, absent: 'No parameter moved.' }
  const tensors = first.helpedByTensor.slice(0, MOST_TENSORS).map(({ tensor }) => tensor)
  return {
    ...described,
    description: splits
      .map(
        ({ split, parameters }) =>
          `Histogram: on ${split} ${percent(abovehalf(parameters.helpedHistogram))} of the parameters that moved helped in more than half of the intervals.`,
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
      data: { values: splits.flatMap((split) => rowsOf(split, tensors)) },
      transform: [
        { filter: 'datum.tensor === tensor' },
        { flatten: ['count'], as: ['parameters'] },
        { window: [{ op: 'row_number', as: 'row' }], groupby: ['split'] },
        { calculate: '(datum.row - 1) / datum.bins', as: 'from' },
        { calculate: 'datum.row / datum.bins', as: 'to' },
        { calculate: 'datum.parameters / datum.moved', as: 'share' },
      ],
      layer: [
        {
          mark: { type: 'bar', opacity: 0.55, binSpacing: 0, stroke: null },
          encoding: {
            x: {
              field: 'from',
              bin: 'binned',
              type: 'quantitative',
              title: 'share of intervals in which a parameter helped',
              scale: { domain: [0, 1] },
              axis: { format: '.0%', tickCount: 5 },
            },
            x2: { field: 'to' },
            y: {
              field: 'share',
              type: 'quantitative',
              title: 'share of the parameters',
              stack: null,
              axis: { format: '~%', tickCount: 5 },
            },
            color: { ...splitColor(run), legend: { symbolType: 'square', columns: legendColumns(110) } },
            tooltip: [
              { field: 'split', type: 'nominal', title: 'data set' },
              { field: 'from', type: 'quantitative', format: '.0%', title: 'helped in' },
              { field: 'to', type: 'quantitative', format: '.0%', title: 'to' },
              { field: 'parameters', type: 'quantitative', format: ',', title: 'parameters' },
            ],
          },
        },
        {
          data: { values: [{ half: 0.5 }] },
          mark: { type: 'rule', color: LIGHT.muted, strokeDash: [5, 4] },
          encoding: { x: { field: 'half', type: 'quantitative' } },
        },
      ],
    },
  }
}

/** All parameters have place 0 among the choices, then come the tensors. */
function rowsOf({ split, parameters }: SplitAnalysis, tensors: readonly string[]) {
  const byTensor = new Map(parameters.helpedByTensor.map(({ tensor, histogram }) => [tensor, histogram]))
  const histograms = [parameters.helpedHistogram, ...tensors.map((tensor) => byTensor.get(tensor) ?? [])]
  return histograms.map((count, tensor) => ({
    split,
    tensor,
    bins: count.length,
    moved: Math.max(1, short(sum(count))!),
    count,
  }))
}

function abovehalf(histogram: readonly number[]): number {
  return sum(histogram.slice(Math.ceil(histogram.length / 2))) / sum(histogram)
}
