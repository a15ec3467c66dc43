import { UsageError } from './errors.js'
import { listNames } from './listing.js'

/**
 * The names that patterns fit, in their own order; in a pattern `*` stands for any characters, `?` for one.
 * @param option how an error names the patterns' origin
 * @throws UsageError where a pattern fits none
 */
export function namesFitting(
  names: readonly string[],
  patterns: readonly string[],
  option: string,
): string[] {
  const expressions = patterns.map((pattern): [string, RegExp] => [pattern, expressionOf(pattern)])
  const useless = expressions.find(([, expression]) => !names.some((name) => expression.test(name)))
  if (useless !== undefined)
    throw new UsageError(`${option} ${useless[0]}: no weight is called so; the model has ${listNames(names)}`)
  return names.filter((name) => expressions.some(([, expression]) => expression.test(name)))
}

function expressionOf(pattern: string): RegExp {
  const escaped = pattern.replace(/[\\^$.|+()[\]{}]/g, '\\$&')
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's')
}
