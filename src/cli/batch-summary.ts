import type { Colors } from 'picocolors/types.js'
import { summarizeResults } from '../analysis/summary.js'
import type { RunSummary } from '../analysis/summary.js'
import type { RunRecord, RunStatus } from '../batch/loop.js'
import { openResults } from '../tables/read.js'
import { formatSeconds } from './progress.js'
import { number, signed, table } from './text.js'

/** What came of a run, with what its tables say where it is finished. */
export interface BatchRow extends RunRecord {
  readonly intervals?: number
  /** Intervals that converged. */
  readonly converged?: number
  readonly splits?: readonly SplitRow[]
  /** The layer with the largest |LCA| on the first split. */
  readonly strongest?: { readonly layer: string; readonly lca: number }
}

interface SplitRow {
  readonly split: string
  readonly lossFrom: number
  readonly lossTo: number
  readonly lca: number
  readonly largestResidual: number
}

const STATUS: Readonly<Record<RunStatus, string>> = {
  done: 'done',
  finished: 'finished before',
  failed: 'failed',
  interrupted: 'interrupted',
  waiting: 'not begun',
}

/** Reads the tables of the finished runs of a batch. */
export async function batchRows(out: string, records: readonly RunRecord[]): Promise<BatchRow[]> {
  const rows: BatchRow[] = []
  for (const record of records)
    rows.push(isFinished(record) ? { ...record, ...(await factsOf(out, record.name)) } : record)
  return rows
}

export function isFinished({ status }: RunRecord): boolean {
  return status === 'done' || status === 'finished'
}

async function factsOf(out: string, run: string): Promise<Omit<BatchRow, keyof RunRecord>> {
  const results = await openResults(out, { run })
  const summary = await summarizeResults(results)
  const strongest = strongestLayer(summary)
  return {
    intervals: summary.intervals,
    converged: results.manifest.result.converged,
    splits: summary.splits.map(({ split, lossFrom, lossTo, lca, largestResidual }) => ({
      split,
      lossFrom,
      lossTo,
      lca,
      largestResidual,
    })),
    ...(strongest && { strongest }),
  }
}

function strongestLayer({ splits }: RunSummary): { layer: string; lca: number } | undefined {
  const [first] = [...(splits[0]?.layers ?? [])].sort((a, b) => Math.abs(b.lca) - Math.abs(a.lca))
  return first && { layer: first.layer, lca: first.lca }
}

/** The closing table across runs, for people, and the runs that failed with their reasons. */
export function renderBatch(rows: readonly BatchRow[], out: string, color: Colors): string {
  const splits = [...new Set(rows.flatMap((row) => (row.splits ?? []).map(({ split }) => split)))]
  const head = [
    'run',
    'intervals',
    ...splits.map((split) => `loss ${split}`),
    'strongest layer',
    'converged',
    'time',
    '',
  ]
  const lines = table([head, ...rows.map((row) => cells(row, splits))], color)
  const failed = rows.filter(({ status }) => status === 'failed')
  return [
    '',
    ...lines,
    ...(failed.length === 0 ? [] : ['', `  ${color.red(`${failed.length} of ${rows.length} runs failed:`)}`]),
    ...failed.map(({ name, reason = '' }) => `  ${name}: ${reason}`),
    ...(rows.some(isFinished) ? ['', ...readers(out, color)] : []),
    '',
  ].join('\n')
}

function cells(row: BatchRow, splits: readonly string[]): string[] {
  const { name, intervals, converged, strongest, seconds, status } = row
  return [
    name,
    intervals === undefined ? '' : String(intervals),
    ...splits.map((split) => lossOf(row, split)),
    strongest === undefined ? '' : `${strongest.layer} ${signed(strongest.lca)}`,
    intervals === undefined ? '' : `${converged ?? 0} of ${intervals}`,
    status === 'finished' || seconds === undefined ? '' : formatSeconds(seconds),
    STATUS[status],
  ]
}

function lossOf({ splits = [] }: BatchRow, name: string): string {
  const found = splits.find(({ split }) => split === name)
  return found === undefined ? '' : `${number(found.lossFrom)} → ${number(found.lossTo)}`
}

function readers(out: string, color: Colors): string[] {
  const dir = out.replace(/(?<=.)[\\/]+$/, '')
  return [
    `  one table of all runs in ${color.bold(dir)}, with a column run:`,
    `  ${color.dim(`python: pandas.read_parquet("${dir}/tensors")    duckdb: from read_parquet('${dir}/steps/**/*.parquet')`)}`,
  ]
}
