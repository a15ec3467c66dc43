import type { RunAnalysis, SplitAnalysis } from '../../analysis/model.js'
import { chooseLayers, drawnLayers, layerNote } from '../choose.js'
import { COMMON, LAYER_AXIS, legendColumns, rowHeight, type Figure, type Layer } from '../figure.js'
import { LIGHT } from '../palette.js'
import { short } from '../reduce.js'
import { counted } from '../../counting.js'
import { number, signed } from '../text.js'

/** Height of a bar at most, in pixels. */
const BAR = 10
/** How far confidence intervals may leave zero, in lengths of the longest bar: the bars are what is to be seen. */
const REACH = 2
const X = 'loss change (negative helps)'

/** LCA of each layer over the run, on every split, with its confidence interval. */
export function layersFigure(run: RunAnalysis): Figure {
  const { splits } = run
  const chosen = chooseLayers(splits[0]!.layers)
  const rows = splits.flatMap((split, place) => rowsOf(split, place, chosen))
  const reach = REACH * Math.max(...rows.map(({ lca }) => Math.abs(lca ?? 0)), Number.MIN_VALUE)
  return {
    name: 'layers',
    title: 'What each layer contributed',
    reading:
      'A bar to the left (blue) is a layer that lowered the loss over the run, a bar to the right (red) one that raised it. Thin lines are 95 % confidence intervals by block bootstrap over intervals: where one crosses zero, the data do not tell which.',
    description: `Bars: ${splits.map(describe).join(' ')}`,
    notes: [
      ...layerNote(splits, chosen),
      ...(rows.some((row) => Math.abs(row.low ?? 0) > reach || Math.abs(row.high ?? 0) > reach)
        ? [`Confidence intervals are cut at ±${number(reach)}, twice the longest bar.`]
        : []),
    ],
    spec: {
      ...COMMON,
      height: { step: rowHeight(chosen.length * splits.length, BAR, 5), for: 'offset' },
      data: { values: rows },
      encoding: {
        y: { ...LAYER_AXIS, scale: { paddingInner: 0.4, paddingOuter: 0.2 } },
        yOffset: {
          field: 'place',
          type: 'nominal',
          scale: { domain: [...splits.keys()], paddingInner: 0.1 },
        },
      },
      layer: [bars(run), ...(rows.some(({ low }) => low !== null) ? [errorBars(reach)] : [])],
    },
  }
}

function bars({ splits }: RunAnalysis): Layer {
  return {
    mark: { type: 'bar', stroke: null },
    encoding: {
      x: { field: 'lca', type: 'quantitative', stack: null, title: X, axis: { grid: true, tickCount: 6 } },
      color: {
        field: 'effect',
        type: 'nominal',
        title: null,
        scale: { domain: ['helps', 'hurts'], range: [LIGHT.helps, LIGHT.hurts] },
        legend: { symbolType: 'square', columns: legendColumns(190) },
      },
      opacity: {
        field: 'split',
        type: 'ordinal',
        title: null,
        scale: {
          type: 'ordinal',
          domain: splits.map(({ split }) => split),
          range: splits.map((_, place) => Math.max(0.25, 0.95 - 0.45 * place)),
        },
        legend:
          splits.length === 1
            ? null
            : { symbolType: 'square', symbolFillColor: LIGHT.ink, columns: legendColumns(190) },
      },
      tooltip: [
        { field: 'layer', type: 'nominal', title: 'layer' },
        { field: 'split', type: 'nominal', title: 'data set' },
        { field: 'lca', type: 'quantitative', format: '+.4~r', title: 'LCA over the run' },
        { field: 'low', type: 'quantitative', format: '+.4~r', title: '95 % from' },
        { field: 'high', type: 'quantitative', format: '+.4~r', title: '95 % to' },
        { field: 'hurtIn', type: 'quantitative', title: 'intervals in which it hurt' },
        { field: 'parameters', type: 'quantitative', format: ',', title: 'parameters' },
      ],
    },
  }
}

function errorBars(reach: number): Layer {
  return {
    transform: [
      { filter: 'isValid(datum.low) && isValid(datum.high)' },
      { calculate: `max(datum.low, ${-reach})`, as: 'from' },
      { calculate: `min(datum.high, ${reach})`, as: 'to' },
    ],
    mark: { type: 'rule', color: LIGHT.ink, strokeWidth: 1.2, strokeCap: 'round' },
    encoding: { x: { field: 'from', type: 'quantitative', title: X }, x2: { field: 'to' } },
  }
}

function rowsOf({ split, layers }: SplitAnalysis, place: number, chosen: readonly string[]) {
  return drawnLayers(layers, chosen).map(({ name, order, parameters, total, hurtIn }) => ({
    layer: name,
    order,
    split,
    place,
    lca: short(total.value),
    low: short(total.low),
    high: short(total.high),
    effect: total.value > 0 ? 'hurts' : 'helps',
    hurtIn,
    parameters,
  }))
}

function describe({ split, layers }: SplitAnalysis): string {
  const sorted = [...layers].sort((a, b) => a.total.value - b.total.value)
  const [best, worst] = [sorted[0], sorted.at(-1)]
  if (best === undefined || worst === undefined) return `no layers on ${split}.`
  const named = ({ name, total }: (typeof layers)[number]): string => `${name} with ${signed(total.value)}`
  return `of ${counted(layers.length, 'layer')} on ${split} ${named(best)} helps most, and ${named(worst)} is at the other end.`
}
