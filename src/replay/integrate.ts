import { CheckpointError } from '../errors.js'
import type { Cut } from '../engines/micro-batches.js'
import { addToSum, allocate } from './allocation.js'
import type { Arrays } from './allocation.js'
import type { Endpoint } from './endpoints.js'
import type { Judgement, Level, Rule, RulePoint } from './quadrature/rule.js'
import type { IntervalRecord } from './records.js'
import { fileNames } from './store/store.js'
import { sampledErrors } from './sampled-errors.js'
import type { SampledPoint } from './sampled-errors.js'
import type { ReplaySplit } from './split.js'
import type { IntervalErrors } from './standard-error.js'
import type { LcaTensor } from './tensors.js'
import type { WeightFiles } from './weight-files.js'
import type { Evaluator } from './workers/evaluator.js'
import type { GroupResult } from './workers/messages.js'

/** What an integration needs besides the interval itself. */
export interface Integrator {
  readonly arrays: Arrays
  readonly tensors: readonly LcaTensor[]
  readonly evaluator: Pick<Evaluator, 'evaluate'>
  readonly weights: WeightFiles
  /** Loss and gradient at a checkpoint, on every split. */
  readonly endpoint: (checkpoint: number) => Promise<Endpoint>
  readonly rule: Rule
  readonly splits: readonly ReplaySplit[]
  readonly cut: Cut
  readonly tolerance: number
  readonly maxSplits: number
  /** Whether LCA is restricted to some tensors, so that it need not sum to the measured change. */
  readonly restricted: boolean
  /** Residuals below it are rounding: more splits can't lower them. */
  readonly noiseFloor: () => Promise<number>
  readonly onSamples: (interval: number, split: number, samples: number) => void
  /** How errors name the place: 'between step 3 and step 4'. */
  readonly where: (interval: number) => string
}

/** A point that was evaluated, on every split. */
interface EvaluatedPoint {
  readonly point: RulePoint
  /** Number of its level's first sum. */
  readonly firstSum: number
  readonly groups: readonly (readonly GroupResult[])[]
}

/** Integrates the gradient along one interval, refining until the rule is content. */
export function integrate(integrator: Integrator, interval: number): Promise<IntervalRecord> {
  return new Integration(integrator, interval).run()
}

class Integration {
  private readonly points: EvaluatedPoint[] = []
  private sums = 0

  constructor(
    private readonly integrator: Integrator,
    private readonly interval: number,
  ) {}

  async run(): Promise<IntervalRecord> {
    const { rule, endpoint, maxSplits } = this.integrator
    const ends = Promise.all([endpoint(this.interval), endpoint(this.interval + 1)])
    for (let index = 0; ; index += 1) {
      const level = rule.level(index)
      const [[start, end]] = await Promise.all([ends, this.addLevel(level)])
      const judgement = await this.judge(level, index, start, end)
      if (judgement.converged || judgement.stop || rule.level(index + 1).splits > maxSplits) {
        this.removeSums()
        return this.record(level, judgement, start, end)
      }
    }
  }

  /** Evaluates a level's points on all splits, and adds their gradients to the sums in the points' order. */
  private async addLevel(level: Level): Promise<void> {
    const { weights, splits } = this.integrator
    const first = this.sums
    this.sums += level.sums
    await Promise.all([weights.ensure(this.interval), weights.ensure(this.interval + 1)])
    const tasks = level.points.map((point, number) => {
      const groups = splits.map((_, split) => this.evaluate(point, split, this.points.length + number))
      // a rejection is thrown where the point's turn comes
      for (const group of groups) group.catch(() => undefined)
      return groups
    })
    for (const [number, point] of level.points.entries()) {
      const groups = await Promise.all(tasks[number]!)
      groups.forEach((_, split) => {
        this.addPoint(point, split, { number: this.points.length, firstSum: first, level, place: number })
      })
      this.points.push({ point, firstSum: first, groups })
    }
  }

  private evaluate({ a }: RulePoint, split: number, number: number): Promise<readonly GroupResult[]> {
    const { evaluator, cut, splits, onSamples } = this.integrator
    const sampled = splits[split]!.population !== undefined
    const [from, to] = [this.interval, this.interval + 1]
    const out = fileNames.point(this.interval, split, number)
    const task = { split, from, to, a, cut, out, movements: sampled ? [[from, to] as const] : [] }
    return evaluator.evaluate(task, this.interval + 0.5, (samples) => {
      onSamples(this.interval, split, samples)
    })
  }

