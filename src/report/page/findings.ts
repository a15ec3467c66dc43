import type { Finding } from '../../analysis/model.js'
import type { AbsentFigure, Figure } from '../figure.js'
import { html, type Html } from '../html.js'
import { pValue } from '../text.js'

/** What the data say, most important first, or that they say nothing. */
export function findingsSection(
  findings: readonly Finding[],
  figures: readonly (Figure | AbsentFigure)[],
): Html {
  return html`<section id="findings" aria-labelledby="findings-title">
    <h2 id="findings-title">What the data say</h2>
    ${findings.length === 0 ? NONE : list(findings, figures)}
  </section>`
}

const NONE = html`<p class="absent">
  No finding: nothing that was looked for stands out from chance in this run. The figures below show what
  there is.
</p>`

function list(findings: readonly Finding[], figures: readonly (Figure | AbsentFigure)[]): Html {
  const titles = new Map(figures.map(({ name, title }) => [name, title]))
  const entry = (finding: Finding): Html => {
    const { text, advice, p, split, figure } = finding
    return html`<li>
      <p class="claim">${text}</p>
      ${advice === undefined ? undefined : html`<p class="advice"><b>What to do.</b> ${advice}</p>`}
      <p class="meta">
        <span>${p === undefined ? 'measured, not estimated' : pValue(p)}</span
        >${split === undefined ? undefined : html`<span>on ${split}</span>`}<a href="#figure-${figure}"
          >${titles.get(figure)}</a
        >
      </p>
    </li> `
  }
  return html`<ol class="findings">
    ${findings.map(entry)}
  </ol>`
}
