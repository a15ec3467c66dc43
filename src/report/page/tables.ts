import type { ExtremeParameter, GroupAnalysis, RunAnalysis } from '../../analysis/model.js'
import { html, type Html } from '../html.js'
import { counted, grouped, number, percent, signed } from '../text.js'

/** LCA in the colour of its sign, under which a reader finds what hurts. */
export function lcaCell(value: number): Html {
  const effect = value > 0 ? 'hurts' : value < 0 ? 'helps' : ''
  return html`<td data-value="${value}" class="${effect}">${signed(value)}</td>`
}

export function numberCell(value: number, text = number(value)): Html {
  return html`<td data-value="${value}">${text}</td>`
}

/** A table in a scroller of its own, which keyboards reach. */
export function scroller(label: string, table: Html, tall = ''): Html {
  return html`<div class="scroller ${tall}" tabindex="0" role="region" aria-label="${label}">${table}</div>`
}

/** Weights, biases, normalisation, embeddings and buffers apart. */
export function rolesTable({ splits }: RunAnalysis): Html | undefined {
  const roles = splits[0]!.roles
  if (roles.length < 2) return undefined
  const row = (role: GroupAnalysis, i: number): Html =>
    html`<tr>
      <th scope="row">${role.name}</th>
      ${numberCell(role.parameters, grouped(role.parameters))}
      ${splits.map(({ roles: of }) => lcaCell(of[i]?.total.value ?? NaN))}
      ${numberCell(role.helping, percent(role.helping))}
    </tr> `
  const label = 'LCA by role'
  return html`<details open>
    <summary>Weights, biases and normalisation apart</summary>
    ${scroller(
      label,
      html`<table>
        <caption class="visually-hidden">
          ${label}
        </caption>
        <thead>
          <tr>
            <th scope="col" class="text">role</th>
            <th scope="col">parameters</th>
            ${splits.map(({ split }) => html`<th scope="col">LCA, ${split}</th>`)}
            <th scope="col">helping</th>
          </tr>
        </thead>
        <tbody>
          ${roles.map(row)}
        </tbody>
      </table>`,
    )}
  </details>`
}

/** How much each layer goes back and forth. */
export function oscillationTable({ splits }: RunAnalysis): Html {
  const label = 'Oscillation by layer'
  const columns = [
    'sign changes of movement',
    'of gradient',
    'of LCA',
    'LCA undone',
    'cosine of successive movements',
    'lag',
  ]
  const row = ({ name, oscillation: of }: GroupAnalysis): Html =>
    html`<tr>
      <th scope="row">${name}</th>
      ${[of.movementFlips, of.gradientFlips, of.lcaFlips, of.undone].map((share) => numberCell(share, percent(share)))}
      ${numberCell(of.movementCosine.value)} ${numberCell(of.lag, String(of.lag))}
    </tr> `
  return html`<details>
    <summary>Which layers go back and forth</summary>
    <p class="explain">
      Sign changes are the share of neighbouring intervals in which a parameter turns round, mean over the
      parameters: 50 % is a random walk. Undone is LCA that the next interval takes back. The lag says which
      gradient a movement follows best: this interval’s (0) or that of the interval before (1).
    </p>
    ${scroller(
      label,
      html`<table>
        <caption class="visually-hidden">
          ${label}
        </caption>
        <thead>
          <tr>
            <th scope="col" class="text">layer</th>
            ${columns.map((column) => html`<th scope="col">${column}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${splits[0]!.layers.map(row)}
        </tbody>
      </table>`,
      'tall',
    )}
  </details>`
}

/** How few parameters carry the run, and which ones. */
export function extremeParameters({ splits }: RunAnalysis): Html | undefined {
  const { split, parameters } = splits[0]!
  const { best, worst, half, halfShare } = parameters
  if (best.length === 0 && worst.length === 0) return undefined
  return html`<p>
      Half of all that helped on ${split} was done by ${counted(half, 'parameter')}, ${percent(halfShare)} of
      all.
    </p>
    <details>
      <summary>Best and worst parameters</summary>
      <div class="pair">
        ${extremes('Parameters that helped most', best)} ${extremes('Parameters that hurt most', worst)}
      </div>
    </details>`
}

function extremes(label: string, parameters: readonly ExtremeParameter[]): Html {
  return scroller(
    label,
    html`<table>
      <caption class="visually-hidden">
        ${label}
      </caption>
      <thead>
        <tr>
          <th scope="col" class="text">tensor</th>
          <th scope="col">index</th>
          <th scope="col">unit</th>
          <th scope="col">LCA</th>
        </tr>
      </thead>
      <tbody>
        ${parameters.map(
          ({ tensor, index, unit, lca }) =>
            html`<tr>
              <th scope="row">${tensor}</th>
              ${numberCell(index, grouped(index))} ${numberCell(unit, grouped(unit))} ${lcaCell(lca)}
            </tr> `,
        )}
      </tbody>
    </table>`,
  )
}
