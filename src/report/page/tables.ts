import { html, type Html } from '../html.js'
import { number, signed } from '../text.js'

/** LCA in the colour of its sign, under which a reader finds what hurts. */
export function lcaCell(value: number): Html {
  const effect = value > 0 ? 'hurts' : value < 0 ? 'helps' : ''
  return html`<td data-value="${value}" class="${effect}">${signed(value)}</td>`
}

export function numberCell(value: number, text = number(value)): Html {
  return html`<td data-value="${value}">${text}</td>`
}

/** A table in a scroller of its own, which keyboards reach. */
export function scroller(label: string, table: Html): Html {
  return html`<div class="scroller" tabindex="0" role="region" aria-label="${label}">${table}</div>`
}

/**
 * A table whose first column holds names and the others numbers.
 * @param rows cells of each row, without the name
 */
export function plainTable(
  label: string,
  [first, ...columns]: readonly string[],
  rows: readonly { readonly name: string; readonly cells: readonly (Html | readonly Html[])[] }[],
): Html {
  return scroller(
    label,
    html`<table>
      <caption class="visually-hidden">
        ${label}
      </caption>
      <thead>
        <tr>
          <th scope="col" class="text">${first}</th>
          ${columns.map((column) => html`<th scope="col">${column}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ({ name, cells }) =>
            html`<tr>
              <th scope="row" title="${name}"><bdi>${name}</bdi></th>
              ${cells}
            </tr> `,
        )}
      </tbody>
    </table>`,
  )
}
