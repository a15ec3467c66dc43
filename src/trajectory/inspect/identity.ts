import type { Checkpoint, StepUnit } from '../checkpoint.js'
import { listSteps, type Problem } from './problem.js'

/** How it is known that two checkpoints are equal. */
export type Evidence = 'files' | 'values'

const SAID: Readonly<Record<Evidence, string>> = {
  files: 'is the same file (size, first and last 64 KiB)',
  values: 'holds the same numbers',
}

/**
 * Checkpoints that are equal: to the one before (an update of zero: a learning rate of zero, a save repeated) or to one
 * further away (a file copied or swapped).
 * @param identities one text per checkpoint, equal where the checkpoints are
 */
export function findEqual(
  checkpoints: readonly Checkpoint[],
  identities: readonly string[],
  unit: StepUnit,
  evidence: Evidence,
): Problem[] {
  const latest = new Map<string, number>()
  const problems: Problem[] = []
  const still: number[] = []
  for (const [i, identity] of identities.entries()) {
    const before = latest.get(identity)
    latest.set(identity, i)
    if (before === undefined) continue
    if (before === i - 1) still.push(i)
    else problems.push(duplicate(checkpoints[before]!, checkpoints[i]!, unit, evidence))
  }
  return [...zeroUpdates(checkpoints, still, unit, evidence), ...problems]
}

function zeroUpdates(
  checkpoints: readonly Checkpoint[],
  still: readonly number[],
  unit: StepUnit,
  evidence: Evidence,
): Problem[] {
  if (still.length === 0) return []
  const steps = still.map((i) => checkpoints[i]!.step)
  const first = checkpoints[still[0]!]!
  const message =
    `${listSteps(steps, unit)}: ${still.length === 1 ? 'the checkpoint' : 'each'} ${SAID[evidence]} as the one before ` +
    `(such as ${first.path}): nothing was learned there, or a save was repeated; its LCA will be zero`
  return [{ kind: 'zero-update', message, steps, path: first.path }]
}

function duplicate(one: Checkpoint, other: Checkpoint, unit: StepUnit, evidence: Evidence): Problem {
  const message =
    `${unit} ${other.step} (${other.path}) ${SAID[evidence]} as ${unit} ${one.step} (${one.path}): ` +
    'one of the two was copied over the other; record it again or move it out'
  return { kind: 'duplicate', message, steps: [one.step, other.step], path: other.path }
}
