import type { RunAnalysis, SplitAnalysis } from '../../analysis/model.js'
import {
  COMMON,
  legendColumns,
  OF_CHOSEN_SPLIT,
  splitChoice,
  type AbsentFigure,
  type Figure,
} from '../figure.js'
import { LIGHT } from '../palette.js'
import { short } from '../reduce.js'

const OVER = ['over tensors', 'over parameters'] as const
const X = 'rank correlation with LCA'

/** How well cheaper measures of importance rank tensors and parameters as LCA does. */
export function measuresFigure(run: RunAnalysis): Figure | AbsentFigure {
  const { splits } = run
  const described = {
    name: 'measures',
    title: 'Other measures of importance',
    reading:
      'How alike a measure and LCA rank tensors (full dots) and single parameters (rings), by Spearman’s correlation with how much they helped. Near 1 the measure tells the same, near 0 it tells something else.',
  } as const
  const rows = splits.flatMap(rowsOf)
  if (rows.length === 0) return { ...described, absent: 'The run has too few tensors to compare ranks.' }
  return {
    ...described,
    description: `Dots: ${describe(splits[0]!)}`,
    notes: splits[0]!.measures.some(
      ({ tensors, parameters }) => Number.isNaN(tensors) && Number.isNaN(parameters),
    )
      ? ['Measures that this run has no numbers for are left out.']
      : [],
    spec: {
      ...COMMON,
      height: { step: 30 },
      params: [splitChoice(run)],
      data: { values: rows },
      transform: [OF_CHOSEN_SPLIT],
      layer: [
        {
          data: { values: [{ zero: 0 }] },
          mark: { type: 'rule', color: LIGHT.rule },
          encoding: { x: { field: 'zero', type: 'quantitative' } },
        },
        {
          mark: { type: 'point', size: 80, strokeWidth: 2, opacity: 1 },
          encoding: {
            x: {
              field: 'correlation',
              type: 'quantitative',
              title: X,
              scale: { domain: [-1, 1] },
              axis: { grid: true, tickCount: 5 },
            },
            y: {
              field: 'measure',
              type: 'nominal',
              title: null,
              sort: { field: 'order', op: 'min' },
              axis: { labelColor: LIGHT.ink, grid: true },
            },
            stroke: { value: LIGHT.ink },
            fill: {
              field: 'over',
              type: 'nominal',
              title: null,
              scale: { domain: [...OVER], range: [LIGHT.ink, LIGHT.background] },
              legend: { symbolStrokeColor: LIGHT.ink, symbolStrokeWidth: 2, columns: legendColumns(200) },
            },
            tooltip: [
              { field: 'measure', type: 'nominal', title: 'measure' },
              { field: 'over', type: 'nominal', title: 'ranks' },
              { field: 'correlation', type: 'quantitative', format: '+.2f', title: 'correlation' },
            ],
          },
        },
      ],
    },
  }
}

function rowsOf({ measures }: SplitAnalysis, place: number) {
  return measures.flatMap(({ measure, tensors, parameters }, order) =>
    [tensors, parameters].flatMap((correlation, i) =>
      Number.isFinite(correlation)
        ? [{ place, measure, order, over: OVER[i]!, correlation: short(correlation) }]
        : [],
    ),
  )
}

function describe({ split, measures }: SplitAnalysis): string {
  const known = measures.filter(({ tensors }) => Number.isFinite(tensors))
  const text = known.map(({ measure, tensors }) => `${measure} ${tensors.toFixed(2)}`).join(', ')
  return `rank correlations with LCA over tensors on ${split}: ${text}.`
}
