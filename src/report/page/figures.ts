import type { FigureName, RunAnalysis } from '../../analysis/model.js'
import { controlsOf, type Control } from '../compile.js'
import { isDrawn, type AbsentFigure, type Figure } from '../figure.js'
import { html, type Html } from '../html.js'
import { extremeParameters, oscillationTable, rolesTable, unitsTable } from './more-tables.js'

interface Section {
  readonly id: string
  readonly title: string
  /** In the contents. */
  readonly short: string
  readonly figures: readonly FigureName[]
  /** What follows the figures. */
  readonly more?: (run: RunAnalysis) => Html | undefined
}

/** Where each figure stands. */
export const SECTIONS: readonly Section[] = [
  { id: 'loss', title: 'The loss and its parts', short: 'Loss', figures: ['loss', 'residual'] },
  {
    id: 'layers',
    title: 'Layers',
    short: 'Layers',
    figures: ['layers', 'layer-heatmap', 'layer-cumulative'],
    more: (run) => html`${rolesTable(run)} ${oscillationTable(run)}`,
  },
  {
    id: 'parameters',
    title: 'Parameters',
    short: 'Parameters',
    figures: ['helping-over-time', 'helping-histogram'],
    more: extremeParameters,
  },
  { id: 'synchrony', title: 'Synchrony', short: 'Synchrony', figures: ['synchrony'] },
  { id: 'units', title: 'Units', short: 'Units', figures: ['units'], more: unitsTable },
  {
    id: 'measures',
    title: 'Beside other measures',
    short: 'Other measures',
    figures: ['first-order', 'measures'],
  },
]

export function figureSections(run: RunAnalysis, figures: readonly (Figure | AbsentFigure)[]): Html[] {
  const byName = new Map(figures.map((figure) => [figure.name, figure]))
  return SECTIONS.map(
    ({ id, title, figures: names, more }) =>
      html`<section id="${id}" aria-labelledby="${id}-title">
        <h2 id="${id}-title">${title}</h2>
        ${names.map((name) => figureBlock(byName.get(name)!))} ${more?.(run)}
      </section>`,
  )
}

function figureBlock(figure: Figure | AbsentFigure): Html {
  const { name, title, reading } = figure
  return html`<figure id="figure-${name}" aria-labelledby="figure-${name}-title">
    <h3 id="figure-${name}-title">${title}</h3>
    ${
      isDrawn(figure)
        ? html`<p class="reading">${reading}</p>
            ${plot(figure)}`
        : html`<p class="absent">${figure.absent}</p>`
    }
  </figure>`
}

function plot({ name, description, notes, spec }: Figure): Html {
  return html`${controls(name, controlsOf(spec))}
    <div class="plot" role="img" aria-label="${description}" data-figure="${name}">
      <div aria-hidden="true"></div>
    </div>
    ${
      notes.length === 0
        ? undefined
        : html`<figcaption>${notes.map((note) => html`<p>${note}</p>`)}</figcaption>`
    }`
}

function controls(figure: FigureName, given: readonly Control[]): Html | undefined {
  if (given.length === 0) return undefined
  return html`<div class="controls">
    ${given.map(
      ({ signal, label, options }) =>
        html`<label
          >${label}
          <select data-of="${figure}" data-signal="${signal}" autocomplete="off">
            ${options.map((option, i) => html`<option value="${i}">${option}</option>`)}
          </select></label
        >`,
    )}
  </div>`
}
