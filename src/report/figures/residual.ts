import type { RunAnalysis, SplitAnalysis } from '../../analysis/model.js'
import {
  binNote,
  COMMON,
  legendColumns,
  splitColor,
  stepAxis,
  type AbsentFigure,
  type Figure,
  type Layer,
} from '../figure.js'
import { LIGHT } from '../palette.js'
import { binsOf, farthest, inBins, largest, short, type Bins } from '../reduce.js'
import { number, plain } from '../text.js'

const MOST_BINS = 300

/** How far LCA is from the measured change, interval by interval, on a logarithmic scale. */
export function residualFigure(run: RunAnalysis): Figure | AbsentFigure {
  const { facts, splits } = run
  const described = {
    name: 'residual',
    title: 'Conservation: what is left over',
    reading: `Each dot is the residual of an interval: the sum of all LCA minus the measured change of the loss. Below the dashed line (the tolerance, ${plain(facts.tolerance)}) an interval has converged.`,
  } as const
  const bins = binsOf(facts.steps, MOST_BINS)
  const rows = splits.flatMap(rowsOf(bins))
  if (rows.length === 0)
    return {
      ...described,
      absent: facts.restricted
        ? 'LCA is allocated to some tensors only, so that it does not add up to the change of the loss, and there is no residual.'
        : 'LCA equals the change of the loss in every interval, to the last digit.',
    }
  const powers = powersOf([...rows.map(({ size }) => size!), facts.tolerance || rows[0]!.size!])
  return {
    ...described,
    description: splits
      .map(
        ({ split, residual }) =>
          `Dots: on ${split} the largest residual is ${number(Math.abs(farthest([...residual])))}, where ${plain(facts.tolerance)} is tolerated.`,
      )
      .join(' '),
    notes: binNote(bins, 'the largest residual of each is drawn'),
    spec: {
      ...COMMON,
      height: 200,
      layer: [
        {
          data: { values: rows },
          mark: { type: 'point', filled: true, size: 26, opacity: 0.75 },
          encoding: {
            x: { field: 'step', ...stepAxis(run) },
            y: sizeAxis('size', powers),
            color: { ...splitColor(run), legend: { symbolType: 'circle', columns: legendColumns(110) } },
            tooltip: [
              { field: 'split', type: 'nominal', title: 'data set' },
              { field: 'from', type: 'quantitative', title: `from ${facts.stepUnit}` },
              { field: 'to', type: 'quantitative', title: `to ${facts.stepUnit}` },
              { field: 'residual', type: 'quantitative', format: '.3~e', title: 'residual' },
            ],
          },
        },
        ...toleranceLine(facts.tolerance, powers),
      ],
    },
  }
}

/** The powers of ten among the sizes, at most six: a logarithmic axis has lines without end otherwise. */
function powersOf(sizes: readonly number[]): number[] {
  const [low, high] = [-largest(sizes.map((size) => -size)), largest(sizes)].map(Math.log10)
  const every = Math.ceil((high! - low!) / 6) || 1
  const first = Math.ceil(low! / every) * every
  const count = Math.max(0, Math.floor((high! - first) / every) + 1)
  return Array.from({ length: count }, (_, i) => Number(`1e${first + i * every}`))
}

function sizeAxis(field: string, powers: readonly number[]) {
  const values = [...powers]
  return {
    field,
    type: 'quantitative',
    title: '|residual| (loss change)',
    scale: { type: 'log', nice: false, padding: 12 },
    axis: { format: '.0e', values },
  } as const
}

function toleranceLine(tolerance: number, powers: readonly number[]): Layer[] {
  if (tolerance <= 0) return []
  const data = { values: [{ tolerance, label: 'tolerance' }] }
  return [
    {
      data,
      mark: { type: 'rule', color: LIGHT.muted, strokeDash: [5, 4] },
      encoding: { y: sizeAxis('tolerance', powers) },
    },
    {
      data,
      mark: { type: 'text', color: LIGHT.muted, align: 'right', baseline: 'bottom', dx: -2, dy: -4 },
      encoding: {
        x: { value: 'width' },
        y: sizeAxis('tolerance', powers),
        text: { field: 'label', type: 'nominal' },
      },
    },
  ]
}

/** Zero has no place on a logarithmic scale; there is nothing to see of it either. */
function rowsOf(bins: Bins) {
  return ({ split, residual }: SplitAnalysis) =>
    inBins(bins, residual, farthest).flatMap((value, bin) => {
      const [from, to] = [bins.from[bin]!, bins.to[bin]!]
      if (!Number.isFinite(value) || value === 0) return []
      return [
        { split, from, to, step: (from + to) / 2, residual: short(value), size: short(Math.abs(value)) },
      ]
    })
}
