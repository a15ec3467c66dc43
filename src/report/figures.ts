import { FIGURES, type FigureName, type RunAnalysis } from '../analysis/model.js'
import type { AbsentFigure, Figure, MakeFigure } from './figure.js'
import { firstOrderFigure } from './figures/first-order.js'
import { helpingHistogramFigure } from './figures/helping-histogram.js'
import { helpingOverTimeFigure } from './figures/helping-over-time.js'
import { layerCumulativeFigure } from './figures/layer-cumulative.js'
import { layerHeatmapFigure } from './figures/layer-heatmap.js'
import { layersFigure } from './figures/layers.js'
import { lossFigure } from './figures/loss.js'
import { measuresFigure } from './figures/measures.js'
import { residualFigure } from './figures/residual.js'
import { synchronyFigure } from './figures/synchrony.js'
import { unitsFigure } from './figures/units.js'

const MAKERS: Readonly<Record<FigureName, MakeFigure>> = {
  loss: lossFigure,
  residual: residualFigure,
  layers: layersFigure,
  'layer-heatmap': layerHeatmapFigure,
  'layer-cumulative': layerCumulativeFigure,
  'helping-over-time': helpingOverTimeFigure,
  'helping-histogram': helpingHistogramFigure,
  synchrony: synchronyFigure,
  units: unitsFigure,
  'first-order': firstOrderFigure,
  measures: measuresFigure,
}

/** All figures of a run in the order of the report; those that it has no data for say why. */
export function figuresOf(run: RunAnalysis): (Figure | AbsentFigure)[] {
  return FIGURES.map((name) => figureOf(run, name))
}

export function figureOf(run: RunAnalysis, name: FigureName): Figure | AbsentFigure {
  return MAKERS[name](run)
}
