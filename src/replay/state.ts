import type { TableEntry } from '../tables/manifest.js'
import type { Endpoint } from './endpoints.js'
import type {
  BatchRecord,
  EndpointRecord,
  FisherRecord,
  IntervalRecord,
  NoiseRecord,
  ReplayRecord,
} from './records.js'
import { fileNames } from './store/store.js'
import { BLOCK_INTERVALS } from './totals.js'

/** Half-open. */
export interface Range {
  readonly from: number
  readonly to: number
}

export interface Outcome {
  /** Finished intervals. */
  readonly intervals: number
  readonly converged: number
  /** The largest error that was held against the tolerance: |residual|, or what the rule estimates. */
  readonly largestError: number
  /** The largest estimated error of a tensor's LCA. */
  readonly largestEstimate: number
  /** Gradients computed, those for the noise floor included. */
  readonly evaluations: number
  /** Samples of a micro-batch, at the end where it was halved. */
  readonly batchSize: number
  /** See estimateNoiseFloor; in units of the loss, 0 where it can't be estimated or was not needed. */
  readonly noiseFloor: number
  /** Identities of the checkpoints that were read, by index. */
  readonly fingerprints: ReadonlyMap<number, string>
  /** What happened on the way that changes how results came about. */
  readonly messages: readonly string[]
  readonly interrupted: boolean
}

/** What is finished of a replay: the sum of its journal's records. */
export class ReplayState {
  readonly fingerprints = new Map<number, string>()
  readonly messages: string[] = []
  advanced: number
  tables: readonly TableEntry[] = []
  batchSize: number
  /** Whether the size was chosen by a device's memory, by this process or an earlier one. */
  sizeChosen = false
  /** The first unfinished interval when the micro-batch was halved last. */
  halvedAt: number | undefined
  noise: NoiseRecord | undefined
  /** By split. */
  readonly fisher = new Map<number, FisherRecord>()
  lastRecord: IntervalRecord | undefined
  private readonly known = new Map<number, Endpoint>()
  private readonly intervals = new Map<number, IntervalRecord>()
  private converged = 0
  private largestError = 0
  private largestEstimate = 0
  private evaluations = 0
  private finished = 0

  constructor(
    records: readonly ReplayRecord[],
    private readonly start: { readonly from: number; readonly batchSize: number },
  ) {
    this.advanced = start.from
    this.batchSize = start.batchSize
    for (const record of records) this.take(record)
    this.release()
  }

  get endpoints(): Iterable<Endpoint> {
    return this.known.values()
  }

  take(record: ReplayRecord): void {
    if (record.kind === 'endpoint') this.takeEndpoint(record)
    else if (record.kind === 'interval') this.takeInterval(record)
    else if (record.kind === 'noise') this.noise = record
    else if (record.kind === 'fisher') this.fisher.set(record.split, record)
    else if (record.kind === 'batch size') this.takeBatch(record)
    else if (record.kind === 'advance') {
      this.advanced = record.intervals
      this.tables = record.tables
    }
  }

  interval(index: number): IntervalRecord | undefined {
    return this.intervals.get(index)
  }

  /** The first interval that is not finished, or the end; a part's first one looks back on the one before it. */
  unfinished({ from, to }: Range): number {
    let index = this.advanced
    if (index === from && from > 0 && !this.intervals.has(from - 1)) return from
    while (index < to && this.intervals.has(index)) index += 1
    return index
  }

  /** Intervals still to be computed; a part of a run begins with the one before it, which its first one looks back on. */
  *pending({ from, to }: Range): Generator<number> {
    const first = this.advanced === from && from > 0 ? from - 1 : this.advanced
    for (let index = first; index < to; index += 1) if (!this.intervals.has(index)) yield index
  }

  finishedIntervals(): Iterable<number> {
    return this.intervals.keys()
  }

  finishedIn({ from }: Range): number {
    let count = this.advanced - from
    for (const index of this.intervals.keys()) if (index >= this.advanced) count += 1
    return count
  }

  /** Forgets intervals that nothing looks back on: those of blocks that are done, but for the last. */
  release(): void {
    const before = Math.min(this.advanced - (this.advanced % BLOCK_INTERVALS), this.advanced - 1)
    for (const index of this.intervals.keys()) if (index < before) this.intervals.delete(index)
    for (const checkpoint of this.known.keys())
      if (checkpoint < this.advanced - 1) this.known.delete(checkpoint)
  }

  outcome(interrupted: boolean): Outcome {
    const { converged, largestError, largestEstimate, evaluations, noise, fingerprints, messages, finished } =
      this
    return {
      intervals: finished,
      converged,
      largestError,
      largestEstimate,
      evaluations: evaluations + (noise?.evaluations ?? 0),
      batchSize: this.batchSize,
      noiseFloor: noise?.floor ?? 0,
      fingerprints,
      messages,
      interrupted,
    }
  }

  private takeEndpoint(endpoint: EndpointRecord): void {
    this.known.set(endpoint.checkpoint, endpoint)
    this.fingerprints.set(endpoint.checkpoint, endpoint.fingerprint)
  }

  private takeInterval(record: IntervalRecord): void {
    this.intervals.set(record.interval, record)
    this.lastRecord = record
    if (record.interval < this.start.from) return
    this.finished += 1
    this.converged += record.converged ? 1 : 0
    this.largestError = Math.max(this.largestError, record.error)
    this.largestEstimate = Math.max(this.largestEstimate, record.estimate)
    this.evaluations += record.evaluations.reduce((sum, count) => sum + count, 0)
  }

  private takeBatch({ size, from, chosen, message }: BatchRecord): void {
    this.batchSize = size
    if (chosen === true) this.sizeChosen = true
    else this.halvedAt = from
    this.messages.push(message)
  }
}

/** Names of the files that what is finished rests on. */
export function keptFiles(state: ReplayState, from: number, splits: number): Set<string> {
  const names = new Set(['journal'])
  const last = Math.max(0, state.advanced - 1)
  for (const { checkpoint } of state.endpoints) {
    if (checkpoint < last) continue
    names.add(fileNames.weights(checkpoint))
    for (let split = 0; split < splits; split += 1) names.add(fileNames.gradient(checkpoint, split))
  }
  for (let split = 0; split < splits; split += 1) {
    if (state.advanced > from) names.add(fileNames.lca(last, split))
    for (const interval of state.finishedIntervals())
      if (interval >= last) names.add(fileNames.lca(interval, split))
  }
  for (const [split, { blocks }] of state.fisher) names.add(fileNames.fisher(split, blocks))
  return names
}
