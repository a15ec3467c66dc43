import type { IntervalRecord } from './records.js'
import type { ReplayOptions } from './replay-input.js'

export interface ReplayProgress {
  /**
   * A device makes ready before its first gradient; after the last interval Fisher information takes its time, where it is
   * asked for, and so do the totals of large networks. A verification replays a few intervals.
   */
  readonly phase: 'replaying' | 'Fisher information' | 'writing totals' | 'verifying' | `warming up ${string}`
  readonly intervals: number
  /** Intervals done, with the shares of those on their way as a fraction. */
  readonly done: number
  /** Loss of the first split at the end of the last finished interval, and that interval's error. */
  readonly loss: number
  readonly residual: number
}

/** An interval on its way never counts as done before it is: splits may still double. */
const MOST_OF_AN_INTERVAL = 0.99

/** Evaluations that an interval takes on each split, when it is not refined. */
const USUAL_EVALUATIONS = 2

/** Tells how far a replay is. */
export class Progress {
  private readonly shares = new Map<number, number>()
  private count = 0
  private loss = NaN
  private residual = NaN
  /** The device that is not ready yet. */
  private warmUp: string | undefined
  private readonly onProgress: (progress: ReplayProgress) => void

  constructor(
    private readonly splits: readonly { readonly samples: number }[],
    private readonly intervals: number,
    { warmUp, onProgress = () => undefined }: Pick<ReplayOptions, 'warmUp' | 'onProgress'> = {},
  ) {
    this.warmUp = warmUp
    this.onProgress = onProgress
  }

  /** Some samples of an evaluation for an interval are done. */
  samples(interval: number, split: number, samples: number): void {
    const share = samples / this.splits[split]!.samples / (USUAL_EVALUATIONS * this.splits.length)
    this.warmUp = undefined
    this.shares.set(interval, (this.shares.get(interval) ?? 0) + share)
    this.report('replaying', this.done())
  }

  finished(count: number, record: IntervalRecord | undefined): void {
    this.count = count
    if (record !== undefined) {
      this.shares.delete(record.interval)
      this.loss = record.losses[0]![1]
      this.residual = record.error
    }
    this.report('replaying', this.done())
  }

  /** What follows the last interval counts as its end. */
  after(phase: 'Fisher information' | 'writing totals', share: number): void {
    this.report(phase, this.intervals - 1 + share)
  }

  private done(): number {
    let done = this.count
    for (const share of this.shares.values()) done += Math.min(MOST_OF_AN_INTERVAL, share)
    return Math.min(done, this.intervals)
  }

  private report(phase: ReplayProgress['phase'], done: number): void {
    const { intervals, loss, residual } = this
    const shown = this.warmUp === undefined ? phase : (`warming up ${this.warmUp}` as const)
    this.onProgress({ phase: shown, intervals, done, loss, residual })
  }
}
