import { namesFitting } from '../name-patterns.js'
import type { LcaTensor } from './tensors.js'

/** Tensors with those that LCA is allocated to first. */
export interface ChosenTensors {
  readonly tensors: readonly LcaTensor[]
  /** LCA is allocated to the first so many. */
  readonly allocated: number
}

/**
 * Chooses tensors by patterns of their names, `*` standing for any characters and `?` for one; all without patterns.
 * @throws UsageError where a pattern fits none
 */
export function chooseTensors(
  tensors: readonly LcaTensor[],
  patterns: readonly string[] = [],
): ChosenTensors {
  if (patterns.length === 0) return { tensors, allocated: tensors.length }
  const names = new Set(
    namesFitting(
      tensors.map(({ name }) => name),
      patterns,
      '--tensors',
    ),
  )
  const chosen = tensors.filter(({ name }) => names.has(name))
  const others = tensors.filter(({ name }) => !names.has(name))
  return { tensors: [...chosen, ...others], allocated: chosen.length }
}
