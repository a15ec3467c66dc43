import { openResults, type Results } from '../../src/tables/read.js'
import type { Batch, Role } from '../../src/tables/schema.js'
import { ResultsWriter } from '../../src/tables/writer.js'
import { Random } from '../support/random.js'
import { madeUpFacts } from '../tables/made-up.js'

export interface MadeTensor {
  readonly tensor: string
  readonly layer: string
  readonly role: Role
  readonly units: number
  readonly perUnit: number
}

/** What single parameters do in a run; the tables follow from it by the definitions of their columns. */
export interface MadeRun {
  readonly intervals: number
  readonly splits: readonly string[]
  readonly tensors: readonly MadeTensor[]
  /** LCA by split, interval, tensor and parameter, each by its place. */
  lca(split: number, interval: number, tensor: number, parameter: number): number
  movement(interval: number, tensor: number, parameter: number): number
  /** Gradient at the start of the interval. */
  gradient(split: number, interval: number, tensor: number, parameter: number): number
  /** Empirical Fisher information, NaN without. */
  fisher?(tensor: number, parameter: number): number
  /** Intervals that converge; all without. */
  readonly converged?: (interval: number) => boolean
  readonly stride?: number
  /** Of every tensor; 10 without. */
  readonly weightNorm?: (interval: number) => number
}

/** Independent normal numbers for everything; what a test plants replaces a part of it. */
export function noiseRun(seed: string, intervals: number, tensors: readonly MadeTensor[]): MadeRun {
  const random = new Random(seed)
  const splits = ['train', 'val']
  const make = (): number[][][] =>
    range(intervals).map(() => tensors.map(({ units, perUnit }) => normals(random, units * perUnit)))
  const [movement, gradients, lca] = [make(), splits.map(make), splits.map(make)]
  return {
    intervals,
    splits,
    tensors,
    lca: (split, interval, tensor, p) => 1e-3 * lca[split]![interval]![tensor]![p]!,
    movement: (interval, tensor, p) => 1e-2 * movement[interval]![tensor]![p]!,
    gradient: (split, interval, tensor, p) => 1e-2 * gradients[split]![interval]![tensor]![p]!,
  }
}

/** Normal numbers by Box and Muller's transform. */
export function normals(random: Random, count: number): number[] {
  return range(count).map(
    () => Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next()),
  )
}

/** Dense layers of weights and biases. */
export function denseLayers(names: readonly string[], units = 4, perUnit = 5): MadeTensor[] {
  return names.flatMap((layer): MadeTensor[] => [
    { tensor: `${layer}.weight`, layer, role: 'weight', units, perUnit },
    { tensor: `${layer}.bias`, layer, role: 'bias', units, perUnit: 1 },
  ])
}

/** Writes the run's tables as a replay would, and opens them. */
export async function writeRun(dir: string, run: MadeRun): Promise<Results> {
  const facts = factsOf(run)
  const writer = await ResultsWriter.create(dir, { granularity: 'unit', overwrite: true, facts })
  const losses = run.splits.map(() => 2)
  for (const t of range(run.intervals)) {
    run.splits.forEach((_, split) => {
      losses[split] = appendInterval(writer, run, { split, t, loss: losses[split]! })
    })
    if (t % 32 === 31) writer.endBlock()
  }
  writer.endBlock()
  run.splits.forEach((_, split) => {
    appendTotals(writer, run, split)
  })
  await writer.commit(facts)
  return openResults(dir)
}

interface Place {
  readonly split: number
  readonly t: number
  readonly loss: number
}

/** Returns the loss at the interval's end. */
function appendInterval(writer: ResultsWriter, run: MadeRun, { split, t, loss }: Place): number {
  const stride = run.stride ?? 1
  const key = { split: run.splits[split]!, interval: t, step_from: t * stride, step_to: (t + 1) * stride }
  const rows = run.tensors.map((tensor, i) => tensorRow(run, { split, t, i, tensor }))
  rows.forEach((row) => {
    writer.append('tensors', 1, { ...key, ...row })
  })
  run.tensors.forEach((tensor, i) => {
    writer.append('units', tensor.units, { ...key, ...unitRows(run, { split, t, i, tensor }) })
  })
  const trained = rows.filter((row) => row.role !== 'buffer')
  const total = (name: 'lca' | 'first_order', of = rows): number => sum(of.map((row) => row[name] as number))
  const count = (name: 'parameters' | 'helping' | 'hurting' | 'still'): number =>
    sum(trained.map((row) => row[name] as number))
  writer.append('steps', 1, {
    ...key,
    loss_from: loss,
    loss_to: loss + total('lca'),
    loss_change: total('lca'),
    lca: total('lca'),
    residual: 0,
    rest: NaN,
    first_order: total('first_order'),
    splits: 2,
    evaluations: 2,
    converged: run.converged?.(t) ?? true,
    parameters: count('parameters'),
    helping: count('helping'),
    hurting: count('hurting'),
    still: count('still'),
    update_norm: 1,
    gradient_norm: 1,
    cosine: 0,
    cosine_movement: 0,
    lca_se: NaN,
    loss_change_se: NaN,
    step_unit: 'step',
  })
  return loss + total('lca')
}

