import type { Checkpoint, StepUnit } from '../checkpoint.js'
import type { Problem } from './problem.js'

/** Distances along a trajectory, over all tensors: `one[i]` from checkpoint i - 1 to i, `two[i]` from i - 2 to i. */
export interface Distances {
  readonly one: readonly number[]
  readonly two: readonly number[]
}

/** A detour so much longer than the direct way, where others are not, is no step of an optimizer. */
const LONG_DETOUR = 5
const USUAL_DETOUR = 2.5

/** Two neighbours whose exchange shortens the path by so much stand in the wrong order, where others don't. */
const SHORTER = 0.75
const USUAL_SHORTENING = 0.9

/**
 * Checkpoints that don't lie between their neighbours, where the others do: files swapped between steps, or of another run.
 * The detour over checkpoint t is (d(t-1,t) + d(t,t+1)) / d(t-1,t+1); an exchange of t and t+1 is worth the ratio of
 * d(t-1,t+1) + d(t,t+2) to d(t-1,t) + d(t+1,t+2).
 */
export function findOutOfPlace(
  checkpoints: readonly Checkpoint[],
  distances: Distances,
  unit: StepUnit,
): Problem[] {
  if (checkpoints.length < 6) return []
  const swapped = swappedNeighbours(distances)
  const far = detoured(distances).filter((i) => !swapped.some((at) => Math.abs(at - i) <= 2))
  return [
    ...swapped.map((i) => swappedProblem(checkpoints[i]!, checkpoints[i + 1]!, unit)),
    ...far.map((i) => detouredProblem(checkpoints[i]!, unit)),
  ]
}

function swappedNeighbours({ one, two }: Distances): number[] {
  const ratios = one.map((_, i) => {
    const path = (one[i] ?? NaN) + (one[i + 2] ?? NaN)
    return ((two[i + 1] ?? NaN) + (two[i + 2] ?? NaN)) / path
  })
  const usual = median(ratios)
  if (!(usual >= USUAL_SHORTENING)) return []
  return localMinima(ratios, (ratio) => ratio < SHORTER * Math.min(1, usual))
}

function detoured({ one, two }: Distances): number[] {
  const ratios = one.map((_, i) => ((one[i] ?? NaN) + (one[i + 1] ?? NaN)) / (two[i + 1] ?? NaN))
  const usual = median(ratios)
  if (!(usual <= USUAL_DETOUR)) return []
  return ratios.flatMap((ratio, i) => (ratio > LONG_DETOUR * usual ? [i] : []))
}

/** Positions that pass the test and are not larger than their neighbours: an exchange is seen from both sides. */
function localMinima(values: readonly number[], test: (value: number) => boolean): number[] {
  return values.flatMap((value, i) => {
    const beside = Math.min(values[i - 1] ?? Infinity, values[i + 1] ?? Infinity)
    return test(value) && !(value > beside) ? [i] : []
  })
}

/** The middle of the numbers, NaN left out; NaN where there is none. */
export function median(values: readonly number[]): number {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b)
  const half = sorted.length >> 1
  if (sorted.length === 0) return NaN
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}

function swappedProblem(one: Checkpoint, other: Checkpoint, unit: StepUnit): Problem {
  const message =
    `${unit}s ${one.step} (${one.path}) and ${other.step} (${other.path}) seem to be swapped: in the other order the ` +
    'path of the weights is shorter, as it is everywhere else; check where the two files come from'
  return { kind: 'out-of-place', message, steps: [one.step, other.step], path: one.path }
}

function detouredProblem(checkpoint: Checkpoint, unit: StepUnit): Problem {
  const { step, path } = checkpoint
  const message =
    `${unit} ${step} (${path}) does not lie between its neighbours, as the others do: swapped with another step, or of ` +
    'another run; check where the file comes from'
  return { kind: 'out-of-place', message, steps: [step], path }
}
