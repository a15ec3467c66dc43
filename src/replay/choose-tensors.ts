import { UsageError } from '../errors.js'
import { listNames } from '../listing.js'
import type { LcaTensor } from './tensors.js'

/** An error is one line on a terminal. */
const NAMES_SHOWN = 8

/** Tensors with those that LCA is allocated to first. */
export interface ChosenTensors {
  readonly tensors: readonly LcaTensor[]
  /** LCA is allocated to the first so many. */
  readonly allocated: number
}

/**
 * Chooses tensors by patterns of their names, `*` standing for anything and `?` for one character; all without patterns.
 * @throws UsageError where a pattern matches none
 */
export function chooseTensors(
  tensors: readonly LcaTensor[],
  patterns: readonly string[] = [],
): ChosenTensors {
  if (patterns.length === 0) return { tensors, allocated: tensors.length }
  const expressions = patterns.map((pattern) => expressionOf(pattern))
  const vain = patterns.find((_, i) => !tensors.some(({ name }) => expressions[i]!.test(name)))
  if (vain !== undefined) {
    const names = tensors.map(({ name }) => name)
    throw new UsageError(
      `--tensors ${vain}: no tensor has such a name; there are ${listNames(names, NAMES_SHOWN)}`,
    )
  }
  const chosen = tensors.filter(({ name }) => expressions.some((expression) => expression.test(name)))
  const others = tensors.filter((tensor) => !chosen.includes(tensor))
  return { tensors: [...chosen, ...others], allocated: chosen.length }
}

function expressionOf(pattern: string): RegExp {
  const escaped = pattern.replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`)
}
