import type { Colors } from 'picocolors/types.js'
import type { Estimate } from '../batch/estimate.js'
import { formatSeconds } from './progress.js'
import { grouped } from '../counting.js'
import { byteSize, table } from './text.js'

/** What a run would take, or why it can't be replayed. */
export interface EstimateRow {
  readonly name: string
  /** Where its checkpoints lie. */
  readonly path: string
  readonly estimate?: Estimate
  readonly reason?: string
}

/** The sums over runs; memory is that of the largest, since they go one after another. */
export function totalOf(rows: readonly EstimateRow[]): Estimate {
  const all = rows.flatMap(({ estimate }) => (estimate === undefined ? [] : [estimate]))
  const sum = (count: (one: Estimate) => number): number => all.reduce((total, one) => total + count(one), 0)
  const timed = all.every(({ seconds }) => seconds !== undefined)
  return {
    checkpoints: sum((one) => one.checkpoints),
    intervals: sum((one) => one.intervals),
    parameters: sum((one) => one.parameters),
    evaluations: sum((one) => one.evaluations),
    ...(timed && { seconds: sum(({ seconds = 0 }) => seconds) }),
    memory: Math.max(0, ...all.map(({ memory }) => memory)),
    bytes: sum((one) => one.bytes),
  }
}

/** What a batch would take, for people. */
export function renderEstimates(rows: readonly EstimateRow[], color: Colors): string {
  const head = [
    'run',
    'checkpoints',
    'intervals',
    'gradients from',
    'time from',
    'memory about',
    'results about',
    '',
  ]
  const lines = rows.map(({ name, estimate, reason }) =>
    estimate === undefined
      ? [name, '', '', '', '', '', '', `can't be replayed: ${reason ?? ''}`]
      : cells(name, estimate),
  )
  return [
    '',
    ...table([head, ...lines, cells('total', totalOf(rows))], color),
    '',
    '  from: as the rule begins; intervals that do not converge are cut finer',
    '  nothing was written',
    '',
  ].join('\n')
}

function cells(name: string, estimate: Estimate): string[] {
  const { checkpoints, intervals, evaluations, seconds, memory, bytes } = estimate
  return [
    name,
    grouped(checkpoints),
    grouped(intervals),
    grouped(evaluations),
    seconds === undefined ? 'unknown' : formatSeconds(seconds),
    byteSize(memory),
    byteSize(bytes),
    '',
  ]
}
