import type { Colors } from 'picocolors/types.js'
import { apart } from '../analysis/curvature.js'
import type { Curvature } from '../analysis/curvature.js'
import type { LayerSummary, RunSummary, SplitSummary } from '../analysis/summary.js'
import type { Manifest } from '../tables/manifest.js'
import { deviceLine } from './device-line.js'
import type { DeviceFacts } from './device-line.js'
import { quoted } from './resume-line.js'
import { grouped } from '../counting.js'
import { printable } from '../printable.js'
import { exponent, number, percent, signed, sparkline, table } from './text.js'

export interface SummaryFacts {
  readonly summary: RunSummary
  readonly manifest: Manifest
  readonly out: string
  readonly curvature: Curvature
  /** Where the straight segments between checkpoints are doubtful. */
  readonly warnings: readonly string[]
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
    ...otherEngine(facts),
    ...batchNorm(facts),
    ...device(facts),
    ...samples(facts),
    ...messages(facts, color),
    '',
    ...losses(facts, color),
    ...warnings(facts, color),
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

/** What computed, where it was not ONNX Runtime. */
function otherEngine({ manifest: { device } }: SummaryFacts): string[] {
  const { engine, backend, version, library, provider } = (device ?? {}) as Record<string, string | undefined>
  if (engine !== 'tfjs') return []
  return [
    `  computed by TensorFlow.js ${version ?? ''} (${[backend, library, provider].filter((one) => one !== undefined).join(', ')})`,
  ]
}

/** Which loss was measured, where BatchNorm leaves a choice. */
function batchNorm({ manifest: { model, options } }: SummaryFacts): string[] {
  if (model.batchnorm === 'batch')
    return [`  BatchNorm on the statistics of each micro-batch of ${String(options.batch_size)} samples`]
  return model.batchnorm === 'running' ? ['  BatchNorm on the running statistics of each checkpoint'] : []
}

/** Where gradients were computed, when that was not the CPU. */
function device({ manifest }: SummaryFacts): string[] {
  const facts = manifest.device as DeviceFacts | undefined
  return facts?.provider === undefined || facts.provider === 'cpu' ? [] : [`  ${deviceLine(facts)}`]
}

/** What is only a sample, and where its uncertainty stands. */
function samples({ manifest }: SummaryFacts): string[] {
  return manifest.data.flatMap(({ split, samples: count, sample }) => {
    const population = (sample as { population: number } | undefined)?.population
    if (population === undefined) return []
    return [
      `  ${split}: a random sample of ${grouped(count)} of ${grouped(population)}; standard errors are in lca_se and loss_change_se`,
    ]
  })
}

/** What happened on the way that changes how results came about. */
function messages({ manifest }: SummaryFacts, color: Colors): string[] {
  const list = (manifest.result.messages as readonly string[] | undefined) ?? []
  return list.map((message) => `  ${color.yellow('note')}: ${printable(message)}`)
}

function losses({ summary, manifest }: SummaryFacts, color: Colors): string[] {
  const restricted = summary.splits.some((s) => Number.isNaN(s.largestResidual))
  const head = [
    '',
    'loss',
    'change',
    'LCA sums to',
    restricted ? 'rest' : 'largest residual',
    'converged',
    'loss over the run',
  ]
  const rows = summary.splits.map((s) => [
    s.split,
    `${number(s.lossFrom)} → ${number(s.lossTo)}`,
    signed(s.lossChange),
    signed(s.lca),
    restricted ? signed(s.lossChange - s.lca) : exponent(s.largestResidual),
    `${s.converged} of ${summary.intervals}`,
    sparkline(s.losses),
  ])
  return [...table([head, ...rows], color), verdict(summary, manifest, color)]
}

/** Whether LCA is conserved; where it is restricted to some tensors, whether its integral converged. */
function verdict({ splits, intervals }: RunSummary, { result, options }: Manifest, color: Colors): string {
  const [tolerance, worst] = [Number(options.tolerance), Number(result.largest_residual)]
  const [noiseFloor, open] = [Number(result.noise_floor), intervals - splits[0]!.converged]
  const restricted = splits.some((s) => Number.isNaN(s.largestResidual))
  if (open === 0)
    return restricted
      ? `  ${color.green('converged')}: the integral of these tensors' gradient, by its estimated error of at most ${exponent(worst)} (tolerance ${tolerance}); the others carry the rest`
      : `  ${color.green('conserved')}: in every interval the parts sum to the measured change within ${exponent(residualOf(splits))} (tolerance ${tolerance})`
  return (
    `  ${color.yellow('not converged')}: ${open} of ${intervals} intervals miss the tolerance ${tolerance}, by ${exponent(worst)} at worst; ` +
    (tolerance < noiseFloor
      ? `float32 rounding alone is about ${exponent(noiseFloor)}: raise --tolerance`
      : 'raise --max-splits or --tolerance')
  )
}

function residualOf(splits: readonly SplitSummary[]): number {
  return Math.max(...splits.map((s) => s.largestResidual))
}

/** How far checkpoints are apart, where it is more than a step, and what is doubtful about that. */
function warnings({ curvature, warnings: list, manifest }: SummaryFacts, color: Colors): string[] {
  const stride = curvature.stride.max > 1 ? [`  checkpoints are ${apart(curvature)} apart`] : []
  // intervals at the limit are told of by the verdict already
  const told = list.filter((text) => !text.includes(`parts: raise --max-splits`))
  const shown = manifest.result.converged < manifest.result.intervals ? told : list
  return [...stride, ...shown.map((text) => `  ${color.yellow('doubtful')}: ${text}`)]
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
    printable(layer.layer),
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
    `  most harm in one interval: ${printable(worst.layer)}, ${signed(lca)} on ${first!.split} from ${stepUnit} ${from} to ${to}`,
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
  return summary.splits.map(({ split, firstOrder, lossChange, lca, largestResidual }) => {
    // of some tensors only, it is to be compared with their LCA
    const change = Number.isNaN(largestResidual) ? lca : lossChange
    const off = Math.abs(firstOrder - change) / Math.abs(change)
    return `  the first-order approximation alone would say ${signed(firstOrder)} on ${split}: ${percent(off)} off`
  })
}

function tables({ manifest, ...facts }: SummaryFacts, color: Colors): string[] {
  const out = facts.out.replace(/(?<=.)[\\/]+$/, '')
  const list = manifest.tables.map(({ name, rows }) => `${name} ${grouped(rows)} rows`).join(', ')
  return [
    `  tables in ${color.bold(out)}: ${list}`,
    `  ${color.dim(`findings and pictures: retrograd report ${quoted(out)}`)}`,
    `  ${color.dim(`python: pandas.read_parquet("${out}/tensors")    duckdb: select * from '${out}/steps/*.parquet'`)}`,
  ]
}
