import type { RunAnalysis, SplitAnalysis } from '../../analysis/model.js'
import { chooseLayers, drawnLayers, layerNote } from '../choose.js'
import {
  COMMON,
  LAYER_AXIS,
  legendColumns,
  OF_CHOSEN_SPLIT,
  splitChoice,
  type Figure,
  type Layer,
} from '../figure.js'
import { LIGHT } from '../palette.js'
import { short } from '../reduce.js'
import { counted } from '../../counting.js'
import { number, percent, signed } from '../text.js'

const X = 'loss change (negative helps)'

/** What gradient times movement says of each layer, beside what the integral says. */
export function firstOrderFigure(run: RunAnalysis): Figure {
  const { splits } = run
  const chosen = chooseLayers(splits[0]!.layers)
  return {
    name: 'first-order',
    title: 'First order against the integral',
    reading:
      'For each layer the full dot is LCA, which follows the gradient along the whole path of a step; the ring is gradient times movement, which looks at its start only. Long lines are layers about which the first order is wrong; it changes its conclusion where the two lie on different sides of zero.',
    description: splits.map(describe).join(' '),
    notes: [...splits.map(describe), ...layerNote(splits, chosen)],
    spec: {
      ...COMMON,
      height: { step: 18 },
      params: [splitChoice(run)],
      data: { values: splits.flatMap((split, place) => rowsOf(split, place, chosen)) },
      transform: [OF_CHOSEN_SPLIT],
      layer: [zeroLine(), connection(), dots()],
    },
  }
}

const Y = { ...LAYER_AXIS, scale: { padding: 0.2 } } as const

function zeroLine(): Layer {
  return {
    data: { values: [{ zero: 0 }] },
    mark: { type: 'rule', color: LIGHT.rule },
    encoding: { x: { field: 'zero', type: 'quantitative', title: X } },
  }
}

function connection(): Layer {
  return {
    mark: { type: 'rule', color: LIGHT.faint, strokeWidth: 2 },
    encoding: {
      x: { field: 'lca', type: 'quantitative', title: X, axis: { grid: true, tickCount: 6 } },
      x2: { field: 'first' },
      y: Y,
    },
  }
}

function dots(): Layer {
  const scale = { domain: ['LCA', 'first order'] }
  return {
    transform: [
      { calculate: 'datum.lca', as: 'LCA' },
      { calculate: 'datum.first', as: 'first order' },
      { fold: ['LCA', 'first order'], as: ['kind', 'change'] },
    ],
    mark: { type: 'point', size: 60, strokeWidth: 2, opacity: 1 },
    encoding: {
      x: { field: 'change', type: 'quantitative', title: X },
      y: Y,
      stroke: {
        field: 'kind',
        type: 'nominal',
        title: null,
        scale: { ...scale, range: [LIGHT.ink, LIGHT.ink] },
        legend: { columns: legendColumns(190), symbolStrokeWidth: 2 },
      },
      fill: {
        field: 'kind',
        type: 'nominal',
        title: null,
        scale: { ...scale, range: [LIGHT.ink, LIGHT.background] },
      },
      tooltip: [
        { field: 'layer', type: 'nominal', title: 'layer' },
        { field: 'lca', type: 'quantitative', format: '+.4~r', title: 'LCA' },
        { field: 'first', type: 'quantitative', format: '+.4~r', title: 'first order' },
      ],
    },
  }
}

function rowsOf({ layers }: SplitAnalysis, place: number, chosen: readonly string[]) {
  return drawnLayers(layers, chosen).map(({ name, order, total, firstOrderTotal }) => ({
    place,
    layer: name,
    order,
    lca: short(total.value),
    first: short(firstOrderTotal),
  }))
}

function describe({ split, approximation, layers }: SplitAnalysis): string {
  const { error, relativeError, perInterval, changedSigns } = approximation
  const signs =
    changedSigns.length === 0
      ? 'no layer changes its sign'
      : `${counted(changedSigns.length, 'layer')} of ${layers.length} ${changedSigns.length === 1 ? 'changes its' : 'change their'} sign`
  return `On ${split} the sum of first order is off by ${signed(error)} (${percent(Math.abs(relativeError))} of the loss change), ${number(perInterval)} per interval in the mean; ${signs}.`
}
