import type { Engine, MicroBatch, MicroBatchResult, SplitData } from '../../engines/engine.js'
import { bytesPerSample, grouped, microBatches, stretches } from '../../engines/micro-batches.js'
import { withFiles, writeFile } from '../store/array-file.js'
import { CHUNK, Layout } from '../store/layout.js'
import { fileNames } from '../store/store.js'
import type { ReplayStore } from '../store/store.js'
import { GradientSum } from './gradient-sum.js'
import { groupFile } from './messages.js'
import type { GroupResult, Movement, ParameterFacts, PointTask, TaskPart } from './messages.js'
import { Point, WEIGHT_ARRAYS } from './point.js'
import { LARGE_PARAMETERS } from './sizing.js'
import { SumInFile, SumInMemory } from './sum-array.js'

/** A split, and the groups that its sums are told apart by where it was sampled. */
export interface EvaluatedSplit {
  readonly data: SplitData
  readonly groups?: number | undefined
}

/** Networks with more parameters sum all micro-batches in one group: a second sum would cost two copies of them. */
const GROUPED_PARAMETERS = 1 << 22

/** Number of parameters that LCA is allocated to: elements of a gradient's file. */
export function allocatedParameters({ tensors, allocated }: ParameterFacts): number {
  return tensors.slice(0, allocated).reduce((sum, { size }) => sum + size, 0)
}

/** The groups of micro-batches that a task's sums are made of. */
export function groupsOf(
  split: { readonly samples: number; readonly groups?: number | undefined },
  { cut, squaresOf }: Pick<PointTask, 'cut' | 'squaresOf'>,
  { fixedBatch, parameters }: { readonly fixedBatch: boolean; readonly parameters: number },
): MicroBatch[][] {
  const { samples, groups } = split
  const single = (start: number): MicroBatch => ({ start, count: 1, size: fixedBatch ? cut.size : 1 })
  if (squaresOf !== undefined) return [squaresOf.map(single)]
  if (groups !== undefined) return equalGroups(samples, groups, cut, fixedBatch)
  const batches = microBatches(samples, cut, fixedBatch)
  return parameters > GROUPED_PARAMETERS ? [batches] : grouped(batches)
}

function equalGroups(samples: number, groups: number, cut: PointTask['cut'], fixed: boolean): MicroBatch[][] {
  const size = samples / groups
  return Array.from({ length: groups }, (_, group) =>
    microBatches(size, cut, fixed).map((batch) => ({ ...batch, start: batch.start + group * size })),
  )
}

/** Evaluates gradients at points between checkpoints, all through files of the store. */
export class PointEvaluator {
  private readonly point: Point
  private readonly layout: Layout
  private readonly group: GradientSum
  private total: GradientSum | undefined

  constructor(
    private readonly engine: Engine,
    private readonly store: ReplayStore,
    private readonly facts: ParameterFacts,
    private readonly splits: readonly EvaluatedSplit[],
  ) {
    this.point = new Point(store, facts, engine.precision)
    this.layout = new Layout(facts.tensors.slice(0, facts.allocated))
    this.group = this.gradientSum('group')
  }

  /**
   * Computes some groups of a task. A whole task leaves the gradient of the mean loss, or the sum of squares, in its file, a
   * part of one the sum of every group in a file of its own.
   * @param onSamples called after each micro-batch with the number of its samples
   */
  async evaluate(
    { task, first, last, whole }: TaskPart,
    onSamples: (samples: number) => void,
  ): Promise<GroupResult[]> {
    const { data, groups } = this.splits[task.split]!
    const all = groupsOf({ samples: data.samples, groups }, task, {
      fixedBatch: this.engine.fixedBatch,
      parameters: this.layout.size,
    })
    this.point.moveTo(task.from, task.to, task.a)
    await this.settle(task)
    const results: GroupResult[] = []
    const single = whole && all.length === 1
    if (whole && !single) (this.total ??= this.gradientSum('total')).clear()
    for (let index = first; index < last; index += 1) {
      const terms = await this.sumGroup(data, all[index]!, task, onSamples)
      results.push({ ...terms, products: task.movements.map((movement) => this.multiply(movement)) })
      if (!whole) this.write(groupFile(task.out, index), this.group, 1)
      else if (!single) this.total!.addSum(this.group)
    }
    const divisor = task.squaresOf === undefined ? denominatorOf(results) : 1
    if (whole) this.write(task.out, single ? this.group : this.total!, divisor)
    return results
  }

