import type { Judgement, Rule } from '../../src/replay/quadrature/rule.js'

/** An interval as quadrature sees it: what movement times gradient is along the segment, per split and tensor. */
export interface ScalarSplit {
  /** By tensor: movement times gradient, summed over the tensor, at theta + a (theta' - theta). */
  readonly along: readonly ((a: number) => number)[]
  /** The measured change of the loss. */
  readonly change: number
}

export interface Limits {
  readonly tolerance: number
  readonly maxSplits: number
  readonly restricted?: boolean
  readonly noiseFloor?: number
}

export interface ScalarIntegral extends Judgement {
  readonly splits: number
  /** LCA by split and tensor. */
  readonly lca: readonly (readonly number[])[]
  /** Inner points, in the order of their evaluation. */
  readonly points: readonly number[]
}

/** Refines an interval by a rule until it converges or has as many splits as it may: what the replay does, on scalars. */
export async function integrateScalars(
  rule: Rule,
  splits: readonly ScalarSplit[],
  { tolerance, maxSplits, restricted = false, noiseFloor = 0 }: Limits,
): Promise<ScalarIntegral> {
  const points: number[] = []
  const values = splits.map(({ along }) => along.map((of) => [of(0), of(1)]))
  for (let index = 0; ; index += 1) {
    const level = rule.level(index)
    for (const { a } of level.points) points.push(a)
    splits.forEach(({ along }, split) => {
      along.forEach((of, tensor) => {
        const sums = Array.from({ length: level.sums }, () => 0)
        for (const { a, into } of level.points) into.forEach((weight, sum) => (sums[sum]! += weight * of(a)))
        values[split]![tensor]!.push(...sums)
      })
    })
    const combinations = [level.integral, ...level.compared]
    const judged = splits.map(({ change }, split) => {
      const tensors = combinations.map((coefficients) => values[split]!.map((of) => dot(coefficients, of)))
      const lca = tensors[0]!.reduce((sum, part) => sum + part, 0)
      return { tensors, residual: restricted ? NaN : lca - change }
    })
    const floor = (): Promise<number> => Promise.resolve(noiseFloor)
    const judgement = await rule.judge({ index, splits: judged, tolerance, restricted, noiseFloor: floor })
    if (judgement.converged || judgement.stop || rule.level(index + 1).splits > maxSplits)
      return { ...judgement, splits: level.splits, lca: judged.map(({ tensors }) => tensors[0]!), points }
  }
}

function dot(coefficients: readonly number[], values: readonly number[]): number {
  if (coefficients.length !== values.length)
    throw new Error(`${coefficients.length} coefficients for ${values.length} gradients and sums`)
  return values.reduce((sum, value, i) => sum + coefficients[i]! * value, 0)
}
