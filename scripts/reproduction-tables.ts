/**
 * What docs/reproduction.md says in numbers: prints the page's tables, in Markdown, of each results folder.
 *
 *     npm run build && node dist/scripts/reproduction-tables.js RESULTS ...
 */
import { parseArgs } from 'node:util'
import { analyzeRun } from '../src/analysis/analyze.js'
import type { Estimate, GroupAnalysis, RunAnalysis, SplitAnalysis } from '../src/analysis/model.js'
import { exponent, grouped, number, percent, signed } from '../src/cli/text.js'
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
  const bounds = Array.from({ length: STRETCHES + 1 }, (_, i) => Math.round((i * intervals) / STRETCHES))
  const stretches = bounds.slice(1).map((end, i) => [bounds[i]!, end] as const)
  const rows = splits.flatMap(({ split, helping, hurting }) =>
    [[0, intervals] as const, ...stretches].map(([from, to]) => {
      const moving = helping.map((share, t) => share / (share + hurting[t]!))
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

type Groups = (split: SplitAnalysis) => readonly GroupAnalysis[]

/** LCA over the run with its 95 % interval, each split beside the first. */
function groups(title: string, { facts, splits }: RunAnalysis, of: Groups): string {
  const [train, ...others] = splits
  const rows = of(train!).map((group, place) => [
    group.name,
    grouped(group.parameters),
    estimated(group.total),
    ...others.map((split) => estimated(of(split)[place]!.total)),
    percent(group.hurtIn / facts.intervals),
    pValue(group.p),
    percent(group.helping / (group.helping + group.hurting)),
    percent(group.oscillation.undone),
    signed(group.oscillation.movementCosine.value),
  ])
  const head = [
    title,
    'parameters',
    ...splits.map(({ split }) => `LCA ${split}`),
    'hurts in',
    'p',
    'helping of moving',
    'undone',
    'cosine of movements',
  ]
  return markdown(`By ${title}`, head, rows)
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
  const rows = train!.measures.map(({ measure, tensors, parameters }) => [
    measure,
    correlation(tensors),
    correlation(parameters),
  ])
  return markdown(
    'Rank correlation with LCA, train',
    ['measure', `over ${train!.tensors.length} tensors`, 'over parameters'],
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

const { positionals } = parseArgs({ allowPositionals: true })
if (positionals.length === 0) throw new Error('usage: node dist/scripts/reproduction-tables.js RESULTS ...')
for (const dir of positionals) {
  const run = await analyzeRun(await openResults(dir))
  console.log(
    [
      `## ${run.facts.name}`,
      conservation(run),
      firstOrder(run),
      helpingShare(run),
      groups('layer', run, ({ layers }) => layers),
      groups('role', run, ({ roles }) => roles),
      concentration(run),
      synchrony(run),
      measures(run),
      findings(run),
      '',
    ].join('\n'),
  )
}
