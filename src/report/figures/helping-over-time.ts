import type { RunAnalysis, SplitAnalysis } from '../../analysis/model.js'
import {
  binNote,
  COMMON,
  legendColumns,
  splitColor,
  stepAxis,
  type Encoding,
  type Figure,
  type Layer,
} from '../figure.js'
import { LIGHT } from '../palette.js'
import { binsOf, inBins, mean, short, type Bins } from '../reduce.js'
import { percent } from '../text.js'

const MOST_BINS = 300
/** From here on single intervals are noise, and a moving mean says more. */
const SMOOTHED_FROM = 30

/** The share of parameters with LCA below zero, interval by interval. */
export function helpingOverTimeFigure(run: RunAnalysis): Figure {
  const { facts, splits } = run
  const bins = binsOf(facts.steps, MOST_BINS)
  const half = Math.round(bins.from.length / 40) + 1
  const smoothed = bins.from.length >= SMOOTHED_FROM
  const color = {
    ...splitColor(run),
    legend: { symbolType: 'stroke', symbolStrokeWidth: 3, symbolOpacity: 1, columns: legendColumns(110) },
  } as const
  const x = { field: 'step', ...stepAxis(run) } as const
  const y = (field: string) =>
    ({
      field,
      type: 'quantitative',
      title: 'parameters that help',
      scale: { zero: false },
      axis: { format: '.0%', tickCount: 6 },
    }) as const
  return {
    name: 'helping-over-time',
    title: 'How many parameters help at a time',
    reading:
      'The share of parameters whose movement lowered the loss in an interval. At the dashed line as many help as hurt, were none still: training is a slight majority, not a march in step.',
    description: splits
      .map(
        ({ split, helping }) =>
          `Lines: on ${split} ${percent(mean([...helping]))} of the parameters help in the mean.`,
      )
      .join(' '),
    notes: [
      ...(smoothed ? [`Thick lines are means over ${2 * half + 1} neighbouring points.`] : []),
      ...binNote(bins, 'their mean is drawn'),
    ],
    spec: {
      ...COMMON,
      height: 240,
      data: { values: splits.flatMap(rowsOf(bins)) },
      layer: [
        {
          data: { values: [{ half: 0.5 }] },
          mark: { type: 'rule', color: LIGHT.muted, strokeDash: [5, 4] },
          encoding: { y: y('half') },
        },
        {
          mark: { type: 'line', strokeWidth: smoothed ? 1 : 2, opacity: smoothed ? 0.35 : 1 },
          encoding: {
            x,
            y: y('helping'),
            color,
            tooltip: [
              { field: 'split', type: 'nominal', title: 'data set' },
              { field: 'from', type: 'quantitative', title: `from ${facts.stepUnit}` },
              { field: 'to', type: 'quantitative', title: `to ${facts.stepUnit}` },
              { field: 'helping', type: 'quantitative', format: '.1%', title: 'help' },
              { field: 'hurting', type: 'quantitative', format: '.1%', title: 'hurt' },
              { field: 'still', type: 'quantitative', format: '.1%', title: 'still' },
            ],
          },
        },
        ...(smoothed ? [smoothLines(half, { x, y: y('smooth'), color })] : []),
      ],
    },
  }
}

/** Means over `half` points to each side. */
function smoothLines(half: number, encoding: Encoding): Layer {
  return {
    transform: [
      { window: [{ op: 'mean', field: 'helping', as: 'smooth' }], frame: [-half, half], groupby: ['split'] },
    ],
    mark: { type: 'line', strokeWidth: 2.2, strokeJoin: 'round' },
    encoding,
  }
}

function rowsOf(bins: Bins) {
  return ({ split, helping, hurting, still }: SplitAnalysis) => {
    const [help, hurt, rest] = [helping, hurting, still].map((shares) => inBins(bins, shares, mean))
    return bins.from.map((from, bin) => ({
      split,
      from,
      to: bins.to[bin]!,
      step: (from + bins.to[bin]!) / 2,
      helping: short(help![bin]!),
      hurting: short(hurt![bin]!),
      still: short(rest![bin]!),
    }))
  }
}
