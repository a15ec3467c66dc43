/**
 * What docs/reproduction.md says in numbers: prints the page's tables, in Markdown, of each results folder.
 *
 *     npm run build && node dist/scripts/reproduction-tables.js RESULTS ...
 */
import { parseArgs } from 'node:util'
import { analyzeRun } from '../src/analysis/analyze.js'
import type { Estimate, GroupAnalysis, RunAnalysis, SplitAnalysis } from '../src/analysis/model.js'
import { grouped } from '../src/counting.js'
import { exponent, number, percent, signed } from '../src/cli/text.js'
import { BlockBootstrap, tendencyTest } from '../src/analysis/statistics/blocks.js'
import { openResults } from '../src/tables/read.js'

/** Stretches of a run that its course is told by. */
const STRETCHES = 5

function sum(values: Iterable<number>): number {
  return [...values].reduce((total, value) => total + value, 0)
}

function markdown(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return ['', `### ${title}`, '', line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n')
}

function conservation({ facts, splits }: RunAnalysis): string {
  const rows = splits.map(({ split, losses, lca, residual }) => [
    split,
    `${number(losses[0]!)} to ${number(losses.at(-1)!)}`,
    signed(losses.at(-1)! - losses[0]!),
    signed(sum(lca)),
    exponent(Math.max(...residual.map(Math.abs))),
    `${facts.converged} of ${facts.intervals}`,
  ])
  return markdown(
    'Conservation',
    ['data', 'loss', 'change', 'LCA sums to', 'largest residual', 'converged'],
    rows,
  )
}

function firstOrder({ splits }: RunAnalysis): string {
  const rows = splits.map(({ split, losses, firstOrder: series, approximation }) => [
    split,
    signed(losses.at(-1)! - losses[0]!),
    signed(sum(series)),
    percent(approximation.relativeError),
    number(approximation.perInterval),
    approximation.changedSigns.join(', ') || 'none',
  ])
  return markdown(
    'First order',
    ['data', 'change', 'first-order sum', 'off by', 'per interval', 'layers of another sign'],
    rows,
  )
}

/** The share that helps of the parameters that move the loss, per interval. */
function movingHelp({ helping, hurting }: Pick<SplitAnalysis, 'helping' | 'hurting'>): Float64Array {
  return helping.map((share, t) => share / (share + hurting[t]!))
}

/** First and last checkpoint of each stretch. */
function stretchesOf(intervals: number): (readonly [number, number])[] {
  const bounds = Array.from({ length: STRETCHES + 1 }, (_, i) => Math.round((i * intervals) / STRETCHES))
  return bounds.slice(1).map((end, i) => [bounds[i]!, end])
}

/** Mean and standard deviation over intervals, and the range. */
function spread(shares: Float64Array): string[] {
  const mean = sum(shares) / shares.length
  const deviation = Math.sqrt(sum(shares.map((share) => (share - mean) ** 2)) / (shares.length - 1))
  return [
    `${percent(mean)} ± ${(100 * deviation).toFixed(1)}`,
    `${percent(Math.min(...shares))} to ${percent(Math.max(...shares))}`,
  ]
}

/** The share of the parameters that help, and of those whose LCA is not zero, over the run and in stretches of it. */
function helpingShare({ facts, splits }: RunAnalysis): string {
  const { intervals, steps } = facts
  const rows = splits.flatMap(({ split, helping, hurting }) =>
    [[0, intervals] as const, ...stretchesOf(intervals)].map(([from, to]) => {
      const moving = movingHelp({ helping, hurting })
      const [mean, range] = spread(moving.subarray(from, to))
      return [
        split,
        `${steps[from]!} to ${steps[to]!}`,
        mean!,
        range!,
        spread(helping.subarray(from, to))[0]!,
      ]
    }),
  )
  return markdown(
    'Helping share per interval',
    ['data', 'steps', 'of those that move the loss', 'lowest to highest', 'of all parameters'],
    rows,
  )
}

function estimated({ value, low, high }: Estimate): string {
  return `${signed(value)} (${signed(low)} to ${signed(high)})`
}

function pValue(p: number): string {
  return p < 1e-4 ? '< 0.0001' : p.toFixed(4)
}

function signed2(value: number): string {
  return `${value < 0 ? '' : '+'}${value.toFixed(2)}`
}

type Groups = (split: SplitAnalysis) => readonly GroupAnalysis[]

/**
 * LCA over the run with its 95 % interval, each split beside the first; then of the first split. `Downhill` is the negative
 * gradient at the start of an interval.
 */
function groups(title: string, { facts, splits }: RunAnalysis, of: Groups): string {
  const [train] = splits
  const rows = of(train!).map((group, place) => [
    group.name,
    grouped(group.parameters),
    ...splits.map((split) => estimated(of(split)[place]!.total)),
    percent(group.hurtIn / facts.intervals),
    percent(group.helping / (group.helping + group.hurting)),
    percent(group.oscillation.undone),
    signed2(group.oscillation.movementCosine.value),
    ...group.oscillation.cosineAtLag.map(signed2),
  ])
  const head = [
    title,
    'parameters',
    ...splits.map(({ split }) => `LCA ${split}`),
    'hurts in',
    'helping of moving',
    'undone',
    'cosine of movement and the one before',
    'and downhill',
    'and downhill one interval before',
  ]
  return markdown(`By ${title}`, head, rows)
}

/** LCA of layers in stretches of the run. */
function layersOverTime({ facts, splits }: RunAnalysis): string {
  const [train] = splits
  const stretches = stretchesOf(facts.intervals)
  const rows = train!.layers.map(({ name, lca }) => [
    name,
    ...stretches.map(([from, to]) => signed(sum(lca.subarray(from, to)))),
  ])
  const head = stretches.map(([from, to]) => `${facts.steps[from]!} to ${facts.steps[to]!}`)
  return markdown(`Layers over time, ${train!.split}`, ['layer', ...head], rows)
}

/**
 * Layers in the second half. Over the whole run intervals are not alike: most of the learning is in the first steps,
 * and estimates that treat intervals as a sample are wide. In the second half they are.
 */
function secondHalf({ facts, splits }: RunAnalysis): string {
  const from = Math.floor(facts.intervals / 2)
  const bootstrap = new BlockBootstrap()
  const halves = splits.map(({ layers }) => layers.map(({ lca }) => lca.subarray(from)))
  const rows = splits[0]!.layers.map(({ name }, place) => [
    name,
    ...halves.flatMap((half) => {
      const lca = half[place]!
      const hurts = lca.filter((value) => value > 0).length / lca.length
      return [estimated(bootstrap.sum(lca)), percent(hurts), pValue(tendencyTest(lca))]
    }),
  ])
  const head = splits.flatMap(({ split }) => [`LCA ${split}`, 'hurts in', 'p'])
  return markdown(`Layers from step ${facts.steps[from]!} on`, ['layer', ...head], rows)
}

function concentration({ splits }: RunAnalysis): string {
  const rows = splits.map(({ split, parameters }) => [
    split,
    `${grouped(parameters.half)} (${percent(parameters.halfShare)})`,
    grouped(parameters.hurtingHalf),
    grouped(parameters.neverMoved),
    grouped(parameters.parameters),
  ])
  return markdown(
    'How few carry half',
    ['data', 'carry half of the helping', 'carry half of the hurting', 'never moved', 'parameters'],
    rows,
  )
}

function synchrony({ splits }: RunAnalysis): string {
  const rows = splits.flatMap(({ split, synchrony: found }) =>
    found === undefined
      ? []
      : [
          [
            split,
            String(found.layers.length),
            percent(found.observed),
            percent(found.expected),
            pValue(found.p),
            String(Math.max(...found.coincident)),
          ],
        ],
  )
  return markdown(
    'Synchrony',
    ['data', 'layers', 'shared peaks', 'by chance', 'p', 'most layers in one interval'],
    rows,
  )
}

function correlation(value: number): string {
  return Number.isNaN(value) ? '' : value.toFixed(2)
}

function measures({ splits }: RunAnalysis): string {
  const [train] = splits
  const tensorCount = train!.tensors.filter(({ role }) => role !== 'buffer').length
  const rows = train!.measures.map(({ measure, tensors, parameters }) => [
    measure,
    correlation(tensors),
    correlation(parameters),
  ])
  return markdown(
    'Rank correlation with LCA, train',
    ['measure', `over ${tensorCount} tensors`, 'over parameters'],
    rows,
  )
}

function findings({ findings: found }: RunAnalysis): string {
  const lines = found.map(
    ({ text, advice, p }) =>
      `- ${text}${p === undefined ? '' : ` (p ${pValue(p)})`}${advice === undefined ? '' : ` *${advice}*`}`,
  )
  return ['', '### Findings', '', ...lines].join('\n')
}

/** Several runs, a row each, on the training data. */
function sideBySide(runs: readonly RunAnalysis[]): string {
  const rows = runs.map(({ facts, splits }) => {
    const { losses, residual, approximation, parameters, synchrony: found, layers, ...train } = splits[0]!
    const moving = movingHelp(train)
    const [last] = stretchesOf(facts.intervals).slice(-1)
    return [
      facts.name,
      `${number(losses[0]!)} to ${number(losses.at(-1)!)}`,
      exponent(Math.max(...residual.map(Math.abs))),
      percent(approximation.relativeError),
      spread(moving)[0]!,
      spread(moving.subarray(last![0]))[0]!,
      percent(parameters.halfShare),
      found === undefined ? '' : `${percent(found.observed)} (${percent(found.expected)})`,
      layers.flatMap(({ name, total }) => (total.value > 0 ? [name] : [])).join(', ') || 'none',
    ]
  })
  const head = [
    'run',
    'loss',
    'largest residual',
    'first order off by',
    'helping of moving',
    'in the last fifth',
    'carry half',
    'shared peaks (chance)',
    'layers that hurt',
  ]
  return markdown('Side by side, on the training data', head, rows)
}

const { positionals } = parseArgs({ allowPositionals: true })
if (positionals.length === 0) throw new Error('usage: node dist/scripts/reproduction-tables.js RESULTS ...')
const runs: RunAnalysis[] = []
for (const dir of positionals) runs.push(await analyzeRun(await openResults(dir)))
for (const run of runs) {
  const tables = [
    conservation(run),
    firstOrder(run),
    helpingShare(run),
    groups('layer', run, ({ layers }) => layers),
    groups('role', run, ({ roles }) => roles.filter(({ name }) => name !== 'buffer')),
    layersOverTime(run),
    secondHalf(run),
    concentration(run),
    synchrony(run),
    measures(run),
    findings(run),
  ]
  console.log([`## ${run.facts.name}`, ...tables, ''].join('\n'))
}
if (runs.length > 1) console.log(sideBySide(runs))