  private addPoint(
    { into }: RulePoint,
    split: number,
    { number, firstSum, level, place }: { number: number; firstSum: number; level: Level; place: number },
  ): void {
    const { arrays } = this.integrator
    const gradient = fileNames.point(this.interval, split, number)
    into.forEach((weight, sum) => {
      if (weight === 0) return
      const first = !level.points.slice(0, place).some((earlier) => earlier.into[sum] !== 0)
      const last = into.slice(sum + 1).every((other) => other === 0)
      const name = fileNames.sum(this.interval, split, firstSum + sum)
      addToSum(arrays, name, gradient, { weight, first, last })
    })
  }

  private async judge(level: Level, index: number, start: Endpoint, end: Endpoint): Promise<Judgement> {
    const { rule, splits, tolerance, restricted, noiseFloor } = this.integrator
    const judged = splits.map(({ name }, split) => {
      const tensors = this.allocate(level, split, name)
      const lca = tensors[0]!.reduce((sum, part) => sum + part, 0)
      return { tensors, residual: lca - (end.losses[split]! - start.losses[split]!) }
    })
    return rule.judge({
      index,
      splits: judged,
      tolerance,
      restricted,
      noiseFloor,
    })
  }

  /** LCA of every tensor by the level's combinations. Throws CheckpointError where a gradient is not finite. */
  private allocate(level: Level, split: number, splitName: string): number[][] {
    const { arrays, tensors, where } = this.integrator
    const sums = Array.from({ length: this.sums }, (_, sum) => fileNames.sum(this.interval, split, sum))
    const at = { interval: this.interval, split }
    const lca = allocate(arrays, at, sums, [level.integral, ...level.compared])
    lca[0]!.forEach((part, tensor) => {
      if (Number.isFinite(part)) return
      throw new CheckpointError(
        `${where(this.interval)}: the gradient of the loss on ${splitName} with respect to ${tensors[tensor]!.name} is not finite there, ` +
          `so its LCA is ${part}. Replay the part before it with --steps`,
      )
    })
    return lca
  }

  private record(level: Level, judgement: Judgement, start: Endpoint, end: Endpoint): IntervalRecord {
    const { splits } = this.integrator
    const { converged, error, estimate } = judgement
    const evaluations = this.points.length + (this.interval === 0 ? 2 : 1)
    return {
      kind: 'interval',
      interval: this.interval,
      splits: level.splits,
      converged,
      error,
      losses: splits.map((_, split) => [start.losses[split]!, end.losses[split]!]),
      evaluations: splits.map(() => evaluations),
      estimate,
      ...(splits.some(({ population }) => population !== undefined) && {
        standardErrors: splits.map((split, index) => this.standardErrors(split, index, level, [start, end])),
      }),
    }
  }

  /** Null for a split that is not sampled. */
  private standardErrors(
    { samples, population }: ReplaySplit,
    split: number,
    level: Level,
    [start, end]: readonly [Endpoint, Endpoint],
  ): IntervalErrors | null {
    if (population === undefined) return null
    const [startGroups, endGroups] = [start.groups![split]!, end.groups![split]!]
    // of the movements that an end's gradients were multiplied with, the interval's own is the first one's last, the other's first
    const points: SampledPoint[] = [
      { groups: startGroups, movement: this.interval > 0 ? 1 : 0, weight: level.integral[0]! },
      { groups: endGroups, movement: 0, weight: level.integral[1]! },
      ...this.points.map(({ groups, firstSum, point }) => ({
        groups: groups[split]!,
        movement: 0,
        weight: point.into.reduce(
          (sum, weight, k) => sum + weight * (level.integral[2 + firstSum + k] ?? 0),
          0,
        ),
      })),
    ]
    return sampledErrors(points, this.integrator.arrays.layout.tensors.length, { samples, population })
  }

  private removeSums(): void {
    const { arrays, splits } = this.integrator
    for (const split of splits.keys())
      for (let sum = 0; sum < this.sums; sum += 1)
        arrays.store.remove(fileNames.sum(this.interval, split, sum))
  }
}
