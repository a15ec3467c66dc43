import type { RunAnalysis, SplitAnalysis } from '../../analysis/model.js'
import { html, type Html } from '../html.js'
import { farthest } from '../reduce.js'
import { counted, grouped } from '../../counting.js'
import { number, plain, signed } from '../text.js'

/** What run this is, in a sentence. */
export function leadSentence({ facts, splits }: RunAnalysis): Html {
  const { steps, stepUnit, intervals } = facts
  const on = splits.map(({ split }) => split).join(' and ')
  return html`<p class="lead">
    Every change of the ${facts.loss} loss on ${on} over ${counted(intervals, 'interval')}, from ${stepUnit}
    ${grouped(steps[0]!)} to ${grouped(steps.at(-1)!)}, allocated to the parameters that caused it.
  </p>`
}

/** The facts on one line; on narrow screens on several. */
export function factsLine({ facts, splits }: RunAnalysis): Html {
  return html`<dl class="facts">
    ${splits.map(lossFact)} ${residualFact(facts.tolerance, splits)}
    ${fact('converged', `${grouped(facts.converged)} of ${grouped(facts.intervals)}`, 'intervals')}
    ${fact('parameters', grouped(facts.parameters))}
  </dl>`
}

function fact(name: string, value: string, note = ''): Html {
  return html`<div>
    <dt>${name}</dt>
    <dd>${value}</dd>
    <dd><small>${note}</small></dd>
  </div>`
}

function lossFact({ split, losses }: SplitAnalysis): Html {
  const [from, to] = [losses[0]!, losses.at(-1)!]
  return fact(`${split} loss`, `${number(from)} → ${number(to)}`, signed(to - from))
}

function residualFact(tolerance: number, splits: readonly SplitAnalysis[]): Html {
  const residual = Math.abs(farthest(splits.flatMap((split) => [...split.residual])))
  return Number.isNaN(residual)
    ? fact('largest residual', 'none', 'LCA of some tensors only')
    : fact('largest residual', number(residual), `tolerance ${plain(tolerance)}`)
}

/** What to know before trusting the numbers. */
export function warningsBox({ facts: { warnings } }: RunAnalysis): Html | undefined {
  if (warnings.length === 0) return undefined
  return html`<aside class="warnings" aria-labelledby="warnings">
    <h2 id="warnings">Before you trust the numbers</h2>
    <ul>
      ${warnings.map((warning) => html`<li>${warning}</li> `)}
    </ul>
  </aside>`
}
