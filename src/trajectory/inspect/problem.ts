import type { FaultKind } from '../scan.js'

/** What can be wrong with an archive of checkpoints. */
export type ProblemKind =
  | FaultKind
  | 'missing-steps'
  | 'duplicate'
  | 'zero-update'
  | 'out-of-place'
  | 'norm-jump'
  | 'never-moves'
  | 'not-finite'
  | 'rounding'

/** One thing that is wrong, in a sentence that names file, step and tensor, and says what to do. */
export interface Problem {
  readonly kind: ProblemKind
  readonly message: string
  readonly steps?: readonly number[]
  readonly tensor?: string
  readonly path?: string
}

const SHOWN = 6

/** Steps as a sentence lists them: `step 3`, `steps 3, 4 and 9`, `steps 1, 2, 3 ... (40 in all)`. */
export function listSteps(steps: readonly number[], unit: string): string {
  if (steps.length === 1) return `${unit} ${steps[0]!}`
  if (steps.length <= SHOWN) return `${unit}s ${steps.slice(0, -1).join(', ')} and ${steps.at(-1)!}`
  return `${unit}s ${steps.slice(0, SHOWN).join(', ')} ... (${steps.length} in all)`
}