  /** Lets the engine choose how it sums, by the longest stretch of micro-batches of any split. */
  private async settle({ cut }: PointTask): Promise<void> {
    const { engine, splits, point } = this
    if (engine.settle === undefined || engine.loops !== undefined) return
    const facts = { fixedBatch: engine.fixedBatch, parameters: this.layout.size }
    const [longest] = splits
      .flatMap(({ data, groups }) =>
        groupsOf({ samples: data.samples, groups }, { cut }, facts)
          .flatMap((batches) => stretches(batches, bytesPerSample(data)))
          .map((batches) => ({ data, batches })),
      )
      .sort((a, b) => b.batches.length - a.batches.length)
    if (longest === undefined || longest.batches.length === 1) return
    await engine.settle(point.weights, longest.data, longest.batches)
  }

  private async sumGroup(
    data: SplitData,
    batches: readonly MicroBatch[],
    { squaresOf }: PointTask,
    onSamples: (samples: number) => void,
  ) {
    this.group.clear()
    let [numerator, denominator] = [0, 0]
    const parts = squaresOf === undefined ? this.runsOf(data, batches) : batches.map((batch) => [batch])
    for (const part of parts) {
      const result = await this.run(data, part)
      numerator += result.numerator
      denominator += result.denominator
      if (squaresOf === undefined) this.group.add(result.gradient, parts.length === 1)
      else this.group.addSquares(result.gradient, result.denominator)
      onSamples(part.reduce((sum, { count }) => sum + count, 0))
    }
    return { numerator, denominator }
  }

  /** The micro-batches of each run: one, or as many as the engine adds up by itself. */
  private runsOf(data: SplitData, batches: readonly MicroBatch[]): MicroBatch[][] {
    return this.engine.sum === undefined
      ? batches.map((batch) => [batch])
      : stretches(batches, bytesPerSample(data))
  }

  private async run(data: SplitData, part: readonly MicroBatch[]): Promise<MicroBatchResult> {
    const { engine, point } = this
    if (part.length === 1) return await engine.run(point.weights, data, part[0]!)
    return await engine.sum!(point.weights, data, part)
  }

  private gradientSum(what: string): GradientSum {
    const { size } = this.layout
    const path = this.store.path(`${what}-of-${process.pid}`)
    return new GradientSum(this.layout, () =>
      size < LARGE_PARAMETERS ? new SumInMemory(size) : new SumInFile(path, size),
    )
  }

  private write(name: string, sum: GradientSum, divisor: number): void {
    writeFile(this.store.path(name), (file) => {
      sum.each((values, offset) => {
        if (divisor !== 1) for (let i = 0; i < values.length; i += 1) values[i]! /= divisor
        file.write(values, offset * values.BYTES_PER_ELEMENT)
      })
    })
  }

  /** The group's gradient times a movement, tensor by tensor. */
  private multiply([from, to]: Movement): number[] {
    const products = this.layout.tensors.map(() => 0)
    const Numbers = WEIGHT_ARRAYS[this.facts.weightElements]
    const [start, end] = [new Numbers(CHUNK), new Numbers(CHUNK)]
    const paths = [from, to].map((checkpoint) => this.store.path(fileNames.weights(checkpoint)))
    withFiles(paths, ([starts, ends]) => {
      for (const { offset, count, pieces } of this.layout.chunks()) {
        const position = offset * Numbers.BYTES_PER_ELEMENT
        const x = starts!.read(start.subarray(0, count), position)
        const y = ends!.read(end.subarray(0, count), position)
        const gradient = this.group.chunk(offset, count)
        for (const piece of pieces) {
          let sum = products[piece.tensor]!
          for (let i = piece.from; i < piece.to; i += 1) sum += gradient[i]! * (y[i]! - x[i]!)
          products[piece.tensor] = sum
        }
      }
    })
    return products
  }
}

/** The denominators of all groups, added in order. */
export function denominatorOf(groups: readonly Pick<GroupResult, 'denominator'>[]): number {
  return groups.reduce((sum, { denominator }) => sum + denominator, 0)
}
