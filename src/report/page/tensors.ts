import type { RunAnalysis, TensorAnalysis } from '../../analysis/model.js'
import { html, type Html } from '../html.js'
import { counted, grouped } from '../../counting.js'
import { percent } from '../text.js'
import { lcaCell, numberCell, scroller } from './tables.js'

interface Column {
  readonly title: string
  /** What it holds, for the list below the table. */
  readonly meaning?: string
  readonly cell: (tensor: TensorAnalysis, place: number) => Html
}

/** Every tensor with its numbers: sorted by a click on a column's name, filtered by name and role. */
export function tensorSection(run: RunAnalysis): Html {
  const { tensors } = run.splits[0]!
  const columns = columnsOf(run)
  const roles = [...new Set(tensors.map(({ role }) => role))]
  return html`<section id="tensors" aria-labelledby="tensors-title">
    <h2 id="tensors-title">Tensors</h2>
    <p class="explain">Every weight array of the network. A click on a column’s name sorts by it.</p>
    <div class="controls">
      <label>Name <input type="search" id="tensor-name" autocomplete="off" spellcheck="false" /></label>
      ${roles.length < 2 ? undefined : roleFilter(roles)}
      <output id="tensor-count" aria-live="polite">${counted(tensors.length, 'tensor')}</output>
    </div>
    ${scroller('Table of tensors', table(tensors, columns))} ${meanings(run, columns)}
  </section>`
}

function roleFilter(roles: readonly string[]): Html {
  return html`<label
    >Role
    <select id="tensor-role" autocomplete="off">
      <option value="">all</option>
      ${roles.map((role) => html`<option>${role}</option>`)}
    </select></label
  >`
}

function table(tensors: readonly TensorAnalysis[], columns: readonly Column[]): Html {
  const heading = (title: string, text = ''): Html =>
    html`<th scope="col" class="${text}"><button type="button">${title}</button></th>`
  return html`<table id="tensor-table">
    <caption class="visually-hidden">
      Tensors; the column names are buttons that sort
    </caption>
    <thead>
      <tr>
        ${heading('tensor', 'text')} ${heading('role', 'text')} ${columns.map(({ title }) => heading(title))}
      </tr>
    </thead>
    <tbody>
      ${tensors.map(
        (tensor, place) =>
          html`<tr data-name="${tensor.name} ${tensor.layer}" data-role="${tensor.role}">
            <th scope="row" title="${tensor.name}"><bdi>${tensor.name}</bdi></th>
            <td class="text">${tensor.role}</td>
            ${columns.map(({ cell }) => cell(tensor, place))}
          </tr> `,
      )}
    </tbody>
  </table>`
}

function columnsOf({ splits, facts }: RunAnalysis): Column[] {
  const share = (title: string, meaning: string, of: (tensor: TensorAnalysis) => number): Column => ({
    title,
    meaning,
    cell: (tensor) => numberCell(of(tensor), percent(of(tensor))),
  })
  const value = (title: string, meaning: string, of: (tensor: TensorAnalysis) => number): Column => ({
    title,
    meaning,
    cell: (tensor) => numberCell(of(tensor)),
  })
  return [
    { title: 'parameters', cell: ({ parameters }) => numberCell(parameters, grouped(parameters)) },
    ...splits.map(({ split, tensors }) => ({
      title: `LCA ${split}`,
      cell: (_: TensorAnalysis, place: number) => lcaCell(tensors[place]?.total.value ?? NaN),
    })),
    {
      title: 'hurt in',
      meaning: 'intervals in which its LCA is above zero',
      cell: ({ hurtIn }) => numberCell(hurtIn, grouped(hurtIn)),
    },
    share('helping', 'share of its parameters that help, mean over intervals', ({ helping }) => helping),
    share(
      'undone',
      'LCA that the next interval takes back, as a share of all |LCA|',
      ({ oscillation }) => oscillation.undone,
    ),
    value('cosine', 'of movement and negative gradient: 1 goes straight down', ({ cosine }) => cosine),
    value('gradient norm', 'mean over intervals', ({ gradientNorm }) => gradientNorm),
    value('update norm', 'length of a movement, mean over intervals', ({ updateNorm }) => updateNorm),
    value(
      'relative update',
      'update norm over the norm of the weights',
      ({ relativeUpdate }) => relativeUpdate,
    ),
    value('path', 'sum of all update norms', ({ pathLength }) => pathLength),
    share(
      'efficiency',
      'distance between first and last checkpoint over the path: 100 % is a straight line',
      ({ efficiency }) => efficiency,
    ),
    value(
      'Synaptic Intelligence',
      'the importance that Zenke et al. (2017) sum along the path',
      ({ synapticIntelligence }) => synapticIntelligence,
    ),
    ...(facts.fisherSamples === undefined
      ? []
      : [
          value(
            'Fisher',
            `diagonal of the empirical Fisher information on ${counted(facts.fisherSamples, 'sample')}, summed`,
            ({ fisher }) => fisher,
          ),
        ]),
  ]
}

function meanings({ splits }: RunAnalysis, columns: readonly Column[]): Html {
  const explained = columns.filter(({ meaning }) => meaning !== undefined)
  return html`<details>
    <summary>What the columns mean</summary>
    <dl class="method">
      ${explained.map(
        ({ title, meaning }) =>
          html`<dt>${title}</dt>
            <dd>${meaning}</dd> `,
      )}
    </dl>
    <p>All but LCA are of ${splits[0]!.split}.</p>
  </details>`
}
