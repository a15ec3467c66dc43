import type { RunAnalysis } from '../../analysis/model.js'
import { chooseLayers, drawnLayers, layerNote } from '../choose.js'
import {
  binNote,
  binParameters,
  COMMON,
  LAYER_AXIS,
  OF_CHOSEN_SPLIT,
  rowHeight,
  spreadOverBins,
  splitChoice,
  stepAxis,
  type Figure,
} from '../figure.js'
import { divergingColor, robustLimit, clipNote } from '../heat.js'
import { binsOf, inBins, shorts, sum } from '../reduce.js'
import { counted } from '../../counting.js'

const MOST_BINS = 240

/** LCA by layer and interval as colors. */
export function layerHeatmapFigure(run: RunAnalysis): Figure {
  const { facts, splits } = run
  const chosen = chooseLayers(splits[0]!.layers)
  const bins = binsOf(facts.steps, MOST_BINS)
  const rows = splits.flatMap(({ layers }, place) =>
    drawnLayers(layers, chosen).map(({ name, order, lca }) => ({
      place,
      layer: name,
      order,
      lca: shorts(inBins(bins, lca, sum)),
    })),
  )
  const cells = rows.flatMap(({ lca }) => lca.map((value) => value ?? NaN))
  const limit = robustLimit(cells)
  return {
    name: 'layer-heatmap',
    title: 'Which layer helped, and when',
    reading:
      'One row for each layer, from input to output, and one column for each interval. Blue cells lowered the loss, red cells raised it. Columns in which all layers change colour at once are steps that the whole network took too far.',
    description: `Heat map of LCA, ${counted(chosen.length, 'layer')} by ${counted(bins.from.length, 'column')}; the tables hold its values.`,
    notes: [...layerNote(splits, chosen), ...binNote(bins, 'their LCA is summed'), ...clipNote(cells, limit)],
    spec: {
      ...COMMON,
      height: { step: rowHeight(chosen.length) },
      params: [splitChoice(run), ...binParameters(bins)],
      data: { values: rows },
      transform: [OF_CHOSEN_SPLIT, ...spreadOverBins('lca', ['order'])],
      mark: { type: 'rect' },
      encoding: {
        x: { field: 'from', ...stepAxis(run) },
        x2: { field: 'to' },
        y: { ...LAYER_AXIS, scale: { padding: 0.06 } },
        color: divergingColor('lca', limit),
        tooltip: [
          { field: 'layer', type: 'nominal', title: 'layer' },
          { field: 'from', type: 'quantitative', title: `from ${facts.stepUnit}` },
          { field: 'to', type: 'quantitative', title: `to ${facts.stepUnit}` },
          { field: 'lca', type: 'quantitative', format: '+.3~g', title: 'LCA' },
        ],
      },
    },
  }
}
