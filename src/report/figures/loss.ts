import type { RunAnalysis, SplitAnalysis } from '../../analysis/model.js'
import { COMMON, legendColumns, splitColor, stepAxis, type Figure } from '../figure.js'
import { cumulative, largest, linePlaces, short } from '../reduce.js'
import { number } from '../text.js'

const MOST_POINTS = 400
const KINDS = ['measured', 'sum of LCA', 'sum of first order'] as const

/** The loss as it was measured, and as its parts add up: by LCA, and by first order. */
export function lossFigure(run: RunAnalysis): Figure {
  const { facts, splits } = run
  const clip = clipping(splits)
  return {
    name: 'loss',
    title: 'Loss, measured and rebuilt from its parts',
    reading:
      'The broad line is the loss at every checkpoint; the thin line starts at the first and adds up LCA. Where the thin line lies on the broad one, nothing of the loss is unaccounted for. The dotted line adds up gradient times movement instead, which leaves curvature out.',
    description: splits
      .map(
        ({ split, losses }) =>
          `Line chart: ${split} goes from ${number(losses[0]!)} to ${number(losses.at(-1)!)} over ${facts.intervals} intervals.`,
      )
      .join(' '),
    notes: [
      ...(facts.restricted
        ? ['LCA is allocated to some tensors only: the rest of the change is not in its sum.']
        : []),
      ...(clip === undefined ? [] : ['The sum of first order leaves the range shown.']),
      ...(facts.intervals + 1 > MOST_POINTS
        ? ['Of neighbouring checkpoints the lowest and the highest are drawn.']
        : []),
    ],
    spec: {
      ...COMMON,
      height: 300,
      data: { values: splits.flatMap(rowsOf(facts.steps)) },
      transform: [{ fold: [...KINDS], as: ['kind', 'loss'] }],
      mark: { type: 'line', clip: clip !== undefined, strokeCap: 'round', strokeJoin: 'round' },
      encoding: {
        x: { field: 'step', ...stepAxis(run) },
        y: {
          field: 'loss',
          type: 'quantitative',
          title: `loss (${facts.loss})`,
          scale: { zero: false, ...(clip === undefined ? {} : { domain: clip, nice: true }) },
        },
        color: {
          ...splitColor(run),
          legend: {
            symbolType: 'stroke',
            symbolStrokeWidth: 3,
            symbolSize: 250,
            columns: legendColumns(110),
          },
        },
        ...kindChannels(),
        tooltip: [
          { field: 'split', type: 'nominal', title: 'data set' },
          { field: 'step', type: 'quantitative', title: facts.stepUnit },
          ...KINDS.map(
            (kind) => ({ field: kind, type: 'quantitative', format: '.5~r', title: kind }) as const,
          ),
        ],
      },
    },
  }
}

/** The kinds are told apart by width, dashes and opacity, which share one legend. */
function kindChannels() {
  const of = <T>(range: readonly [T, T, T]) =>
    ({
      field: 'kind',
      type: 'nominal',
      title: null,
      sort: [...KINDS],
      // not the default for numbers, which spreads them evenly from the first to the last
      scale: { type: 'ordinal', domain: [...KINDS], range: [...range] },
      legend: { symbolType: 'stroke', symbolSize: 250, columns: legendColumns(220) },
    }) as const
  return {
    strokeWidth: of([6, 1.6, 1.6]),
    strokeDash: of([
      [1, 0],
      [1, 0],
      [2, 4],
    ]),
    opacity: of([0.28, 1, 0.85]),
  }
}

function rowsOf(steps: readonly number[]) {
  return ({ split, losses, lca, firstOrder }: SplitAnalysis) => {
    const [integral, first] = [lca, firstOrder].map((values) => cumulative(values, losses[0]))
    return linePlaces(losses, MOST_POINTS).map((t) => ({
      split,
      step: steps[t]!,
      measured: short(losses[t]!),
      'sum of LCA': short(integral![t]!),
      'sum of first order': short(first![t]!),
    }))
  }
}

/** How far the sums may leave the range of the measured loss, in such ranges, before they would flatten it. */
const MOST_BEYOND = 0.75

/** The losses to show, where the sum of first order is so far off that nothing else could be seen. */
function clipping(splits: readonly SplitAnalysis[]): [number, number] | undefined {
  const seen = splits
    .flatMap(({ losses, lca }) => [...losses, ...cumulative(lca, losses[0])])
    .filter(Number.isFinite)
  const [low, high] = [-largest(seen.map((loss) => -loss)), largest(seen)]
  const margin = MOST_BEYOND * (high - low)
  const sums = splits.flatMap(({ losses, firstOrder }) => [...cumulative(firstOrder, losses[0])])
  if (sums.every((loss) => loss >= low - margin && loss <= high + margin)) return undefined
  return [low - margin / 3, high + margin / 3]
}
