import type { Estimate, ExtremeParameter, RunAnalysis } from '../../analysis/model.js'
import { html, type Html } from '../html.js'
import { counted, grouped } from '../../counting.js'
import { number, percent } from '../text.js'
import { lcaCell, numberCell, plainTable } from './tables.js'

/** Weights, biases, normalisation, embeddings and buffers apart. */
export function rolesTable({ splits }: RunAnalysis): Html | undefined {
  const roles = splits[0]!.roles
  if (roles.length < 2) return undefined
  const columns = ['role', 'parameters', ...splits.map(({ split }) => `LCA, ${split}`), 'helping']
  const rows = roles.map(({ name, parameters, helping }, i) => ({
    name,
    cells: [
      numberCell(parameters, grouped(parameters)),
      splits.map(({ roles: of }) => lcaCell(of[i]?.total.value ?? NaN)),
      numberCell(helping, percent(helping)),
    ],
  }))
  return html`<details open>
    <summary>Weights, biases and normalisation apart</summary>
    ${plainTable('LCA by role', columns, rows)}
  </details>`
}

/** How much each layer goes back and forth. */
export function oscillationTable({ splits }: RunAnalysis): Html {
  const columns = [
    'layer',
    'movement turns',
    'gradient turns',
    'LCA turns',
    'LCA undone',
    'cosine of successive movements',
    'lag',
  ]
  const rows = splits[0]!.layers.map(({ name, oscillation: of }) => ({
    name,
    cells: [
      [of.movementFlips, of.gradientFlips, of.lcaFlips, of.undone].map((share) =>
        numberCell(share, percent(share)),
      ),
      numberCell(of.movementCosine.value, withInterval(of.movementCosine)),
      numberCell(of.lag, String(of.lag)),
    ],
  }))
  return html`<details>
    <summary>Which layers go back and forth</summary>
    <p class="explain">
      A turn is a change of sign between neighbouring intervals, counted over all parameters of a layer: 50 %
      is a random walk. Undone is LCA that the next interval takes back, as a share of all |LCA|. The cosine
      is below zero where movements go back and forth. The lag says which gradient a movement follows best:
      this interval’s (0) or that of the interval before (1). All on ${splits[0]!.split}.
    </p>
    ${plainTable('Oscillation by layer', columns, rows)}
  </details>`
}

function withInterval({ value, low, high }: Estimate): string {
  return Number.isNaN(low) ? number(value) : `${number(value)} (${number(low)} to ${number(high)})`
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
  const rows = parameters.map(({ tensor, index, unit, lca }) => ({
    name: tensor,
    cells: [numberCell(index, grouped(index)), numberCell(unit, grouped(unit)), lcaCell(lca)],
  }))
  return html`<div>
    <h4>${label}</h4>
    ${plainTable(label, ['tensor', 'index', 'unit', 'LCA'], rows)}
  </div>`
}

/** How the units of each tensor divide its LCA among them. */
export function unitsTable({ splits }: RunAnalysis): Html | undefined {
  const { tensors } = splits[0]!.units
  if (tensors.length === 0) return undefined
  const columns = ['tensor', 'units', 'dead', 'carry half', 'best unit', 'its LCA', 'worst unit', 'its LCA']
  const rows = tensors.map(({ tensor, count, dead, half, best, worst }) => ({
    name: tensor,
    cells: [
      [count, dead.length, half].map((value) => numberCell(value, grouped(value))),
      [best, worst].flatMap(({ unit, lca }) => [numberCell(unit, grouped(unit)), lcaCell(lca)]),
    ],
  }))
  return html`<details>
    <summary>Units by tensor</summary>
    <p class="explain">
      Dead units never changed the loss. As few units as stand under “carry half” did half of what all helping
      units did. All on ${splits[0]!.split}.
    </p>
    ${plainTable('Units by tensor', columns, rows)}
  </details>`
}
