import type { Colors } from 'picocolors/types.js'
import type { ComparedLayer, Comparison } from '../analysis/compare.js'
import { printable } from '../printable.js'
import { exponent, number, percent, signed, table } from './text.js'

/** More runs than this don't stand side by side on a screen: then what they have in common does. */
const BESIDE = 6
/** Layers beyond this many are counted, not listed: those whose LCA differs least between runs. */
const LISTED_LAYERS = 30

/** Runs side by side, for people. */
export function renderComparison(comparison: Comparison, color: Colors): string {
  const { split, by, from, to, runs, stepUnit } = comparison
  const range = by === 'step' ? `${stepUnit} ${from} to ${to}` : `losses ${number(from)} to ${number(to)}`
  return [
    '',
    `  ${color.bold(`${runs.length} runs on ${printable(split)}`)}, over the ${by === 'step' ? 'steps' : 'losses'} they have in common: ${range}`,
    '',
    ...overview(comparison, color),
    '',
    ...layers(comparison, color),
    '',
    ...(runs.length > BESIDE ? [] : [...levels(comparison, color), '']),
    ...findings(comparison, color),
    '',
  ].join('\n')
}

function overview({ runs, stepUnit }: Comparison, color: Colors): string[] {
  const head = [
    'run',
    `${stepUnit}s`,
    'loss',
    'change',
    'largest residual',
    'helping',
    'half carried by (whole run)',
    '',
  ]
  const rows = runs.map(({ name, steps, losses, largestResidual, helping, halfShare }) => [
    printable(name),
    `${steps.from} → ${steps.to}`,
    `${number(losses.from)} → ${number(losses.to)}`,
    signed(losses.to - losses.from),
    exponent(largestResidual),
    Number.isNaN(helping.low)
      ? percent(helping.value)
      : `${percent(helping.value)} (${percent(helping.low)} to ${percent(helping.high)})`,
    percent(halfShare),
    '',
  ])
  return table([head, ...rows], color)
}

function layers({ runs, layers: all }: Comparison, color: Colors): string[] {
  const listed = listedLayers(all)
  const [several, many] = [runs.length > 2, runs.length > BESIDE]
  const head = [
    'LCA',
    ...(many ? ['lowest', 'highest'] : runs.map(({ name }) => printable(name))),
    ...(several ? ['mean over runs'] : []),
    '',
  ]
  const rows = listed.map(({ layer, lca, mean, p }) => [
    printable(layer),
    ...(many ? extremes(lca) : lca.map((estimate) => (estimate === undefined ? '' : signed(estimate.value)))),
    ...(several
      ? [mean === undefined ? '' : `${signed(mean.value)} (${signed(mean.low)} to ${signed(mean.high)})`]
      : []),
    mark(lca, p, color),
  ])
  const hidden = all.length - listed.length
  return [
    ...table([head, ...rows], color),
    ...(hidden > 0 ? [`  and ${hidden} layers that differ less`] : []),
    ...(several ? [`  in brackets: 95 % interval over runs`] : []),
  ]
}

function extremes(lca: ComparedLayer['lca']): string[] {
  const values = lca.flatMap((estimate) => (estimate === undefined ? [] : [estimate.value]))
  return [signed(Math.min(...values)), signed(Math.max(...values))]
}

/** What stands out in a layer's row. */
function mark(lca: ComparedLayer['lca'], p: number, color: Colors): string {
  const values = lca.flatMap((estimate) => (estimate === undefined ? [] : [estimate.value]))
  const hurting = values.filter((value) => value > 0).length
  if (hurting === 0) return ''
  if (hurting < values.length) return color.yellow(`hurts in ${hurting} of ${values.length}`)
  return color.red(p < 0.05 ? 'hurts in all, beyond chance' : 'hurts in all')
}

function listedLayers(all: readonly ComparedLayer[]): readonly ComparedLayer[] {
  if (all.length <= LISTED_LAYERS) return all
  const shown = new Set([...all].sort((a, b) => spread(b) - spread(a)).slice(0, LISTED_LAYERS))
  return all.filter((layer) => shown.has(layer))
}

/** How far apart the runs' LCA of a layer is; a run without it counts as zero. */
function spread({ lca }: ComparedLayer): number {
  const values = lca.map((estimate) => estimate?.value ?? 0)
  return Math.max(...values) - Math.min(...values)
}

function levels({ by, levels: rows, runs, stepUnit }: Comparison, color: Colors): string[] {
  const shown = by === 'step' ? 'loss' : stepUnit
  const head = [
    by,
    ...runs.map(({ name }) => `${shown} ${printable(name)}`),
    ...runs.map(({ name }) => `helping ${printable(name)}`),
    '',
  ]
  const body = rows.map(({ level, runs: at }) => [
    by === 'step' ? String(level) : number(level),
    ...at.map(({ step, loss }) => (by === 'step' ? number(loss) : String(step))),
    ...at.map(({ helping }) => (Number.isNaN(helping) ? '' : percent(helping))),
    '',
  ])
  return table([head, ...body], color)
}

function findings({ runs }: Comparison, color: Colors): string[] {
  return runs.flatMap(({ name, findings: found }) => [
    `  ${color.bold(printable(name))}, over its whole run`,
    ...(found.length === 0
      ? ['    no finding: the data carry none']
      : found.map(({ text }) => `    · ${printable(text)}`)),
  ])
}
