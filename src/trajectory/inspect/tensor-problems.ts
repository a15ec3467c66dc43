import type { Checkpoint, StepUnit } from '../checkpoint.js'
import type { Motion } from './motion.js'
import { median } from './place.js'
import { listSteps, type Problem } from './problem.js'

/** A tensor's series along a trajectory. */
export interface Series {
  readonly tensor: string
  readonly dtype: string
  readonly motions: readonly (Motion | undefined)[]
}

/** A jump: the norm changes by this factor, in an update this many times the usual one. */
const JUMP_FACTOR = 2
const JUMP_UPDATE = 10

/** What the numbers of one tensor show: not finite, never moving, sudden jumps, rounding above the update. */
export function tensorProblems(
  series: Series,
  checkpoints: readonly Checkpoint[],
  unit: StepUnit,
  allStill: boolean,
): Problem[] {
  const notFinite = findNotFinite(series, checkpoints, unit)
  if (notFinite !== undefined) return [notFinite]
  return [
    ...(allStill ? [] : findStill(series)),
    ...findJumps(series, checkpoints, unit),
    ...findRounding(series, checkpoints, unit),
  ]
}

function findNotFinite(
  { tensor, motions }: Series,
  checkpoints: readonly Checkpoint[],
  unit: StepUnit,
): Problem | undefined {
  const at = stepsWhere(motions, checkpoints, ({ notFinite }) => notFinite > 0)
  if (at.length === 0) return undefined
  const first = motions.findIndex((motion) => (motion?.notFinite ?? 0) > 0)
  const { path } = checkpoints[first]!
  const message =
    `${tensor} holds NaN or infinity at ${listSteps(at, unit)} (${motions[first]!.notFinite} values in ${path}): training ` +
    `diverged there${first > 1 ? `; \`--steps ${checkpoints[0]!.step}:${checkpoints[first - 1]!.step}\` replays what is before it` : ''}`
  return { kind: 'not-finite', message, tensor, steps: at, path }
}

function findStill({ tensor, motions }: Series): Problem[] {
  const known = motions.filter((motion) => motion !== undefined)
  const moved = known.some(({ update }) => update > 0)
  if (moved || known.length < 2) return []
  const message = `${tensor} never moves: frozen, unused, or not the copy that was trained`
  return [{ kind: 'never-moves', message, tensor }]
}

function findJumps(
  { tensor, motions }: Series,
  checkpoints: readonly Checkpoint[],
  unit: StepUnit,
): Problem[] {
  const usual = median(
    motions.flatMap((motion) => (motion !== undefined && motion.update > 0 ? [motion.update] : [])),
  )
  const jumps = motions.flatMap((motion, i) => {
    const before = motions[i - 1]
    if (motion === undefined || before === undefined || before.norm === 0) return []
    const factor = motion.norm / before.norm
    const sudden = factor > JUMP_FACTOR || factor < 1 / JUMP_FACTOR
    return sudden && motion.update > JUMP_UPDATE * usual ? [i] : []
  })
  const [first] = jumps
  if (first === undefined) return []
  const steps = jumps.map((i) => checkpoints[i]!.step)
  const [from, to] = [motions[first - 1]!.norm, motions[first]!.norm]
  const message =
    `${tensor} jumps at ${listSteps(steps, unit)}: its norm goes from ${short(from)} to ${short(to)} in one interval, ` +
    `${Math.round(motions[first]!.update / usual)} times its usual update; a restart, another run, or a broken step`
  return [{ kind: 'norm-jump', message, tensor, steps }]
}

function findRounding(
  { tensor, dtype, motions }: Series,
  checkpoints: readonly Checkpoint[],
  unit: StepUnit,
): Problem[] {
  const at = stepsWhere(motions, checkpoints, ({ rounding, update }) => rounding > update)
  if (at.length === 0) return []
  const worst = motions.find((motion) => motion !== undefined && motion.rounding > motion.update)!
  const message =
    `${tensor} is stored as ${dtype}, and rounding to it (norm ${short(worst.rounding)}) is larger than the update ` +
    `(${short(worst.update)}) at ${listSteps(at, unit)}: LCA would show the rounding; record the weights as float32`
  return [{ kind: 'rounding', message, tensor, steps: at }]
}

function stepsWhere(
  motions: readonly (Motion | undefined)[],
  checkpoints: readonly Checkpoint[],
  test: (motion: Motion) => boolean,
): number[] {
  return motions.flatMap((motion, i) => (motion !== undefined && test(motion) ? [checkpoints[i]!.step] : []))
}

/** Three digits are enough to see a size. */
export function short(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : String(value)
}
