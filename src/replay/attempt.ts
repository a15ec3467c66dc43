import { Endpoints } from './endpoints.js'
import type { Endpoint } from './endpoints.js'
import { integrate } from './integrate.js'
import type { Integrator } from './integrate.js'
import { estimateNoiseFloor } from './noise.js'
import type { IntervalRecord } from './records.js'
import type { ReplayInput, ReplayOptions } from './replay-input.js'
import type { ReplayState } from './state.js'
import { BLOCK_INTERVALS } from './totals.js'
import type { WeightFiles } from './weight-files.js'
import type { Evaluator } from './workers/evaluator.js'

export interface AttemptEvents {
  /** Whether the attempt of that number has been given up: it must not give workers anything to do any more. */
  readonly isOver: (attempt: number) => boolean
  readonly onSamples: (interval: number, split: number, samples: number) => void
  readonly onEndpoint: (endpoint: Endpoint) => void
  readonly onNoise: (floor: number, evaluations: number) => void
  readonly onInterval: (record: IntervalRecord) => void
}

/** The computation of unfinished intervals with one size of the micro-batch. */
export class Attempt {
  private readonly endpoints: Endpoints
  private readonly integrator: Integrator
  private readonly intervals = new Map<number, Promise<IntervalRecord>>()
  private noise: Promise<number> | undefined

  constructor(
    private readonly input: ReplayInput,
    options: ReplayOptions,
    private readonly weights: WeightFiles,
    private readonly state: ReplayState,
    readonly number: number,
    private readonly events: AttemptEvents,
  ) {
    const { trajectory, arrays, tensors, splits } = input
    const evaluator = this.evaluator
    const { checkpoints, stepUnit } = trajectory
    const step = (checkpoint: number): string => `${stepUnit} ${checkpoints[checkpoint]!.step}`
    const common = {
      evaluator,
      weights,
      splits,
      cut: { size: state.batchSize },
      onSamples: events.onSamples,
    }
    this.endpoints = new Endpoints({
      ...common,
      last: checkpoints.length - 1,
      onEndpoint: events.onEndpoint,
      where: (checkpoint) => `at ${step(checkpoint)}`,
    })
    this.endpoints.take(state.endpoints)
    this.integrator = {
      ...common,
      arrays,
      tensors,
      rule: options.rule,
      tolerance: options.tolerance,
      maxSplits: options.maxSplits,
      restricted: tensors.length > arrays.layout.tensors.length,
      endpoint: (checkpoint) => this.endpoints.get(checkpoint),
      noiseFloor: () => this.noiseFloor(),
      where: (interval) => `between ${step(interval)} and ${step(interval + 1)}`,
    }
  }

  /** An interval's record, computed where the journal does not hold it. */
  interval(interval: number): Promise<IntervalRecord> {
    const known = this.intervals.get(interval)
    if (known !== undefined) return known
    const done = this.state.interval(interval)
    const record = done === undefined ? this.compute(interval) : Promise.resolve(done)
    this.intervals.set(interval, record)
    return record
  }

  release(index: number): void {
    this.endpoints.release(index)
    if (index % BLOCK_INTERVALS === BLOCK_INTERVALS - 1)
      for (let i = index - BLOCK_INTERVALS + 1; i <= index; i += 1) this.intervals.delete(i)
  }

  /** Estimates the noise floor while intervals are computed; that it failed is said to whoever asks for it. */
  beginNoise(): void {
    void this.noiseFloor().catch(() => undefined)
  }

  async noiseIfBegun(): Promise<void> {
    await this.noise
  }

  private async compute(interval: number): Promise<IntervalRecord> {
    const record = await integrate(this.integrator, interval)
    this.events.onInterval(record)
    return record
  }

  /** Evaluates while the attempt is not over. */
  private get evaluator(): Pick<Evaluator, 'evaluate'> {
    const { input, number, events } = this
    return {
      evaluate: (...task) =>
        events.isOver(number)
          ? Promise.reject(new Error('the attempt is over'))
          : input.evaluator.evaluate(...task),
    }
  }

  private noiseFloor(): Promise<number> {
    this.noise ??=
      this.state.noise === undefined ? this.estimateNoise() : Promise.resolve(this.state.noise.floor)
    return this.noise
  }

  private async estimateNoise(): Promise<number> {
    const { input, weights, evaluator } = this
    const { arrays, splits, lossOf } = input
    const estimated = lossOf === 'sample'
    const context = { arrays, evaluator, weights, cut: this.integrator.cut, splits }
    const floor = estimated ? await estimateNoiseFloor(context, await this.endpoints.get(0)) : 0
    this.events.onNoise(floor, estimated ? splits.length : 0)
    return floor
  }
}
