import type { Engine, SplitData } from '../engines/engine.js'
import type { Granularity } from '../tables/schema.js'
import type { Trajectory } from '../trajectory/checkpoint.js'
import { integrate, evaluate } from './interval.js'
import type { Integral, Integrator, Segment } from './interval.js'
import { estimateNoiseFloor } from './noise.js'
import { eachTensor, parameterRow, stepRow, tensorRow, totalRows, unitRows } from './rows.js'
import type { IntervalFacts, TableSink } from './rows.js'
import { gradientSet, SplitState } from './split-state.js'
import type { TensorStatistics } from './statistics.js'
import type { LcaTensor } from './tensors.js'
import { AllocationTotals, BLOCK_INTERVALS, MovementTotals } from './totals.js'
import { Point, readWeights } from './weights.js'
import type { Weights } from './weights.js'

export interface ReplayInput {
  readonly trajectory: Trajectory
  readonly tensors: readonly LcaTensor[]
  readonly engine: Engine
  /** The data sets by name, in the order of the tables' rows. */
  readonly splits: ReadonlyMap<string, SplitData>
  /**
   * What one value of the loss belongs to. A loss of a whole micro-batch may depend on how samples are cut, so that
   * rounding can't be told by cutting them differently.
   */
  readonly lossOf: 'sample' | 'micro-batch'
}

export interface ReplayOptions {
  /** Largest |residual| of a converged interval, in units of the loss. */
  readonly tolerance: number
  /** Largest number of splits of an interval, a power of two from 2. */
  readonly maxSplits: number
  readonly batchSize: number
  readonly granularity: Granularity
  /** Stops the replay after the last finished interval. */
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: ReplayProgress) => void
}

export interface ReplayProgress {
  /** The totals of large networks take a while to write, after the last interval. */
  readonly phase: 'replaying' | 'writing totals'
  readonly intervals: number
  /** Intervals done, with the share of the current one as a fraction. */
  readonly done: number
  /** Last known loss of the first split, and the largest |residual| of the last finished interval. */
  readonly loss: number
  readonly residual: number
}

export interface ReplayOutcome {
  /** Intervals whose rows were written. */
  readonly intervals: number
  readonly converged: number
  /** The largest |residual| over splits and intervals. */
  readonly largestResidual: number
  /** Gradients computed, those for the noise floor included. */
  readonly evaluations: number
  /** See estimateNoiseFloor; in units of the loss, 0 where it can't be estimated. */
  readonly noiseFloor: number
  readonly interrupted: boolean
}

/**
 * Replays a trajectory: for every interval integrates the gradient along the segment between its checkpoints, on every
 * split, and hands the rows of all tables to `sink`, in order. Memory is a fixed number of copies of the parameters,
 * whatever the length of the trajectory. An aborted signal ends it after the last finished interval, whose rows and
 * totals are complete.
 *
 * @throws CheckpointError when a checkpoint can't be read or is not finite, or the loss overflows
 */
export async function replay(
  input: ReplayInput,
  options: ReplayOptions,
  sink: TableSink,
): Promise<ReplayOutcome> {
  return new Replay(input, options, sink).run()
}

class Replay {
  private readonly states: readonly SplitState[]
  private readonly integrator: Integrator
  private readonly allocations: ReadonlyMap<string, AllocationTotals>[]
  private readonly movements: ReadonlyMap<string, MovementTotals>
  private readonly intervals: number
  private noiseFloor = 0
  private evaluations = 0
  private largestResidual = 0
  private lastResidual = NaN
  private converged = 0
  private interval = 0
  private work = 0

  constructor(
    private readonly input: ReplayInput,
    private readonly options: ReplayOptions,
    private readonly sink: TableSink,
  ) {
    const { tensors, engine, splits, trajectory } = input
    this.states = [...splits].map(([name, data]) => new SplitState(name, data, tensors))
    this.allocations = this.states.map(
      () => new Map(tensors.map(({ name, size }) => [name, new AllocationTotals(size)])),
    )
    this.movements = new Map(tensors.map(({ name, size }) => [name, new MovementTotals(size)]))
    this.intervals = trajectory.checkpoints.length - 1
    this.integrator = {
      engine,
      cut: { size: options.batchSize },
      tensors,
      point: new Point(tensors, engine.precision),
      scratch: gradientSet(tensors),
      tolerance: options.tolerance,
      maxSplits: options.maxSplits,
      noiseFloor: 0,
      onWork: (evaluations) => {
        this.progress(evaluations)
      },
    }
  }

  async run(): Promise<ReplayOutcome> {
    const interrupted = await this.allIntervals()
    if (this.interval % BLOCK_INTERVALS !== 0) this.endBlock()
    this.writeTotals()
    const { converged, largestResidual, evaluations, noiseFloor } = this
    return { intervals: this.interval, converged, largestResidual, evaluations, noiseFloor, interrupted }
  }