interface TensorPlace {
  readonly split: number
  readonly t: number
  readonly i: number
  readonly tensor: MadeTensor
}

type Key = 'split' | 'interval' | 'step_from' | 'step_to'

function tensorRow(run: MadeRun, { split, t, i, tensor }: TensorPlace): Omit<Batch<'tensors'>, Key> {
  const places = range(tensor.units * tensor.perUnit)
  const lca = places.map((p) => run.lca(split, t, i, p))
  const movement = places.map((p) => run.movement(t, i, p))
  const before = places.map((p) => (t > 0 ? run.movement(t - 1, i, p) : NaN))
  const gradient = places.map((p) => run.gradient(split, t, i, p))
  const gradientBefore = places.map((p) => (t > 0 ? run.gradient(split, t - 1, i, p) : NaN))
  return {
    tensor: tensor.tensor,
    layer: tensor.layer,
    role: tensor.role,
    parameters: places.length,
    lca: sum(lca),
    lca_helping: sum(lca.filter((value) => value < 0)),
    lca_hurting: sum(lca.filter((value) => value > 0)),
    helping: lca.filter((value) => value < 0).length,
    hurting: lca.filter((value) => value > 0).length,
    still: lca.filter((value) => value === 0).length,
    first_order: dot(gradient, movement),
    update_norm: norm(movement),
    gradient_norm: norm(gradient),
    cosine: -cosine(gradient, movement),
    cosine_previous: -cosine(gradientBefore, movement),
    cosine_movement: cosine(before, movement),
    weight_norm: run.weightNorm?.(t) ?? 10,
    lca_se: NaN,
  }
}

function unitRows(run: MadeRun, { split, t, i, tensor }: TensorPlace): Omit<Batch<'units'>, Key> {
  const lca = range(tensor.units).map((unit) =>
    range(tensor.perUnit).map((p) => run.lca(split, t, i, unit * tensor.perUnit + p)),
  )
  return {
    tensor: tensor.tensor,
    unit: range(tensor.units),
    lca: lca.map(sum),
    helping: lca.map((values) => values.filter((value) => value < 0).length),
    hurting: lca.map((values) => values.filter((value) => value > 0).length),
    first_order: 0,
  }
}

function appendTotals(writer: ResultsWriter, run: MadeRun, split: number): void {
  run.tensors.forEach((tensor, i) => {
    const places = range(tensor.units * tensor.perUnit)
    const lca = places.map((p) => range(run.intervals).map((t) => run.lca(split, t, i, p)))
    const movement = places.map((p) => range(run.intervals).map((t) => run.movement(t, i, p)))
    const gradient = places.map((p) => range(run.intervals).map((t) => run.gradient(split, t, i, p)))
    writer.append('totals', places.length, {
      split: run.splits[split]!,
      tensor: tensor.tensor,
      index: places,
      unit: places.map((p) => Math.floor(p / tensor.perUnit)),
      lca: lca.map(sum),
      helped: lca.map((values) => values.filter((value) => value < 0).length),
      hurt: lca.map((values) => values.filter((value) => value > 0).length),
      lca_flips: lca.map(flips),
      movement_flips: movement.map(flips),
      gradient_flips: gradient.map(flips),
      undone: lca.map(undone),
      movement: movement.map(sum),
      path_length: movement.map((values) => sum(values.map(Math.abs))),
      fisher: places.map((p) => run.fisher?.(i, p) ?? NaN),
    })
  })
}

function factsOf(run: MadeRun): Parameters<ResultsWriter['commit']>[0] {
  const converged = range(run.intervals).filter((t) => run.converged?.(t) ?? true).length
  return {
    ...madeUpFacts(),
    options: { quadrature: 'simpson', tolerance: 0.001, maxSplits: 32, loss: 'cross-entropy' },
    data: run.splits.map((split) => ({ split, path: `${split}.npz`, samples: 10, sha256: '00' })),
    tensors: run.tensors.map(({ tensor, role, layer, units, perUnit }) => ({
      tensor,
      checkpoint_name: tensor,
      parameter_name: tensor,
      shape: [units, perUnit],
      role,
      layer,
      unit_axis: 0,
      parameters: units * perUnit,
    })),
    result: { intervals: run.intervals, converged },
  }
}

function flips(values: readonly number[]): number {
  return values.filter((value, t) => t > 0 && value * values[t - 1]! < 0).length
}

function undone(values: readonly number[]): number {
  return sum(
    values.map((value, t) =>
      t > 0 && value * values[t - 1]! < 0 ? Math.min(Math.abs(value), Math.abs(values[t - 1]!)) : 0,
    ),
  )
}

function dot(a: readonly number[], b: readonly number[]): number {
  return sum(a.map((value, i) => value * b[i]!))
}

function norm(values: readonly number[]): number {
  return Math.sqrt(dot(values, values))
}

function cosine(a: readonly number[], b: readonly number[]): number {
  return dot(a, b) / (norm(a) * norm(b))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

export function range(length: number): number[] {
  return Array.from({ length }, (_, i) => i)
}
