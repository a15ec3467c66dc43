/** A weight and a tensor that may belong together. */
export interface Possible {
  readonly parameter: object
  readonly tensor: object
}

/** The pairs neither of whose sides stands in another. */
export function uniquePairs<T extends Possible>(pairs: readonly T[]): T[] {
  const counts = new Map<object, number>()
  for (const { parameter, tensor } of pairs)
    for (const side of [parameter, tensor]) counts.set(side, (counts.get(side) ?? 0) + 1)
  return pairs.filter(({ parameter, tensor }) => counts.get(parameter) === 1 && counts.get(tensor) === 1)
}

/** The pairs that score higher than every other pair of either of their sides. */
export function bestPairs<T extends Possible>(pairs: readonly T[], score: (pair: T) => number): T[] {
  const scores = new Map(pairs.map((pair) => [pair, score(pair)]))
  const best = new Map<object, { score: number; pair: T | undefined }>()
  for (const [pair, own] of scores)
    for (const side of [pair.parameter, pair.tensor]) {
      const known = best.get(side)
      if (known === undefined || own > known.score) best.set(side, { score: own, pair })
      else if (own === known.score) best.set(side, { score: own, pair: undefined })
    }
  return pairs.filter(
    (pair) => best.get(pair.parameter)?.pair === pair && best.get(pair.tensor)?.pair === pair,
  )
}

/**
 * Takes pairs, each side once, until no step finds more; what is left is ambiguous.
 *
 * @param steps ways to find pairs among what is left that share no side, the surest first
 */
export function takePairs<T extends Possible>(
  pairs: readonly T[],
  steps: readonly ((left: readonly T[]) => readonly T[])[],
): { readonly matches: readonly T[]; readonly ambiguous: readonly T[] } {
  const matches: T[] = []
  let left = [...pairs]
  for (;;) {
    let found: readonly T[] = []
    for (const step of steps) if (found.length === 0) found = step(left)
    if (found.length === 0) return { matches, ambiguous: left }
    matches.push(...found)
    const taken = new Set(found.flatMap(({ parameter, tensor }) => [parameter, tensor]))
    left = left.filter(({ parameter, tensor }) => !taken.has(parameter) && !taken.has(tensor))
  }
}