  /** Returns whether the signal ended the replay early. */
  private async allIntervals(): Promise<boolean> {
    const { checkpoints } = this.input.trajectory
    try {
      let from = await readWeights(checkpoints[0]!, this.input.tensors)
      for (; this.interval < this.intervals; this.interval += 1) {
        const to = await readWeights(checkpoints[this.interval + 1]!, this.input.tensors)
        await this.oneInterval(from, to)
        from = to
        if ((this.interval + 1) % BLOCK_INTERVALS === 0) this.endBlock()
      }
      return false
    } catch (error) {
      if (this.options.signal?.aborted === true && error === this.options.signal.reason) return true
      throw error
    }
  }

  private async oneInterval(from: Weights, to: Weights): Promise<void> {
    const segment: Segment = { from, to, where: this.where() }
    this.work = 0
    if (this.interval === 0) await this.firstPoint(segment)
    const integral = await integrate(
      { ...this.integrator, noiseFloor: this.noiseFloor },
      this.states,
      segment,
    )
    this.record(segment, integral)
    for (const state of this.states) {
      this.evaluations += state.evaluations
      state.advance()
    }
  }

  /** The gradient at the start of the trajectory, and what rounding does there. */
  private async firstPoint(segment: Segment): Promise<void> {
    for (const state of this.states)
      state.start.loss = await evaluate(this.integrator, state, segment, 0, state.start.gradient)
    if (this.input.lossOf === 'micro-batch') return
    this.noiseFloor = await estimateNoiseFloor(this.integrator, this.states, segment)
    this.evaluations += this.states.length
  }

  /** Writes the rows of an interval and adds it to the totals. */
  private record({ from, to }: Segment, { splits, converged, residual }: Integral): void {
    const facts = { ...this.steps(), interval: this.interval, splits, converged, from, to }
    this.states.forEach((state, index) => {
      this.recordSplit(state, this.allocations[index]!, facts)
    })
    for (const [name, totals] of this.movements) totals.add({ from: from.get(name)!, to: to.get(name)! })
    this.converged += converged ? 1 : 0
    this.largestResidual = Math.max(this.largestResidual, residual)
    this.lastResidual = residual
  }

  private recordSplit(
    state: SplitState,
    totals: ReadonlyMap<string, AllocationTotals>,
    facts: IntervalFacts,
  ): void {
    const { granularity } = this.options
    const statistics: [LcaTensor, TensorStatistics][] = []
    eachTensor(state, this.integrator, facts, (tensor, interval, s) => {
      statistics.push([tensor, s])
      totals.get(tensor.name)!.add(interval)
      this.sink.append('tensors', 1, tensorRow(state, facts, tensor, s))
      if (granularity !== 'tensor')
        this.sink.append('units', tensor.units.count, unitRows(state, facts, tensor, interval))
      if (granularity === 'parameter')
        this.sink.append('parameters', 1, parameterRow(state, facts, tensor, interval))
    })
    this.sink.append('steps', 1, stepRow(state, facts, statistics))
  }

  private endBlock(): void {
    for (const tensors of this.allocations) for (const totals of tensors.values()) totals.endBlock()
    for (const totals of this.movements.values()) totals.endBlock()
    this.sink.endBlock()
  }

  private writeTotals(): void {
    this.states.forEach(({ name }, index) => {
      for (const tensor of this.input.tensors) {
        this.report('writing totals', this.interval)
        const [allocation, movement] = [
          this.allocations[index]!.get(tensor.name)!,
          this.movements.get(tensor.name)!,
        ]
        this.sink.append('totals', tensor.size, totalRows(name, tensor, allocation, movement))
      }
    })
  }

  private steps() {
    const { checkpoints, stepUnit } = this.input.trajectory
    return {
      stepFrom: checkpoints[this.interval]!.step,
      stepTo: checkpoints[this.interval + 1]!.step,
      stepUnit,
    }
  }

  private where(): string {
    const { stepFrom, stepTo, stepUnit } = this.steps()
    return `between ${stepUnit} ${stepFrom} and ${stepUnit} ${stepTo}`
  }

  private progress(evaluations: number): void {
    this.options.signal?.throwIfAborted()
    this.work += evaluations / (2 * this.states.length)
    // an interval whose splits double takes longer than its share: it never counts as done before it is
    this.report('replaying', this.interval + Math.min(0.99, this.work))
  }

  private report(phase: ReplayProgress['phase'], done: number): void {
    const [loss, residual] = [this.states[0]!.start.loss, this.lastResidual]
    this.options.onProgress?.({ phase, intervals: this.intervals, done, loss, residual })
  }
}
