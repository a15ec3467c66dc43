import type { Colors } from 'picocolors/types.js'
import type { LayerSummary, RunSummary, SplitSummary } from '../analysis/summary.js'
import type { Manifest } from '../tables/manifest.js'
import { exponent, grouped, number, percent, signed, sparkline, table } from './text.js'

export interface SummaryFacts {
  readonly summary: RunSummary
  readonly manifest: Manifest
  readonly out: string
  readonly tolerance: number
  readonly noiseFloor: number
  readonly seconds: string
}

/** Longest bar, in characters; a layer's bar is its share of the largest |LCA|. */
const BAR = 24
/** Layers beyond this many are counted, not listed: those that moved the loss least. */
const LISTED_LAYERS = 24

/** The closing summary of a run, for people. */
export function renderSummary(facts: SummaryFacts, color: Colors): string {
  const { summary } = facts
  return [
    '',
    ...headline(facts, color),
    ...batchNorm(facts),
    '',
    ...losses(facts, color),
    '',
    ...shares(summary, color),
    '',
    ...layers(summary, color),
    ...worstMoment(summary),
    '',
    ...firstOrder(summary),
    '',
    ...tables(facts, color),
    '',
  ].join('\n')
}

function headline({ summary, seconds }: SummaryFacts, color: Colors): string[] {
  const { intervals, steps, stepUnit, parameters, tensors } = summary
  const run = `${intervals} intervals, ${stepUnit} ${steps[0]!} to ${steps.at(-1)!}`
  return [
    `  ${color.bold(run)} · ${grouped(parameters)} parameters in ${tensors} tensors · replayed in ${seconds}`,
  ]
}

/** Which loss was measured, where BatchNorm leaves a choice. */
function batchNorm({ manifest: { model, options } }: SummaryFacts): string[] {
  if (model.batchnorm === 'batch')
    return [`  BatchNorm on the statistics of each micro-batch of ${String(options.batch_size)} samples`]
  return model.batchnorm === 'running' ? ['  BatchNorm on the running statistics of each checkpoint'] : []
}

function losses({ summary, tolerance, noiseFloor }: SummaryFacts, color: Colors): string[] {
  const head = ['', 'loss', 'change', 'LCA sums to', 'largest residual', 'converged', 'loss over the run']
  const rows = summary.splits.map((s) => [
    s.split,
    `${number(s.lossFrom)} → ${number(s.lossTo)}`,
    signed(s.lossChange),
    signed(s.lca),
    exponent(s.largestResidual),
    `${s.converged} of ${summary.intervals}`,
    sparkline(s.losses),
  ])
  const worst = Math.max(...summary.splits.map((s) => s.largestResidual))
  const lines = table([head, ...rows], color)
  if (worst <= tolerance)
    return [
      ...lines,
      `  ${color.green('conserved')}: in every interval the parts sum to the measured change within ${exponent(worst)} (tolerance ${tolerance})`,
    ]
  const open = summary.intervals - summary.splits[0]!.converged
  return [
    ...lines,
    `  ${color.yellow('not converged')}: ${open} of ${summary.intervals} intervals miss the tolerance ${tolerance}, by ${exponent(worst)} at worst; ` +
      (tolerance < noiseFloor
        ? `float32 rounding alone is about ${exponent(noiseFloor)}: raise --tolerance`
        : 'raise --max-splits or --tolerance'),
  ]
}

function shares(summary: RunSummary, color: Colors): string[] {
  const head = ['parameters that', 'helped', 'hurt', 'did neither', '(mean over intervals)']
  const rows = summary.splits.map((s) => [
    s.split,
    percent(s.helping),
    percent(s.hurting),
    percent(s.still),
    '',
  ])
  return table([head, ...rows], color)
}

function layers(summary: RunSummary, color: Colors): string[] {
  const [first, ...others] = summary.splits
  const listed = listedLayers(first!)
  const largest = Math.max(
    ...summary.splits.flatMap((s) => s.layers.map(({ lca }) => Math.abs(lca))),
    Number.MIN_VALUE,
  )
  const head = ['layer', 'parameters', ...summary.splits.map(({ split }) => `LCA ${split}`), 'hurt in', '']
  const rows = listed.map((layer) => [
    layer.layer,
    grouped(layer.parameters),
    signed(layer.lca),
    ...others.map((s) => signed(s.layers.find((other) => other.layer === layer.layer)?.lca ?? NaN)),
    percent(layer.hurtIn / summary.intervals),
    bar(layer, largest, color),
  ])
  const hidden = first!.layers.length - listed.length
  return [
    ...table([head, ...rows], color),
    ...(hidden > 0 ? [`  and ${hidden} layers that moved the loss less`] : []),
  ]
}

/** The layer and the interval that raised the loss most, where one did. */
function worstMoment({ splits, steps, stepUnit }: RunSummary): string[] {
  const [first] = splits
  const [worst] = [...first!.layers].sort((a, b) => b.worst.lca - a.worst.lca)
  if (worst === undefined || worst.worst.lca <= 0) return []
  const { interval, lca } = worst.worst
  const [from, to] = [steps[interval]!, steps[interval + 1]!]
  return [
    `  most harm in one interval: ${worst.layer}, ${signed(lca)} on ${first!.split} from ${stepUnit} ${from} to ${to}`,
  ]
}

/** In the network's order; of very many, those that moved the loss most. */
function listedLayers({ layers }: SplitSummary): readonly LayerSummary[] {
  if (layers.length <= LISTED_LAYERS) return layers
  const ranked = [...layers].sort((a, b) => Math.abs(b.lca) - Math.abs(a.lca)).slice(0, LISTED_LAYERS)
  return layers.filter((layer) => ranked.includes(layer))
}

function bar({ lca }: LayerSummary, largest: number, color: Colors): string {
  const eighths = Math.round((Math.abs(lca) / largest) * BAR * 8)
  const text = '█'.repeat(Math.floor(eighths / 8)) + ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8]!
  if (lca < 0) return color.green(text)
  return lca > 0 ? color.red(`${text} hurt`) : ''
}

function firstOrder(summary: RunSummary): string[] {
  return summary.splits.map(({ split, firstOrder, lossChange }) => {
    const off = Math.abs(firstOrder - lossChange) / Math.abs(lossChange)
    return `  the first-order approximation alone would say ${signed(firstOrder)} on ${split}: ${percent(off)} off`
  })
}

function tables({ manifest, ...facts }: SummaryFacts, color: Colors): string[] {
  const out = facts.out.replace(/(?<=.)[\\/]+$/, '')
  const list = manifest.tables.map(({ name, rows }) => `${name} ${grouped(rows)} rows`).join(', ')
  return [
    `  tables in ${color.bold(out)}: ${list}`,
    `  ${color.dim(`python: pandas.read_parquet("${out}/tensors")    duckdb: select * from '${out}/steps/*.parquet'`)}`,
  ]
}
