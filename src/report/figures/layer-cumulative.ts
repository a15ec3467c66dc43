import type { RunAnalysis, SplitAnalysis } from '../../analysis/model.js'
import { chooseLayers, drawnLayers, layerNote, type DrawnLayer } from '../choose.js'
import {
  binParameters,
  COMMON,
  legendColumns,
  shortened,
  OF_CHOSEN_SPLIT,
  spreadOverBins,
  splitChoice,
  stepAxis,
  type Figure,
  type Layer,
} from '../figure.js'
import { LIGHT, LINES } from '../palette.js'
import { binsOf, cumulative, shorts } from '../reduce.js'
import { signed } from '../text.js'

const MOST_POINTS = 240

/** LCA of each layer added up from the start of the run. */
export function layerCumulativeFigure(run: RunAnalysis): Figure {
  const { facts, splits } = run
  const chosen = chooseLayers(splits[0]!.layers)
  const colored = coloredNames(drawnLayers(splits[0]!.layers, chosen))
  const places = binsOf(facts.steps, MOST_POINTS).starts
  const steps = places.map((t) => facts.steps[t]!)
  const rows = splits.flatMap((split, place) => rowsOf(split, place, { places, chosen, colored }))
  return {
    name: 'layer-cumulative',
    title: 'How each layer’s share adds up',
    reading:
      'Each line adds up the LCA of a layer from the start: where it falls the layer is learning, where it is flat it has stopped, where it rises it takes back what it had won. At the right end stands what the layer contributed over the run.',
    description: `Lines: ${describe(splits[0]!)}`,
    notes: [
      ...(rows.length > colored.size * splits.length
        ? [`The ${colored.size} layers that changed the loss most have colours; the others are grey.`]
        : []),
      ...layerNote(splits, chosen),
    ],
    spec: {
      ...COMMON,
      height: 320,
      params: [splitChoice(run), ...binParameters({ from: steps, to: steps })],
      data: { values: rows },
      transform: [OF_CHOSEN_SPLIT, ...spreadOverBins('sum', ['order'])],
      encoding: {
        x: { field: 'from', ...stepAxis(run) },
        y: {
          field: 'sum',
          type: 'quantitative',
          title: 'loss change since the start',
          axis: { tickCount: 6 },
        },
        detail: { field: 'layer', type: 'nominal' },
        tooltip: [
          { field: 'layer', type: 'nominal', title: 'layer' },
          { field: 'from', type: 'quantitative', title: facts.stepUnit },
          { field: 'sum', type: 'quantitative', format: '+.4~r', title: 'LCA so far' },
        ],
      },
      layer: [...(rows.every(({ colored: own }) => own) ? [] : [otherLines()]), coloredLines()],
    },
  }
}

function otherLines(): Layer {
  return {
    transform: [{ filter: '!datum.colored' }],
    mark: { type: 'line', strokeJoin: 'round', color: LIGHT.faint, strokeWidth: 1, opacity: 0.7 },
  }
}

function coloredLines(): Layer {
  return {
    transform: [{ filter: 'datum.colored' }],
    mark: { type: 'line', strokeJoin: 'round', strokeWidth: 2 },
    encoding: {
      color: {
        field: 'layer',
        type: 'nominal',
        title: null,
        sort: { field: 'order', op: 'min' },
        scale: { range: [...LINES] },
        legend: {
          symbolType: 'stroke',
          symbolStrokeWidth: 3,
          columns: legendColumns(190),
          labelExpr: shortened('24'),
          labelLimit: 180,
        },
      },
    },
  }
}

/** The layers that changed the loss most. */
function coloredNames(layers: readonly DrawnLayer[]): ReadonlySet<string> {
  const sorted = [...layers].sort((a, b) => Math.abs(b.total.value) - Math.abs(a.total.value))
  return new Set(sorted.slice(0, LINES.length).map(({ name }) => name))
}

interface Choices {
  /** The checkpoints that lines pass through. */
  readonly places: readonly number[]
  readonly chosen: readonly string[]
  readonly colored: ReadonlySet<string>
}

function rowsOf({ layers }: SplitAnalysis, place: number, { places, chosen, colored }: Choices) {
  return drawnLayers(layers, chosen).map(({ name, order, lca }) => {
    const sums = cumulative(lca)
    return {
      place,
      layer: name,
      order,
      colored: colored.has(name),
      sum: shorts(places.map((t) => sums[t]!)),
    }
  })
}

function describe({ split, layers }: SplitAnalysis): string {
  const most = [...layers].sort((a, b) => Math.abs(b.total.value) - Math.abs(a.total.value)).slice(0, 3)
  return `on ${split} ${most.map(({ name, total }) => `${name} ends at ${signed(total.value)}`).join(', ')}.`
}
