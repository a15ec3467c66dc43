import type { Colors } from 'picocolors/types.js'
import { printable } from '../printable.js'
import type {
  FineDistance,
  IntervalVerification,
  Pair,
  SplitDistance,
  Verdict,
  Verification,
} from '../verify/model.js'
import { exponent, number, percent, table } from './text.js'

/** Contradictions beyond this many are counted. */
const LISTED = 8

const VERDICTS: Readonly<Record<Verdict, string>> = {
  agrees: 'agrees',
  imprecise: 'imprecise',
  differs: 'DIFFERS',
}

/** What a verification found, for people. */
export function renderVerification(found: Verification, color: Colors): string {
  return [
    '',
    ...headline(found, color),
    '',
    ...table([head(found), ...found.intervals.flatMap(rowsOf)], color),
    '',
    ...fine(found, color),
    ...farthest(found),
    ...contradictions(found, color),
    ...conclusion(found, color),
    '',
  ].join('\n')
}

function headline({ results, run, intervals, of, computed }: Verification, color: Colors): string[] {
  const name = run === undefined ? results : `${results}, ${run}`
  const where = `${computed.engine} on ${computed.device}`
  return [
    `  ${color.bold(printable(name))}: ${intervals.length} of ${of} intervals computed again by ${where}` +
      (computed.sameAsResults ? ', as the results were, in finer parts' : ', in finer parts'),
  ]
}

function head({ stepUnit }: Verification): string[] {
  return [
    stepUnit,
    'split',
    'parts',
    'loss off by',
    'same parts',
    'LCA',
    'again',
    'tensors off by',
    'of what moved',
    'residual',
    'again',
    'helping',
    'again',
    '',
  ]
}

function rowsOf(one: IntervalVerification): string[][] {
  const { stepFrom, stepTo, parts, splits, verdict, reproduced } = one
  return splits.map((split, i) => [
    `${stepFrom} → ${stepTo}`,
    printable(split.split),
    `${parts.stored} → ${parts.recomputed}`,
    lossOff(split),
    i === 0 ? size(reproduced) : '',
    number(split.lca.stored),
    number(split.lca.recomputed),
    exponent(split.tensors),
    split.moved > 0 ? exponent(split.tensors / split.moved) : '',
    size(split.residual.stored),
    size(split.residual.recomputed),
    percent(split.helping.stored),
    percent(split.helping.recomputed),
    i === 0 ? VERDICTS[verdict] : '',
  ])
}

/** The larger difference of both losses. */
function lossOff({ lossFrom, lossTo, lossUlps }: SplitDistance): string {
  const most = Math.max(difference(lossFrom), difference(lossTo))
  return most === 0
    ? '0'
    : `${exponent(most)} (${lossUlps < 10 ? lossUlps.toFixed(1) : lossUlps.toFixed(0)} ulp)`
}

/** An error's size; nothing where there is none, `0` where both are equal in every bit. */
function size(value: number): string {
  if (Number.isNaN(value)) return ''
  return value === 0 ? '0' : exponent(value)
}

function difference({ stored, recomputed }: Pair): number {
  return Math.abs(stored - recomputed)
}

/** How single units and parameters compare, over all intervals and splits. */
function fine({ intervals }: Verification, color: Colors): string[] {
  const all = intervals.flatMap(({ splits }) => splits)
  const row = (what: string, tables: readonly FineDistance[]): string[][] => {
    if (tables.length === 0) return []
    const correlations = tables.map(({ correlation }) => correlation).filter((value) => !Number.isNaN(value))
    const largest = tables
      .flatMap((one) => (one.largest === undefined ? [] : [one.largest]))
      .reduce<FineDistance['largest']>(
        (a, b) => (a === undefined || difference(b) > difference(a) ? b : a),
        undefined,
      )
    return [
      [
        what,
        correlations.length === 0 ? '' : Math.min(...correlations).toFixed(6),
        largest === undefined ? '0' : exponent(difference(largest)),
        largest === undefined ? '' : `${printable(largest.tensor)}, ${largest.index}`,
      ],
    ]
  }
  const rows = [
    ...row(
      'units',
      all.flatMap(({ units }) => (units ? [units] : [])),
    ),
    ...row(
      'parameters',
      all.flatMap(({ parameters }) => (parameters ? [parameters] : [])),
    ),
  ]
  return rows.length === 0
    ? []
    : [...table([['LCA of single', 'lowest correlation', 'largest difference', 'of'], ...rows], color), '']
}

/** For every interval beyond the tolerance, what is farthest off, and what the run's own parts give. */
function farthest({ intervals, stepUnit }: Verification): string[] {
  const lines = intervals
    .filter(({ verdict }) => verdict !== 'agrees')
    .map(({ interval, stepFrom, stepTo, where, distance, reproduced }) => {
      const own = Number.isNaN(reproduced) ? '' : `; in the run's own parts by ${size(reproduced)}`
      return `  interval ${interval} (${stepUnit} ${stepFrom} to ${stepTo}): ${printable(where)} is off by ${exponent(distance)}${own}`
    })
  return lines.length === 0 ? [] : [...lines, '']
}

function contradictions({ contradictions: all }: Verification, color: Colors): string[] {
  if (all.length === 0) return ['  sums of tensors, residuals and neighbouring losses hold in all intervals']
  const listed = all
    .slice(0, LISTED)
    .map(
      ({ interval, split, what }) =>
        `  ${color.red('damaged')}: interval ${interval} on ${printable(split)}: ${what}`,
    )
  return all.length > LISTED ? [...listed, `  and ${all.length - LISTED} more`] : listed
}

function conclusion({ verdict, tolerance, intervals }: Verification, color: Colors): string[] {
  const largest = exponent(Math.max(...intervals.map(({ distance }) => distance)))
  const bound = `the tolerance ${tolerance}`
  switch (verdict) {
    case 'agrees':
      return [`  ${color.green('agrees')}: nothing is farther off than ${largest}, within ${bound}`]
    case 'imprecise':
      return [
        `  ${color.yellow('imprecise')}: off by up to ${largest}, beyond ${bound}; the run's own parts give its losses and tensors again, so a run with a smaller --tolerance or more --max-splits is closer`,
      ]
    case 'differs':
      return [`  ${color.red('differs')}: off by up to ${largest}; the tolerance is ${tolerance}`]
  }
}
