import type { Outcome } from './child.js'

interface Counts {
  readonly results: Map<string, number>
  slowest: number
  largest: number
}

/** What came out of the cases, for each seed and all together. */
export class Tally {
  private readonly seeds = new Map<string, Counts>()

  count(id: string, outcome: Outcome | undefined): void {
    const counts = this.seeds.get(id) ?? { results: new Map<string, number>(), slowest: 0, largest: 0 }
    this.seeds.set(id, counts)
    add(counts, outcome?.result ?? 'died or hung', 1)
    counts.slowest = Math.max(counts.slowest, outcome?.milliseconds ?? 0)
    counts.largest = Math.max(counts.largest, outcome?.megabytes ?? 0)
  }

  /** A line for each seed, and the last for all. */
  report(): string[] {
    const all: Counts = { results: new Map(), slowest: 0, largest: 0 }
    for (const { results, slowest, largest } of this.seeds.values()) {
      for (const [result, count] of results) add(all, result, count)
      all.slowest = Math.max(all.slowest, slowest)
      all.largest = Math.max(all.largest, largest)
    }
    return [...this.seeds, ['all', all] as const].map(([id, counts]) => `${id}: ${describe(counts)}`)
  }
}

function add({ results }: Counts, result: string, count: number): void {
  results.set(result, (results.get(result) ?? 0) + count)
}

function describe({ results, slowest, largest }: Counts): string {
  const parts = [...results].map(([result, count]) => `${count} ${result}`).join(', ')
  return `${parts}; slowest ${Math.round(slowest)} ms, most memory ${Math.round(largest)} MB`
}
