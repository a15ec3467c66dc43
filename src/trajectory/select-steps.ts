import { UsageError } from '../errors.js'
import type { Checkpoint, StepUnit } from './checkpoint.js'
import { inStepRange, type StepRange } from './step-range.js'

/**
 * The checkpoints of a range.
 * @throws UsageError when fewer than two are left
 */
export function selectSteps(
  path: string,
  all: readonly Checkpoint[],
  unit: StepUnit,
  steps: StepRange | undefined,
): readonly Checkpoint[] {
  if (steps === undefined) return all
  const first = all[0]!.step
  const kept = all.filter(({ step }) => inStepRange(step, steps, first))
  if (kept.length >= 2) return kept
  throw new UsageError(
    `${path}: --steps keeps ${kept.length} of ${all.length} checkpoints, at least two are needed; ` +
      `recorded are ${describeSteps(all, unit)}`,
  )
}

function describeSteps(checkpoints: readonly Checkpoint[], unit: StepUnit): string {
  const steps = checkpoints.map(({ step }) => step)
  const shown = steps.length > 6 ? [...steps.slice(0, 3), '...', steps.at(-1)!] : steps
  return `${unit}s ${shown.join(', ')}`
}
