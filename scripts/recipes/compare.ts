import type { Claim } from './page.js'

export type Row = Readonly<Record<string, unknown>>

/** What a tool gave for a claim. */
export interface Answer {
  readonly tool: string
  readonly claim: Claim
  readonly rows: readonly Row[]
}

/**
 * Sums of float64 taken in another order: far below what a wrong recipe would be off by, relative to a column's largest
 * value.
 */
const TOLERANCE = 1e-12

export interface Verdict {
  readonly holds: boolean
  readonly text: string
}

/** Whether the tools that answered a claim give the same rows and numbers. */
export function compare(answers: readonly Answer[]): Verdict {
  const [first, ...others] = answers
  const { name, isExact } = first!.claim
  if (others.length === 0)
    return { holds: false, text: `${name}: ${first!.tool} alone, with nothing to compare to` }
  if (first!.rows.length === 0) return { holds: false, text: `${name}: ${first!.tool} gives no rows` }
  let largest = 0
  for (const other of others) {
    const distance = distanceOf(first!, other)
    if (typeof distance === 'string') return { holds: false, text: `${name}: ${distance}` }
    largest = Math.max(largest, distance)
  }
  const tools = answers.map(({ tool }) => tool).join(', ')
  const within = `${first!.rows.length} rows, within ${largest.toExponential(1)} of the largest number`
  return { holds: isExact ? largest === 0 : largest <= TOLERANCE, text: `${name}: ${tools}: ${within}` }
}

/** The largest difference between two answers, relative to the column's largest value; or in words what does not fit. */
function distanceOf(first: Answer, other: Answer): number | string {
  const { keys, values } = first.claim
  const [one, two] = [byKey(first, keys), byKey(other, keys)]
  const missing = [...one.keys()].find((key) => !two.has(key))
  if (missing !== undefined || one.size !== two.size)
    return `${other.tool} has ${two.size} rows, ${first.tool} ${one.size}; ${missing ?? 'none'} is missing`
  let largest = 0
  for (const value of values) {
    const pairs = [...one].map(([key, row]) => [row[value], two.get(key)![value]] as const)
    if (!pairs.flat().every(Number.isFinite)) return `${value} of ${first.tool} or ${other.tool} is no number`
    const numbers = pairs as unknown as readonly (readonly [number, number])[]
    const scale = Math.max(...numbers.flat().map(Math.abs)) || 1
    largest = Math.max(largest, ...numbers.map(([a, b]) => Math.abs(a - b) / scale))
  }
  return largest
}

function byKey({ rows }: Answer, keys: readonly string[]): Map<string, Row> {
  return new Map(rows.map((row) => [keys.map((key) => String(row[key])).join(' '), row]))
}
