import { readFileSync } from 'node:fs'
import type { ScalarSplit } from './scalar-integration.js'

/** What scripts/quadrature/projections.py writes: movement times gradient along each interval, by PyTorch in float64. */
export interface Projections {
  readonly tensors: readonly string[]
  readonly splits: Readonly<Record<string, ProjectedSplit>>
}

export interface ProjectedSplit {
  readonly loss: readonly number[]
  /** By interval and tensor: LCA. */
  readonly exact: readonly (readonly number[])[]
  /** By interval: how far the sum of `exact` is from the change of the loss. */
  readonly doubt: readonly number[]
  /** By interval and tensor, at a = 0, 1 / parts, ..., 1. */
  readonly along: readonly (readonly (readonly number[])[])[]
}

export function readProjections(path: string): Projections {
  return JSON.parse(readFileSync(path, 'utf8')) as Projections
}

export function intervalsOf(projections: Projections): number {
  return Object.values(projections.splits)[0]!.exact.length
}

/** One interval, on the splits named. Throws where a rule asks for a point that was not projected. */
export function intervalOf(
  { splits }: Projections,
  interval: number,
  names: readonly string[],
): ScalarSplit[] {
  return names.map((name) => {
    const { loss, along } = splits[name]!
    return {
      change: loss[interval + 1]! - loss[interval]!,
      along: along[interval]!.map((values) => (a) => valueAt(values, a)),
    }
  })
}

function valueAt(values: readonly number[], a: number): number {
  const value = values[a * (values.length - 1)]
  if (value === undefined) throw new Error(`no gradient was projected at ${a}`)
  return value
}
